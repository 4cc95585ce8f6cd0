//! What a call is opened with, and what is kept of it while it is open and after it.

use super::call::{
    Call, CallError, CallState, Executor, MIN_TOKEN_BYTES, OnInterruption, ToolUseError,
};
use crate::wire::ErrorCode;

/// Times and limits of [`ToolCalls`](super::ToolCalls).
#[derive(Clone, Copy, Debug)]
pub struct ToolCallsOptions {
    /// Longest run of a call that does not say it, milliseconds.
    pub default_timeout_ms: u64,
    /// Time in which a client must take a request, milliseconds.
    pub accept_within_ms: u64,
    /// Most calls that may be open at once.
    pub max_open: usize,
    /// Largest result, bytes of UTF-8; a larger one fails the call.
    pub max_result_bytes: usize,
}

impl Default for ToolCallsOptions {
    fn default() -> Self {
        Self {
            default_timeout_ms: 10_000,
            accept_within_ms: 2_000,
            max_open: 32,
            max_result_bytes: 48 * 1024,
        }
    }
}

/// What a call is opened with.
#[derive(Clone)]
pub struct Request {
    /// Names the call; must be new.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// Who runs it.
    pub executor: Executor,
    /// JSON object, as text; checked against the schema by the caller.
    pub arguments: String,
    /// Longest run, milliseconds; 0 = the default.
    pub timeout_ms: u64,
    /// What an interruption does to it.
    pub policy: OnInterruption,
    /// Unguessable bytes for a client's call. `None` only for a call that the server runs, or for a
    /// client whose protocol has no tokens.
    pub call_token: Option<Vec<u8>>,
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) call: Call,
    pub(super) state: CallState,
    /// `None` when nothing waits for acceptance.
    pub(super) accept_due_ms: Option<u64>,
}

impl Opened {
    /// When something falls due, and whether that is the acceptance.
    pub(super) fn due(&self) -> (u64, bool) {
        let deadline_ms = self.call.deadline_ms;
        match self.accept_due_ms {
            Some(accept_ms) if accept_ms < deadline_ms => (accept_ms, true),
            _ => (deadline_ms, false),
        }
    }
}

/// What is remembered of a call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call: Call,
    pub(super) state: CallState,
    pub(super) ended_ms: u64,
    /// Digest of the result that ended it; `None` when none did.
    pub(super) result: Option<[u8; 32]>,
    pub(super) late: bool,
}

/// How a call ends.
#[derive(Default)]
pub(super) struct End {
    pub(super) output: Option<String>,
    pub(super) error: Option<CallError>,
    pub(super) reason: String,
    pub(super) result: Option<[u8; 32]>,
    /// The client withdrew it itself.
    pub(super) told: bool,
}

pub(super) const fn invalid(reason: &'static str) -> ToolUseError {
    ToolUseError { code: ErrorCode::InvalidArgument, reason }
}

/// Refuses a token that no call can have.
pub(super) fn check_token(request: &Request) -> Result<(), ToolUseError> {
    let Some(token) = &request.call_token else { return Ok(()) };
    if request.executor == Executor::Server {
        return Err(invalid("a call that the server runs has no call_token"));
    }
    if token.len() < MIN_TOKEN_BYTES {
        return Err(invalid("call_token must have at least 16 bytes"));
    }
    Ok(())
}
