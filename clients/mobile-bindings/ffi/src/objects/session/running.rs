//! The runtime, and what runs in it for a session.

use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use voxwire_client::event_json::written;
use voxwire_client::{Options, connect};

use super::SessionEvent;
use crate::code::{ErrorCode, VoxwireError};

/// Threads for all sessions of this program; none before the first session.
const THREADS: usize = 2;

/// Events that wait for a program that does not read them; then the client skips, and says so.
const WAITING: usize = 64;

/// What a session tells its program.
pub(super) enum Told {
    Event(SessionEvent),
    /// It is over, and not in order.
    Failed(VoxwireError),
    Ended,
}

pub(super) type Tell = mpsc::Sender<Told>;

pub(super) fn channel() -> (Tell, mpsc::Receiver<Told>) {
    mpsc::channel(WAITING)
}

/// The session once it is up.
#[derive(Default)]
pub(super) struct Live(OnceLock<voxwire_client::Session>);

impl Live {
    pub(super) fn session(&self) -> Option<&voxwire_client::Session> {
        self.0.get()
    }
}

/// Where all sessions run.
///
/// # Errors
///
/// `INTERNAL`: the system gives no threads.
pub(super) fn runtime() -> Result<&'static Runtime, VoxwireError> {
    static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("voxwire").enable_all().build().ok()
    });
    RUNTIME.as_ref().ok_or_else(|| defect("the system gives no threads"))
}

/// Connects, and tells what happens, until the session is over or that is aborted.
pub(super) fn start(
    runtime: &Runtime,
    url: String,
    options: Options,
    live: &Arc<Live>,
    tell: Tell,
) -> AbortHandle {
    let work = runtime.spawn(run(url, options, Arc::clone(live), tell.clone()));
    let aborts = work.abort_handle();
    runtime.spawn(async move {
        let last = match work.await {
            Ok(Err(error)) => Told::Failed(error),
            Err(failed) if failed.is_panic() => Told::Failed(defect("a defect of the library")),
            _ => Told::Ended,
        };
        let _ = tell.send(last).await; // nobody reads
    });
    aborts
}

async fn run(
    url: String,
    options: Options,
    live: Arc<Live>,
    tell: Tell,
) -> Result<(), VoxwireError> {
    let connected = connect(&url, options).await?;
    let session = live.0.get_or_init(|| connected);
    while let Some(event) = session.next_event().await? {
        let (name, fields) = written(&event);
        let event = super::event(name, &Value::Object(fields));
        if tell.send(Told::Event(event)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn defect(reason: &str) -> VoxwireError {
    VoxwireError::Refused { code: ErrorCode::Internal, reason: reason.to_owned(), seq: 0 }
}
