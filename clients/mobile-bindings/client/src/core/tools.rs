//! The calls that this client executes: each at most once, whatever comes twice.

use std::collections::HashMap;

use voxwire_core::tools::{CallError, CallResult, Run, ToolRuns};
use voxwire_core::wire::{
    Error as WireError, Payload, ToolAccepted, ToolProgress, ToolRequest, ToolResult, tool_result,
};

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Run a tool.
    Run(ToolRequest),
    /// Stop the tool of that call.
    Stop(String),
}

/// The executing side of a session's tool calls.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    runs: ToolRuns,
    tokens: HashMap<String, Vec<u8>>,
    commands: Vec<Command>,
}

impl Tools {
    /// What is to be done since it was last asked, in order.
    pub(crate) fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Takes a request; returns what is said to it at once.
    pub(crate) fn request(&mut self, request: ToolRequest) -> Option<Payload> {
        let call_id = request.call_id.clone();
        let accepted = Payload::ToolAccepted(ToolAccepted { call_id: call_id.clone() });
        match self.runs.request(&call_id) {
            Run::Start => {
                self.tokens.insert(call_id, request.call_token.clone());
                self.commands.push(Command::Run(request));
                Some(accepted)
            }
            Run::Running => {
                self.tokens.insert(call_id, request.call_token);
                Some(accepted)
            }
            Run::Finished => {
                let result = self.runs.result_of(&call_id)?.clone();
                Some(result_of(call_id, request.call_token, result))
            }
            Run::Stop | Run::Ignore => None,
        }
    }

    /// Takes a withdrawal.
    pub(crate) fn withdraw(&mut self, call_id: &str) {
        if self.runs.withdraw(call_id) == Run::Stop {
            self.tokens.remove(call_id);
            self.commands.push(Command::Stop(call_id.to_owned()));
        }
    }

    /// A call ran past its deadline: the server knows, nothing is said.
    pub(crate) fn expired(&mut self, call_id: &str) {
        self.tokens.remove(call_id);
        self.runs.withdraw(call_id);
    }

    /// A tool has given this; returns what is said.
    pub(crate) fn finished(&mut self, call_id: &str, result: CallResult) -> Option<Payload> {
        let token = self.tokens.remove(call_id).unwrap_or_default();
        let sent = self.runs.finish(call_id, result.clone());
        sent.then(|| result_of(call_id.to_owned(), token, result))
    }

    /// A tool tells how far it is; returns what is said.
    pub(crate) fn progress(&self, call_id: &str, note_json: String) -> Option<Payload> {
        let runs = self.runs.running().any(|running| running == call_id);
        let call_id = call_id.to_owned();
        runs.then_some(Payload::ToolProgress(ToolProgress { call_id, note_json }))
    }
}

fn result_of(call_id: String, call_token: Vec<u8>, result: CallResult) -> Payload {
    let outcome = match result {
        Ok(json) => tool_result::Outcome::ResultJson(json),
        Err(CallError { code, reason, retryable }) => tool_result::Outcome::Error(WireError {
            code: code.into(),
            reason,
            retryable,
            subject_id: call_id.clone(),
            ..WireError::default()
        }),
    };
    Payload::ToolResult(ToolResult { call_id, call_token, outcome: Some(outcome) })
}

#[cfg(test)]
mod tests {
    use voxwire_core::wire::{Payload, ToolRequest, ToolResult};

    use super::{Command, Tools};

    #[test]
    fn a_request_that_comes_again_never_runs_again() {
        let mut tools = Tools::default();
        let request = |token| ToolRequest {
            call_id: "c".into(),
            call_token: vec![token],
            ..ToolRequest::default()
        };
        assert!(matches!(tools.request(request(1)), Some(Payload::ToolAccepted(_))));
        assert_eq!(tools.take_commands(), [Command::Run(request(1))]);
        assert!(matches!(tools.request(request(2)), Some(Payload::ToolAccepted(_))));
        assert!(tools.take_commands().is_empty());
        let token = |said| match said {
            Some(Payload::ToolResult(ToolResult { call_token, .. })) => call_token,
            other => panic!("{other:?}"),
        };
        assert_eq!(token(tools.finished("c", Ok("1".into()))), [2]);
        assert_eq!(token(tools.request(request(3))), [3]);
        assert!(tools.take_commands().is_empty());
    }

    #[test]
    fn a_withdrawn_call_is_stopped_and_says_nothing_more() {
        let mut tools = Tools::default();
        tools.request(ToolRequest { call_id: "c".into(), ..ToolRequest::default() });
        tools.take_commands();
        tools.withdraw("c");
        assert_eq!(tools.take_commands(), [Command::Stop("c".into())]);
        assert_eq!(tools.progress("c", "1".into()), None);
        assert_eq!(tools.finished("c", Ok("1".into())), None);
    }
}
