//! Tool calls: every call ends exactly once, whatever is lost, repeated, late or forged.
//!
//! [`ToolRuns`] belongs to the side that executes (this client) and runs each call at most once.
//! [`ToolCalls`] belongs to the side that asks (the server) and runs one state machine per call; a
//! client's tests of its own tools stand on it. Neither reads a clock: every `now_ms` is
//! milliseconds of one monotonic clock, of any origin (protocol/spec/tools.md).

mod call;
mod calls;
mod request;
mod runs;

pub use call::{
    Call, CallError, CallResult, CallState, Effect, Executor, MIN_TOKEN_BYTES, OnInterruption,
    ToolUseError,
};
pub use calls::{KEPT_CALLS, ToolCalls};
pub use request::{Request, ToolCallsOptions};
pub use runs::{KEPT_RESULT_BYTES, KEPT_RUNS, Run, ToolRuns};
