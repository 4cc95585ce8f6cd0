//! Questions to the bot's program over `AppMessage`: a request names itself, its answer repeats the
//! name; an `Error` about that name is an answer, too.

use std::collections::HashMap;

use tokio::sync::oneshot;
use voxwire_core::wire::{ErrorCode, Payload};

use crate::error::Error;

/// What a question was answered with: JSON text, or the error.
pub(crate) type Answer = Result<String, Error>;

/// The questions of one session that wait for their answer.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    open: HashMap<String, oneshot::Sender<Answer>>,
}

impl Requests {
    /// Notes a question; what is returned gets the answer.
    pub(crate) fn open(&mut self, request_id: String) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.open.insert(request_id, sender);
        receiver
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&mut self, request_id: &str) {
        self.open.remove(request_id);
    }

    /// Takes an answer to somebody who waits; returns anything else.
    pub(crate) fn receive(&mut self, payload: Payload) -> Option<Payload> {
        let name = match &payload {
            Payload::AppMessage(message) if message.response => &message.request_id,
            Payload::Error(error) => &error.subject_id,
            _ => return Some(payload),
        };
        let Some(waiting) = self.open.remove(name) else { return Some(payload) };
        let answer = match payload {
            Payload::AppMessage(message) => Ok(message.data_json),
            Payload::Error(error) => Err(Error::of_wire(&error)),
            other => return Some(other),
        };
        let _ = waiting.send(answer); // nobody waits: it was given up a moment ago
        None
    }

    /// The session is over: nothing is answered any more.
    pub(crate) fn close(&mut self, failure: Option<&Error>) {
        for (_, waiting) in self.open.drain() {
            let ended = Error::new(ErrorCode::InvalidState, "the session has ended");
            let _ = waiting.send(Err(failure.cloned().unwrap_or(ended)));
        }
    }
}
