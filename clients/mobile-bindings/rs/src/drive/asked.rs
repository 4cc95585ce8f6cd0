//! Requests of the bot that are told on stdout and answered on stdin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use voxwire_client::wire::ErrorCode;
use voxwire_client::{Error, Session};

use super::tools::text;
use super::{Log, say};

type Waiting = oneshot::Sender<Result<Value, Error>>;

/// The requests so far, by number; an answered one waits no more.
#[derive(Clone, Default)]
pub(super) struct Questions(Arc<Mutex<BTreeMap<u64, Option<Waiting>>>>);

impl Questions {
    /// Has the bot's requests of that name told from now on, and says so.
    pub(super) fn ask_for(&self, session: &Session, method: &str, log: &Log) {
        let (questions, told) = (self.clone(), Arc::clone(log));
        session.handle(method, move |data| {
            let (sender, answer) = oneshot::channel();
            let mut waiting = questions.lock();
            let id = waiting.len() as u64;
            waiting.insert(id, Some(sender));
            drop(waiting);
            say(&told, "asked", json!({"id": id, "data": data}));
            async move {
                let ended = || Err(Error::new(ErrorCode::InvalidState, "it has ended"));
                answer.await.unwrap_or_else(|_| ended())
            }
        });
        say(log, "handled", json!({"method": method}));
    }

    /// Answers one; nothing when nobody waits.
    pub(super) fn answer(&self, asked: &Map<String, Value>) {
        let id = asked.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let Some(sender) = self.lock().get_mut(&id).and_then(Option::take) else { return };
        let code = ErrorCode::from_str_name(&format!("ERROR_CODE_{}", text(asked, "error")));
        let result = asked.get("result").cloned().unwrap_or(Value::Null);
        let _ = sender.send(code.map_or(Ok(result), |code| Err(Error::new(code, "no"))));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Option<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
