//! Tools whose calls are told on stdout and answered on stdin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use voxwire_client::{Tool, ToolCall, ToolError};

use super::{Log, say};

/// A call that waits for its answer.
type Waiting = (ToolCall, oneshot::Sender<Result<Value, ToolError>>);

/// The calls that wait for their answer, by id.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<String, Waiting>>>);

/// Says that a call was stopped, unless it was answered.
struct Guard {
    log: Log,
    id: String,
    answered: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.answered {
            say(&self.log, "tool_stopped", json!({"id": self.id}));
        }
    }
}

impl Calls {
    /// A tool of that name, which takes any object.
    pub(super) fn tool(&self, name: &str, log: &Log) -> Tool {
        let (calls, log, told) = (self.clone(), Arc::clone(log), name.to_owned());
        Tool::new(name, json!({"type": "object"}), move |arguments, call| {
            let (sender, answer) = oneshot::channel();
            let guard = Guard { log: Arc::clone(&log), id: call.id.clone(), answered: false };
            let line = json!({"id": call.id, "name": told, "arguments": arguments});
            calls.lock().insert(call.id.clone(), (call, sender));
            say(&log, "tool_call", line);
            async move {
                let mut guard = guard;
                let given = answer.await.unwrap_or_else(|_| Err(ToolError("it ended".into())));
                guard.answered = true;
                given
            }
        })
    }

    /// Answers a call, with a result or an error; one that nobody waits for is nothing.
    pub(super) fn answer(&self, asked: &Map<String, Value>) {
        let Some((_, sender)) = self.lock().remove(text(asked, "id")) else { return };
        let error = asked.get("error").and_then(Value::as_str);
        let result = asked.get("result").cloned().unwrap_or(Value::Null);
        let _ = sender.send(error.map_or(Ok(result), |error| Err(ToolError(error.to_owned()))));
    }

    /// Tells how far a call is.
    pub(super) fn progress(&self, asked: &Map<String, Value>) {
        if let Some((call, _)) = self.lock().get(text(asked, "id")) {
            call.progress(asked.get("note").unwrap_or(&Value::Null));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A field that is a text; empty = it is not there.
pub(super) fn text<'a>(asked: &'a Map<String, Value>, name: &str) -> &'a str {
    asked.get(name).and_then(Value::as_str).unwrap_or_default()
}
