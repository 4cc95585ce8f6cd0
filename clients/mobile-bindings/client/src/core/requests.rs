//! Questions both ways over `AppMessage`: a request names itself, its answer repeats the name; an
//! `Error` about that name is an answer, too.

use std::collections::{HashMap, HashSet};

use tokio::sync::oneshot;
use voxwire_core::wire::{AppMessage, ErrorCode, Payload};

use crate::error::Error;

/// What a question was answered with: JSON text, or the error.
pub(crate) type Answer = Result<String, Error>;

/// The questions of one session: those of the program, which wait for their answer, and those of the
/// bot.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    open: HashMap<String, oneshot::Sender<Answer>>,
    /// Names of what the program answers.
    handled: HashSet<String>,
    asked: Vec<AppMessage>,
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

    /// The program answers the bot's requests of that name from now on.
    pub(crate) fn handle(&mut self, method: String) {
        self.handled.insert(method);
    }

    /// What the bot has asked since this was called last, in order.
    pub(crate) fn take_asked(&mut self) -> Vec<AppMessage> {
        std::mem::take(&mut self.asked)
    }

    /// Takes an answer to somebody who waits, or a request that is answered; returns anything else.
    pub(crate) fn receive(&mut self, payload: Payload) -> Option<Payload> {
        let payload = match payload {
            Payload::AppMessage(message) if self.is_asked(&message) => {
                self.asked.push(message);
                return None;
            }
            other => other,
        };
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

    fn is_asked(&self, message: &AppMessage) -> bool {
        let is_request = !message.request_id.is_empty() && !message.response;
        is_request && self.handled.contains(&message.r#type)
    }

    /// The session is over: nothing is answered any more.
    pub(crate) fn close(&mut self, failure: Option<&Error>) {
        for (_, waiting) in self.open.drain() {
            let ended = Error::new(ErrorCode::InvalidState, "the session has ended");
            let _ = waiting.send(Err(failure.cloned().unwrap_or(ended)));
        }
    }
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{AppMessage, Payload};

    use super::Requests;

    fn message(request_id: &str, response: bool) -> AppMessage {
        let request_id = request_id.to_owned();
        AppMessage { r#type: "where".into(), request_id, response, ..AppMessage::default() }
    }

    #[test]
    fn a_request_of_the_bot_is_an_event_unless_the_program_answers_it() {
        let mut requests = Requests::default();
        let asked = message("1", false);
        let event = Some(Payload::AppMessage(asked.clone()));
        assert_eq!(requests.receive(Payload::AppMessage(asked.clone())), event);
        requests.handle("where".into());
        assert_eq!(requests.receive(Payload::AppMessage(asked.clone())), None);
        for other in [message("", false), message("2", true)] {
            let event = Payload::AppMessage(other);
            assert_eq!(requests.receive(event.clone()), Some(event), "it asks for nothing");
        }
        assert_eq!(requests.take_asked(), [asked]);
        assert!(requests.take_asked().is_empty());
    }
}
