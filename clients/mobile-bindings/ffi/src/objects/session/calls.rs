//! Calls of tools that this program runs: told as events, answered by verbs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use voxwire_client::{Tool, ToolError};

use super::event;
use super::running::{Tell, Told};

/// Who waits for an answer, by the id of the call.
type Open = HashMap<String, oneshot::Sender<Result<Value, ToolError>>>;

/// The calls that wait for their answer.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Open>>);

/// Tells that a call was stopped, unless it was answered.
struct Call {
    calls: Calls,
    tell: Tell,
    id: String,
    answered: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
        if !self.answered {
            let (tell, id) = (self.tell.clone(), std::mem::take(&mut self.id));
            let stopped = Told::Event(event("tool_stopped", &json!({"id": id})));
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { tell.send(stopped).await });
            }
        }
    }
}

impl Calls {
    /// A tool of that name.
    pub(super) fn tool(&self, name: &str, parameters: Value, tell: &Tell) -> Tool {
        let (calls, tell, told) = (self.clone(), tell.clone(), name.to_owned());
        Tool::new(name, parameters, move |arguments, call| {
            let (sender, answer) = oneshot::channel();
            calls.lock().insert(call.id.clone(), sender);
            let fields = json!({"id": call.id, "name": told, "arguments": arguments});
            let (calls, tell) = (calls.clone(), tell.clone());
            let open = Call { calls, tell: tell.clone(), id: call.id, answered: false };
            async move {
                let mut open = open;
                let _ = tell.send(Told::Event(event("tool_call", &fields))).await; // nobody reads
                let given = answer.await.unwrap_or_else(|_| Err(ToolError("it ended".into())));
                open.answered = true;
                given
            }
        })
    }

    /// Answers a call, with a result or what went wrong; one that nobody waits for is nothing.
    pub(super) fn answer(&self, call_id: &str, given: Result<Value, String>) {
        if let Some(sender) = self.lock().remove(call_id) {
            let _ = sender.send(given.map_err(ToolError)); // it was withdrawn
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
