//! Tool calls: the executing side.

use super::memory::{Kept, Object, Text, TextList, free, give, handle, on, put};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::Run;
use crate::objects;

/// The calls that this side executes; owned by the session. Each runs at most once.
#[derive(Debug)]
pub struct ToolRuns(Object<objects::ToolRuns>);

handle!(ToolRuns of objects::ToolRuns);

/// What a tool gave: `output`, or an error when that is null; neither when nothing was given.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CallResult {
    /// What it returned, JSON text.
    pub output: Text,
    /// What went wrong (`VoxwireErrorCode`); 0 with an output.
    pub error: i32,
    /// Why; may be the client's own words, so it is content.
    pub reason: Text,
    /// True when the same call may succeed later.
    pub retryable: bool,
}

impl CallResult {
    /// Nothing.
    pub(super) const NONE: Self =
        Self { output: Text::NONE, error: 0, reason: Text::NONE, retryable: false };
}

pub(super) fn result_of(result: CallResult) -> Result<objects::CallResult, VoxwireError> {
    if !result.output.data.is_null() {
        return Ok(objects::CallResult::Output { json: result.output.owned()? });
    }
    let code = ErrorCode::with_number(result.error);
    if code == ErrorCode::Unspecified {
        return Err(VoxwireError::invalid("a result has an output or an error"));
    }
    let (reason, retryable) = (result.reason.owned()?, result.retryable);
    let error = objects::CallError { code, reason, retryable };
    Ok(objects::CallResult::Error { error })
}

pub(super) fn shown_result(kept: &mut Kept, result: objects::CallResult) -> CallResult {
    match result {
        objects::CallResult::Output { json } => {
            CallResult { output: kept.text(json), ..CallResult::NONE }
        }
        objects::CallResult::Error { error } => CallResult {
            output: Text::NONE,
            error: error.code as i32,
            reason: kept.text(error.reason),
            retryable: error.retryable,
        },
    }
}

/// A machine that has run nothing.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_new(out: *mut *mut ToolRuns) -> ErrorCode {
    give(out, || Ok(ToolRuns(Object::new(objects::ToolRuns::new()))))
}

/// Frees a machine, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_free(runs: *mut ToolRuns) {
    free(runs);
}

/// Gives the calls whose tool runs now, by their ids.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_running(runs: *mut ToolRuns, out: *mut TextList) -> ErrorCode {
    on(runs, |inner, kept| {
        let ids = inner.running().into_iter().map(|id| kept.text(id)).collect();
        let (items, len) = kept.list(ids);
        put(out, TextList { items, len });
        Ok(())
    })
}

/// Takes a request: `START` the first time, `RUNNING`, `FINISHED` or `IGNORE` after that.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_request(
    runs: *mut ToolRuns,
    call_id: Text,
    out: *mut Run,
) -> ErrorCode {
    on(runs, |inner, _| {
        put(out, inner.request(call_id.read()?));
        Ok(())
    })
}

/// Notes what a tool gave; gives whether it is to be sent as the `ToolResult`.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_finish(
    runs: *mut ToolRuns,
    call_id: Text,
    result: CallResult,
    out: *mut bool,
) -> ErrorCode {
    on(runs, |inner, _| {
        put(out, inner.finish(call_id.read()?, result_of(result)?));
        Ok(())
    })
}

/// Takes a `ToolCancel`: `STOP` a running tool, `IGNORE` anything else.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_withdraw(
    runs: *mut ToolRuns,
    call_id: Text,
    out: *mut Run,
) -> ErrorCode {
    on(runs, |inner, _| {
        put(out, inner.withdraw(call_id.read()?));
        Ok(())
    })
}

/// Gives what a finished call gave; neither output nor error when it is not kept any more.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_runs_result_of(
    runs: *mut ToolRuns,
    call_id: Text,
    out: *mut CallResult,
) -> ErrorCode {
    on(runs, |inner, kept| {
        let result = inner.result_of(call_id.read()?);
        put(out, result.map_or(CallResult::NONE, |result| shown_result(kept, result)));
        Ok(())
    })
}
