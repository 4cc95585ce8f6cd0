//! Calls, their states, and what a verb tells.

use std::fmt::{self, Debug, Display, Formatter};
use std::hint::black_box;

use sha2::{Digest as _, Sha256};

use crate::wire::{ErrorCode, ToolOutcome};

/// Shortest call token: 128 bits.
pub const MIN_TOKEN_BYTES: usize = 16;

/// Which side runs a tool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Executor {
    /// The bot.
    Server,
    /// This program.
    Client,
}

/// Where a call is; the last four are final, with the names of [`ToolOutcome`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallState {
    /// Asked for.
    Requested,
    /// Its executor has taken it.
    Accepted,
    /// Its executor says that it runs.
    Running,
    /// Ended with a result.
    Done,
    /// Ended with an error.
    Failed,
    /// Withdrawn before it finished.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
}

impl CallState {
    /// The outcome of a final state; unspecified for another.
    #[must_use]
    pub const fn outcome(self) -> ToolOutcome {
        match self {
            Self::Requested | Self::Accepted | Self::Running => ToolOutcome::Unspecified,
            Self::Done => ToolOutcome::Done,
            Self::Failed => ToolOutcome::Failed,
            Self::Cancelled => ToolOutcome::Cancelled,
            Self::TimedOut => ToolOutcome::TimedOut,
        }
    }
}

/// What an interruption of the bot does to a call (`ToolInterruptionPolicy`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnInterruption {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It finishes and its result is kept.
    Finish,
    /// The bot is asked.
    Ask,
}

/// A request that cannot be opened; nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToolUseError {
    /// What is wrong.
    pub code: ErrorCode,
    /// One sentence for a developer; never echoes arguments.
    pub reason: &'static str,
}

impl Display for ToolUseError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason, self.code.as_str_name())
    }
}

impl std::error::Error for ToolUseError {}

/// Why a call failed.
#[derive(Clone, Eq, PartialEq)]
pub struct CallError {
    /// What went wrong.
    pub code: ErrorCode,
    /// One sentence; may be the client's own words, so it is content.
    pub reason: String,
    /// True when the same call may succeed later.
    pub retryable: bool,
}

impl Debug for CallError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("CallError");
        shown.field("code", &self.code).field("retryable", &self.retryable).finish_non_exhaustive()
    }
}

/// What a tool gave: JSON text, or the error.
pub type CallResult = Result<String, CallError>;

/// A request as it was made; it does not change. `Debug` shows neither arguments nor token.
#[derive(Clone, Eq, PartialEq)]
pub struct Call {
    /// Names the call, unique in the session.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// Who runs it.
    pub executor: Executor,
    /// JSON object, as text.
    pub arguments: String,
    /// What a result from the client must bring; `None` = the call's executor is the server, or the
    /// client speaks a protocol without tokens.
    pub call_token: Option<Vec<u8>>,
    /// What an interruption does to it.
    pub policy: OnInterruption,
    /// When it was opened, milliseconds.
    pub requested_ms: u64,
    /// When it times out, whatever happens, milliseconds.
    pub deadline_ms: u64,
}

impl Call {
    /// Time until the deadline, milliseconds: `ToolRequest.timeout_ms`.
    #[must_use]
    pub const fn remaining_ms(&self, now_ms: u64) -> u64 {
        self.deadline_ms.saturating_sub(now_ms)
    }

    /// Whether a result with this token may count; takes the same time for any wrong one of the
    /// right length.
    #[must_use]
    pub fn token_matches(&self, call_token: &[u8]) -> bool {
        let Some(wanted) = &self.call_token else { return true };
        let pairs = wanted.iter().zip(call_token);
        let differing = pairs.fold(0, |bits, (one, other)| black_box(bits | (one ^ other)));
        wanted.len() == call_token.len() && differing == 0
    }
}

impl Debug for Call {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("call_id", &self.call_id)
            .field("name", &self.name)
            .field("executor", &self.executor)
            .field("policy", &self.policy)
            .field("requested_ms", &self.requested_ms)
            .field("deadline_ms", &self.deadline_ms)
            .finish_non_exhaustive()
    }
}

/// What a verb of [`ToolCalls`](super::ToolCalls) tells.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    /// A message about a call had no effect; its sender is told so in an `Error`.
    Refused {
        /// The call.
        call_id: String,
        /// Why.
        code: ErrorCode,
    },
    /// The result that ended a call, once more: nothing to do, nothing to answer.
    Duplicate {
        /// The call.
        call_id: String,
    },
    /// A genuine result for a call that had ended without one; for a hook, never for the model.
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

/// Stands for a result, so that repetitions are known without keeping it.
pub(super) fn digest(result: &CallResult) -> [u8; 32] {
    let hash = match result {
        Ok(output) => Sha256::new().chain_update(b"+").chain_update(output),
        Err(error) => {
            let head = format!("-{} {} ", error.code.as_str_name(), error.retryable);
            Sha256::new().chain_update(head).chain_update(&error.reason)
        }
    };
    hash.finalize().into()
}

/// Bytes of a result on the wire, without its frame.
pub(super) fn size_bytes(result: &CallResult) -> usize {
    match result {
        Ok(output) => output.len(),
        Err(error) => error.reason.len(),
    }
}
