//! Getting a socket for a session: said Hello on, welcomed, and not in use yet.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prost::Message as _;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use voxwire_core::wire::{ErrorCode, Payload, Welcome, decode};

use super::random;
use super::socket::{Reader, Socket, Writer};
use super::tls;
use crate::core::{Url, backoff_ms, expired, is_final};
use crate::error::Error;
use crate::options::Roots;
use crate::shared::Shared;

/// How long one attempt to come back may take, Welcome included.
const DIAL: Duration = Duration::from_secs(3);

/// A dial that is not through after this long gets another one beside it: a network that is back
/// takes up a connection that was asked for before only after a second and more.
const AGAIN: Duration = Duration::from_millis(500);

const MAX_DIALS: usize = 3;

/// A socket whose Welcome was read and which is not in use yet.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) socket: Socket,
    pub(crate) welcome: Welcome,
    /// What is queued was written, or will be, on this very socket.
    pub(crate) eager: bool,
}

/// Why there is no socket.
#[derive(Debug)]
pub(crate) enum Unattached {
    /// It was not to be had, or broke, or nobody answered in time.
    Lost(Error),
    /// The server said no.
    Refused(Error),
}

impl Unattached {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Refused(error) => error,
        }
    }
}

/// Dials and says Hello for one session.
#[derive(Debug)]
pub(crate) struct Dialler {
    shared: Arc<Shared>,
    roots: Roots,
    /// Made when the first encrypted connection is dialled.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Dialler {
    pub(crate) const fn new(shared: Arc<Shared>, roots: Roots) -> Self {
        Self { shared, roots, tls: OnceLock::new() }
    }

    /// Where it is dialled now, and what an encrypted connection is made with.
    fn target(&self) -> Result<(Url, Option<Arc<ClientConfig>>), Error> {
        let url = self.shared.lock().link.greeting.url().clone();
        if !url.encrypted {
            return Ok((url, None));
        }
        if let Some(made) = self.tls.get() {
            return Ok((url, Some(Arc::clone(made))));
        }
        let made = tls::configuration(&self.roots)?;
        Ok((url, Some(Arc::clone(self.tls.get_or_init(|| made)))))
    }

    /// Opens a socket. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Nothing answers, or it refuses.
    pub(crate) async fn open(&self, within: Duration) -> Result<Socket, Error> {
        let (url, tls) = self.target()?;
        Socket::dial(&url, tls, within).await
    }

    /// Says Hello.
    ///
    /// # Errors
    ///
    /// The peer does not read.
    pub(crate) async fn greet(&self, writer: &mut Writer) -> Result<(), Error> {
        let hello = self.shared.lock().hello();
        writer.send(hello.encode_to_vec()).await
    }

    /// Dials until the server welcomes us, at most for the session's grace; returns how many tries
    /// it took, too. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The server does not want us, or `SESSION_EXPIRED`.
    pub(crate) async fn come_back(&self, mut cause: Error) -> Result<(u32, Attached), Error> {
        let started = Instant::now();
        let grace = Duration::from_millis(self.shared.lock().link.greeting.grace_ms);
        let mut began = started;
        for attempt in 1.. {
            self.shared.with(|core, _| core.trying(attempt));
            let delay_ms = backoff_ms(attempt, u64::from_le_bytes(random()));
            let advised_ms = if attempt > 1 { cause.retry_after_ms.into() } else { 0 };
            let spent = began.elapsed();
            let delay = Duration::from_millis(delay_ms).saturating_sub(spent);
            let delay = delay.max(Duration::from_millis(advised_ms));
            sleep(delay.min(grace.saturating_sub(started.elapsed()))).await;
            began = Instant::now();
            let left = grace.saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            match self.attach(DIAL.min(left)).await {
                Ok(attached) => return Ok((attempt, attached)),
                Err(unattached) => cause = unattached.into_error(),
            }
            if is_final(&cause, true) {
                return Err(cause);
            }
        }
        Err(expired(started.elapsed().as_millis() as u64, &cause))
    }

    /// Opens one socket and says Hello on it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) async fn attach(&self, within: Duration) -> Result<Attached, Unattached> {
        let deadline = Instant::now() + within;
        let opened = self.open_promptly(deadline).await;
        let mut socket = opened.map_err(|error| match error.code {
            ErrorCode::Unauthorized | ErrorCode::Forbidden => Unattached::Refused(error),
            _ => Unattached::Lost(Error::lost(error.reason)),
        })?;
        let greeted = async {
            self.greet(&mut socket.writer).await.map_err(Unattached::Lost)?;
            read_welcome(&mut socket.reader).await
        };
        let late = || Unattached::Lost(Error::lost("the server did not answer Hello in time"));
        let welcome = timeout_at(deadline, greeted).await.map_err(|_| late())??;
        Ok(Attached { socket, welcome, eager: false })
    }

    /// Opens a socket; dials again beside a dial that takes long. Cancel-safe.
    async fn open_promptly(&self, deadline: Instant) -> Result<Socket, Error> {
        let (url, tls) = self.target()?;
        let mut dials = JoinSet::new();
        let mut failure = None;
        loop {
            if dials.len() < MAX_DIALS && failure.is_none() {
                let (url, tls) = (url.clone(), tls.clone());
                let left = deadline.saturating_duration_since(Instant::now());
                dials.spawn(async move { Socket::dial(&url, tls, left).await });
            }
            let wait = if dials.len() < MAX_DIALS { AGAIN } else { DIAL };
            match timeout(wait, dials.join_next()).await {
                Ok(Some(Ok(Ok(socket)))) => return Ok(socket),
                Ok(Some(Ok(Err(error)))) => return Err(error),
                Ok(Some(Err(error))) => {
                    failure = Some(Error::new(ErrorCode::Internal, error.to_string()));
                }
                Ok(None) => return Err(failure.unwrap_or_else(|| Error::lost("nothing answers"))),
                Err(_) => {}
            }
        }
    }
}

/// Reads the first message; anything but an answer to Hello is passed over.
pub(crate) async fn read_welcome(reader: &mut Reader) -> Result<Welcome, Unattached> {
    loop {
        let data = reader.receive().await.map_err(Unattached::Lost)?;
        let Ok(decoded) = decode(&data) else { continue };
        match decoded.envelope.payload {
            Some(Payload::Welcome(welcome)) => return Ok(welcome),
            Some(Payload::Error(error)) => return Err(Unattached::Refused(Error::of_wire(&error))),
            Some(Payload::SessionEnded(_)) => {
                let reason = "the session ended before it was ready";
                return Err(Unattached::Refused(Error::lost(reason)));
            }
            _ => {}
        }
    }
}
