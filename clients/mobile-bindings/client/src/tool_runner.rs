//! Runs the client's tools for the bot: the driver around the pure `Tools`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use voxwire_core::tools::{CallError, CallResult};
use voxwire_core::wire::{ErrorCode, ToolRequest};

use crate::core::Command;
use crate::shared::Shared;
use crate::tool::{Tool, ToolCall};

/// Most tools that run at once.
const MAX_RUNNING: usize = 32;

/// A longer deadline is taken for this one, milliseconds.
const MAX_TIMEOUT_MS: u32 = 600_000;

/// Largest result, bytes of JSON.
const MAX_RESULT_BYTES: usize = 48 * 1024;

const MAX_REASON_CHARS: usize = 500;

type Running = Arc<Mutex<HashMap<String, AbortHandle>>>;

/// The tools of one session; dropped, it stops what runs. A lost connection changes nothing here:
/// what is sent waits for it.
#[derive(Debug)]
pub(crate) struct ToolRunner {
    shared: Arc<Shared>,
    tools: Vec<Tool>,
    running: Running,
}

impl ToolRunner {
    pub(crate) fn new(shared: Arc<Shared>, tools: Vec<Tool>) -> Self {
        Self { shared, tools, running: Running::default() }
    }

    /// Does what the session asks for.
    pub(crate) fn perform(&self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Run(request) => self.start(&request),
                Command::Stop(call_id) => {
                    if let Some(task) = lock(&self.running).remove(&call_id) {
                        task.abort();
                    }
                }
            }
        }
    }

    fn start(&self, request: &ToolRequest) {
        let call_id = request.call_id.clone();
        match self.prepare(request) {
            Err(error) => finish(&self.shared, &call_id, Err(error)),
            Ok((tool, arguments)) => {
                let call = ToolCall { id: call_id.clone(), shared: Arc::clone(&self.shared) };
                let within_ms = request.timeout_ms.min(MAX_TIMEOUT_MS);
                let ran = (tool.run)(arguments, call);
                let (shared, running) = (Arc::clone(&self.shared), Arc::clone(&self.running));
                let name = call_id.clone();
                let mut tasks = lock(&self.running);
                let task = tokio::spawn(async move {
                    let ran = timeout(Duration::from_millis(within_ms.into()), ran).await;
                    lock(&running).remove(&name);
                    match ran {
                        Err(_) => shared.with(|core, _| core.tools.expired(&name)),
                        Ok(result) => finish(&shared, &name, told(result)),
                    }
                });
                tasks.insert(call_id, task.abort_handle());
            }
        }
    }

    fn prepare(&self, request: &ToolRequest) -> Result<(&Tool, Value), CallError> {
        let found = self.tools.iter().find(|tool| tool.name == request.name);
        let tool = found.ok_or_else(|| wrong(ErrorCode::Unsupported, "there is no such tool"))?;
        if lock(&self.running).len() >= MAX_RUNNING {
            return Err(wrong(ErrorCode::Capacity, "too many tools run"));
        }
        let arguments = match request.arguments_json.as_str() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text),
        };
        match arguments {
            Ok(arguments @ Value::Object(_)) => Ok((tool, arguments)),
            Ok(_) => Err(wrong(ErrorCode::InvalidArgument, "the arguments are no object")),
            Err(_) => Err(wrong(ErrorCode::Malformed, "the arguments are no JSON")),
        }
    }
}

impl Drop for ToolRunner {
    fn drop(&mut self) {
        for (_, task) in lock(&self.running).drain() {
            task.abort();
        }
    }
}

fn lock(running: &Running) -> std::sync::MutexGuard<'_, HashMap<String, AbortHandle>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn told(result: Result<Value, crate::tool::ToolError>) -> CallResult {
    match result {
        Err(error) => {
            let reason: String = error.0.chars().take(MAX_REASON_CHARS).collect();
            Err(wrong(ErrorCode::ToolFailed, reason))
        }
        Ok(value) => {
            let json = value.to_string();
            if json.len() > MAX_RESULT_BYTES {
                return Err(wrong(ErrorCode::TooLarge, "the result is too large"));
            }
            Ok(json)
        }
    }
}

fn wrong(code: ErrorCode, reason: impl Into<String>) -> CallError {
    CallError { code, reason: reason.into(), retryable: false }
}

fn finish(shared: &Shared, call_id: &str, result: CallResult) {
    shared.with(|core, now_us| {
        if let Some(said) = core.tools.finished(call_id, result) {
            let _ = core.send(said, now_us); // the session is ending; its reader is told
        }
    });
}
