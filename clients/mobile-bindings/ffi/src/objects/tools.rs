//! Tool calls: the executing side, and the asking one.

use std::sync::Mutex;

use voxwire_core::tools as core;

use super::held;
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::{CallState, Executor, OnInterruption, Run, ToolOutcome};
use crate::values::ToolCallsOptions;

/// Why a call failed.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Record)]
pub struct CallError {
    /// What went wrong.
    pub code: ErrorCode,
    /// One sentence; may be the client's own words, so it is content.
    pub reason: String,
    /// True when the same call may succeed later.
    pub retryable: bool,
}

impl From<core::CallError> for CallError {
    fn from(error: core::CallError) -> Self {
        let code = ErrorCode::of(error.code);
        Self { code, reason: error.reason, retryable: error.retryable }
    }
}

/// What a tool gave.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum CallResult {
    /// It ran.
    Output {
        /// What it returned, JSON text.
        json: String,
    },
    /// It failed.
    Error {
        /// Why.
        error: CallError,
    },
}

impl From<core::CallResult> for CallResult {
    fn from(result: core::CallResult) -> Self {
        match result {
            Ok(json) => Self::Output { json },
            Err(error) => Self::Error { error: error.into() },
        }
    }
}

impl From<CallResult> for core::CallResult {
    fn from(result: CallResult) -> Self {
        match result {
            CallResult::Output { json } => Ok(json),
            CallResult::Error { error } => Err(core::CallError {
                code: error.code.wire(),
                reason: error.reason,
                retryable: error.retryable,
            }),
        }
    }
}

/// What a call is opened with.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ToolRequest {
    /// Names the call; must be new.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// Who runs it.
    pub executor: Executor,
    /// JSON object, as text.
    pub arguments: String,
    /// Longest run, milliseconds; 0 = the default.
    pub timeout_ms: u64,
    /// What an interruption does to it.
    pub policy: OnInterruption,
    /// Unguessable bytes for a client's call, at least 16; none for a call that the server runs.
    pub call_token: Option<Vec<u8>>,
}

impl From<ToolRequest> for core::Request {
    fn from(request: ToolRequest) -> Self {
        Self {
            call_id: request.call_id,
            name: request.name,
            executor: request.executor.into(),
            arguments: request.arguments,
            timeout_ms: request.timeout_ms,
            policy: request.policy.into(),
            call_token: request.call_token,
        }
    }
}

/// A request as it was made; it does not change.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Call {
    /// Names the call, unique in the session.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// Who runs it.
    pub executor: Executor,
    /// JSON object, as text.
    pub arguments: String,
    /// What a result from the client must bring.
    pub call_token: Option<Vec<u8>>,
    /// What an interruption does to it.
    pub policy: OnInterruption,
    /// When it was opened, milliseconds.
    pub requested_ms: u64,
    /// When it times out, whatever happens, milliseconds.
    pub deadline_ms: u64,
}

impl From<core::Call> for Call {
    fn from(call: core::Call) -> Self {
        Self {
            call_id: call.call_id,
            name: call.name,
            executor: call.executor.into(),
            arguments: call.arguments,
            call_token: call.call_token,
            policy: call.policy.into(),
            requested_ms: call.requested_ms,
            deadline_ms: call.deadline_ms,
        }
    }
}

/// What a verb of `ToolCalls` tells.
#[derive(Clone, Debug, Eq, PartialEq, uniffi::Enum)]
pub enum Effect {
    /// A call went on to a state that is not final.
    Moved {
        /// The call.
        call_id: String,
        /// Where it is now.
        state: CallState,
    },
    /// A call ended; there is exactly one for each call.
    Terminal {
        /// The call.
        call_id: String,
        /// The tool.
        name: String,
        /// Who ran it.
        executor: Executor,
        /// How it ended.
        outcome: ToolOutcome,
        /// Result, JSON text, when `Done`.
        output: Option<String>,
        /// Why, when `Failed` or `TimedOut`.
        error: Option<CallError>,
        /// Why, when `Cancelled`.
        reason: String,
        /// Time since the request, milliseconds.
        duration_ms: u64,
        /// True when the client still holds the call and is to be sent `ToolCancel`.
        withdraw: bool,
    },
    /// A message about a call had no effect; its sender is told so.
    Refused {
        /// The call.
        call_id: String,
        /// Why.
        code: ErrorCode,
    },
    /// The result that ended a call, once more.
    Duplicate {
        /// The call.
        call_id: String,
    },
    /// A genuine result for a call that had ended without one; never for the model.
    Late {
        /// The call.
        call_id: String,
        /// The tool.
        name: String,
        /// How the call had ended.
        outcome: ToolOutcome,
        /// What came.
        result: CallResult,
        /// Time since it ended, milliseconds.
        late_ms: u64,
    },
    /// The bot was interrupted and decides: cancel the call, or let it run.
    AskPolicy {
        /// The call.
        call_id: String,
        /// The tool.
        name: String,
    },
}

impl From<core::Effect> for Effect {
    fn from(effect: core::Effect) -> Self {
        use core::Effect as Told;
        match effect {
            Told::Moved { call_id, state } => Self::Moved { call_id, state: state.into() },
            Told::Terminal {
                call_id,
                name,
                executor,
                outcome,
                output,
                error,
                reason,
                duration_ms,
                withdraw,
            } => Self::Terminal {
                call_id,
                name,
                executor: executor.into(),
                outcome: outcome.into(),
                output,
                error: error.map(Into::into),
                reason,
                duration_ms,
                withdraw,
            },
            Told::Refused { call_id, code } => Self::Refused { call_id, code: ErrorCode::of(code) },
            Told::Duplicate { call_id } => Self::Duplicate { call_id },
            Told::Late { call_id, name, outcome, result, late_ms } => {
                let (outcome, result) = (outcome.into(), result.into());
                Self::Late { call_id, name, outcome, result, late_ms }
            }
            Told::AskPolicy { call_id, name } => Self::AskPolicy { call_id, name },
        }
    }
}

fn told(effects: Vec<core::Effect>) -> Vec<Effect> {
    effects.into_iter().map(Into::into).collect()
}

/// The calls of one session, on the side that asks: a client's tests of its own tools stand on it.
/// Times are milliseconds of one monotonic clock, of any origin.
#[derive(Debug, uniffi::Object)]
pub struct ToolCalls {
    core: Mutex<core::ToolCalls>,
}

#[uniffi::export]
impl ToolCalls {
    /// A machine without calls, with the client attached.
    #[uniffi::constructor]
    #[must_use]
    pub fn new(options: ToolCallsOptions) -> Self {
        Self { core: Mutex::new(core::ToolCalls::new(options.into())) }
    }

    /// Calls that have not ended, oldest first.
    pub fn open_calls(&self) -> Vec<Call> {
        held(&self.core).open_calls().cloned().map(Into::into).collect()
    }

    /// When `tick` wants to be called next; nothing when no call is open.
    pub fn next_due_ms(&self) -> Option<u64> {
        held(&self.core).next_due_ms()
    }

    /// Returns where a call is; nothing when it is unknown or forgotten.
    pub fn state(&self, call_id: &str) -> Option<CallState> {
        held(&self.core).state(call_id).map(Into::into)
    }

    /// Opens a call. Its deadline is armed from here on and nothing moves it.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for an id that is known and for a token that is short or for a server's
    /// call; `CAPACITY` when too many are open.
    pub fn request(&self, request: ToolRequest, now_ms: u64) -> Result<Call, VoxwireError> {
        Ok(held(&self.core).request(request.into(), now_ms)?.clone().into())
    }

    /// Notes that the executor has taken a request; `by` is who says so.
    pub fn accept(&self, call_id: &str, now_ms: u64, by: Executor) -> Vec<Effect> {
        told(held(&self.core).accept(call_id, now_ms, by.into()))
    }

    /// Notes that a call runs; counts as acceptance, never moves the deadline.
    pub fn progress(&self, call_id: &str, now_ms: u64, by: Executor) -> Vec<Effect> {
        told(held(&self.core).progress(call_id, now_ms, by.into()))
    }

    /// Ends a call with what its executor says, if it may.
    pub fn result(
        &self,
        call_id: &str,
        result: CallResult,
        call_token: &[u8],
        now_ms: u64,
        by: Executor,
    ) -> Vec<Effect> {
        told(held(&self.core).result(call_id, result.into(), call_token, now_ms, by.into()))
    }

    /// Withdraws a call; `by` is who does.
    pub fn cancel(&self, call_id: &str, reason: &str, now_ms: u64, by: Executor) -> Vec<Effect> {
        told(held(&self.core).cancel(call_id, reason, now_ms, by.into()))
    }

    /// Applies each open call's policy to an interruption of the bot, oldest call first.
    pub fn interrupted(&self, now_ms: u64) -> Vec<Effect> {
        told(held(&self.core).interrupted(now_ms))
    }

    /// Ends what fell due, earliest first.
    pub fn tick(&self, now_ms: u64) -> Vec<Effect> {
        told(held(&self.core).tick(now_ms))
    }

    /// Notes that the client is away: requests need not be accepted until it is back.
    pub fn on_lost(&self) {
        held(&self.core).on_lost();
    }

    /// Notes that the client is back and returns the requests to send again.
    pub fn redeliver(&self, now_ms: u64) -> Vec<Call> {
        held(&self.core).redeliver(now_ms).into_iter().map(Into::into).collect()
    }
}

/// The calls that this side executes; owned by the session. Each runs at most once.
#[derive(Debug, Default, uniffi::Object)]
pub struct ToolRuns {
    core: Mutex<core::ToolRuns>,
}

#[uniffi::export]
impl ToolRuns {
    /// A machine that has run nothing.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls whose tool runs now, by their ids.
    pub fn running(&self) -> Vec<String> {
        held(&self.core).running().map(ToOwned::to_owned).collect()
    }

    /// Takes a request: `Start` the first time, `Running`, `Finished` or `Ignore` after that.
    pub fn request(&self, call_id: &str) -> Run {
        held(&self.core).request(call_id).into()
    }

    /// Notes what a tool gave; true = send it as the `ToolResult`.
    pub fn finish(&self, call_id: &str, result: CallResult) -> bool {
        held(&self.core).finish(call_id, result.into())
    }

    /// Takes a `ToolCancel`: `Stop` a running tool, `Ignore` anything else.
    pub fn withdraw(&self, call_id: &str) -> Run {
        held(&self.core).withdraw(call_id).into()
    }

    /// Returns what a finished call gave; nothing when it is not kept any more.
    pub fn result_of(&self, call_id: &str) -> Option<CallResult> {
        held(&self.core).result_of(call_id).cloned().map(Into::into)
    }
}
