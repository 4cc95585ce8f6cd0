//! Answers the requests of the bot's program: the driver around the pure `Requests`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::task::JoinSet;
use voxwire_core::wire::{AppMessage, Error as WireError, ErrorCode, Payload};

use crate::error::Error;
use crate::handler::{Answer, Handler};
use crate::session::message;
use crate::shared::Shared;

/// Requests that are answered at a time; more are refused.
const MAX_ANSWERING: usize = 64;

const MAX_REASON_CHARS: usize = 500;

/// What answers the requests of one session, by name.
#[derive(Clone, Default)]
pub(crate) struct Handlers(Arc<Mutex<HashMap<String, Answer>>>);

impl Handlers {
    /// Answers requests of that name from now on.
    pub(crate) fn add(&self, handler: Handler, shared: &Shared) {
        let Handler { method, answer } = handler;
        self.lock().insert(method.clone(), answer);
        shared.lock().requests.handle(method);
    }

    fn of(&self, method: &str) -> Option<Answer> {
        self.lock().get(method).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what answers; dropped, it stops that. A lost connection changes nothing here: what is sent
/// waits for it.
pub(crate) struct Answerer {
    shared: Arc<Shared>,
    handlers: Handlers,
    running: Mutex<JoinSet<()>>,
}

impl Answerer {
    pub(crate) fn new(shared: Arc<Shared>, handlers: Handlers) -> Self {
        Self { shared, handlers, running: Mutex::default() }
    }

    /// Answers these requests.
    pub(crate) fn perform(&self, requests: Vec<AppMessage>) {
        for request in requests {
            self.answer(request);
        }
    }

    fn answer(&self, request: AppMessage) {
        let AppMessage { r#type: method, data_json, request_id, .. } = request;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        let handler = self.handlers.of(&method);
        let reply = Reply { shared: Arc::clone(&self.shared), method, request_id, is_owed: true };
        if running.len() >= MAX_ANSWERING {
            let busy = Error::new(ErrorCode::Capacity, "too much is asked at once").retryable();
            return reply.give(Err(busy));
        }
        let data = match data_json.as_str() {
            "" => Ok(Value::Null),
            text => serde_json::from_str(text),
        };
        match (handler, data) {
            (None, _) => {
                let reason = "nothing answers that here";
                reply.give(Err(Error::new(ErrorCode::Unsupported, reason)));
            }
            (_, Err(_)) => {
                reply.give(Err(Error::new(ErrorCode::Malformed, "the data are no JSON")));
            }
            (Some(handler), Ok(data)) => {
                running.spawn(async move { reply.give(handler(data).await) });
            }
        }
    }
}

/// The answer that is owed to a request. Dropped without one, it says that there will be none.
struct Reply {
    shared: Arc<Shared>,
    method: String,
    request_id: String,
    is_owed: bool,
}

impl Reply {
    fn give(mut self, answer: Result<Value, Error>) {
        self.send(answer);
    }

    fn send(&mut self, answer: Result<Value, Error>) {
        self.is_owed = false;
        let request_id = self.request_id.clone();
        let answered = answer.and_then(|data| message(&self.method, &data, request_id, true));
        let said = answered.unwrap_or_else(|error| self.refusal(&error));
        self.shared.with(|core, now_us| {
            let _ = core.send(said, now_us); // the session is over
        });
    }

    fn refusal(&self, error: &Error) -> Payload {
        Payload::Error(WireError {
            code: error.code.into(),
            reason: error.reason.chars().take(MAX_REASON_CHARS).collect(),
            retryable: error.retryable,
            subject_id: self.request_id.clone(),
            ..WireError::default()
        })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.is_owed {
            self.send(Err(Error::new(ErrorCode::Internal, "what answers that has failed")));
        }
    }
}
