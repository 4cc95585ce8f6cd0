//! Tool calls: the asking side.

use super::memory::{Bytes, Kept, Object, Text, array, free, give, given, handle, on, put};
use super::tool_runs::{CallResult, result_of, shown_result};
use crate::code::{ErrorCode, VoxwireError};
use crate::kinds::{Executor, OnInterruption};
use crate::objects::{self, Call, Effect};
use crate::values::ToolCallsOptions;

/// The calls of one session, on the side that asks: a client's tests of its own tools stand on it.
/// Times are milliseconds of one monotonic clock, of any origin.
#[derive(Debug)]
pub struct ToolCalls(Object<objects::ToolCalls>);

handle!(ToolCalls of objects::ToolCalls);

/// A call as it is opened, and as it was made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ToolCall {
    /// Names the call, unique in the session.
    pub call_id: Text,
    /// The tool.
    pub name: Text,
    /// Who runs it (`VoxwireExecutor`).
    pub executor: i32,
    /// JSON object, as text.
    pub arguments: Text,
    /// Unguessable bytes for a client's call, at least 16; none for a call that the server runs.
    pub call_token: Bytes,
    /// What an interruption does to it (`VoxwireOnInterruption`).
    pub policy: i32,
    /// Of one that is opened: longest run, milliseconds; 0 = the default. Not looked at later.
    pub timeout_ms: u64,
    /// Of one that was made: when it was opened, milliseconds.
    pub requested_ms: u64,
    /// Of one that was made: when it times out, whatever happens, milliseconds.
    pub deadline_ms: u64,
}

/// Several calls, oldest first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ToolCallList {
    /// The first one.
    pub items: *const ToolCall,
    /// How many there are.
    pub len: usize,
}

/// What a verb tells of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EffectKind {
    /// It went on to a state that is not final: `state`.
    Moved,
    /// It ended; exactly once for each call. `name`, `executor`, `outcome`, `result` (`output` or an
    /// error, if any), `reason` when cancelled, `duration_ms` since the request, `withdraw`.
    Terminal,
    /// A message about it had no effect; its sender is told so: `code`.
    Refused,
    /// The result that ended it, once more.
    Duplicate,
    /// A genuine result after its end: `name`, `outcome`, `result`, `duration_ms` since the end.
    Late,
    /// The bot was interrupted and decides: `name`.
    AskPolicy,
}

/// What a verb tells; which fields count is said by its kind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ToolEffect {
    /// What it is.
    pub kind: EffectKind,
    /// The call.
    pub call_id: Text,
    /// The tool.
    pub name: Text,
    /// `VoxwireExecutor`.
    pub executor: i32,
    /// `VoxwireCallState`.
    pub state: i32,
    /// `VoxwireToolOutcome`.
    pub outcome: i32,
    /// What was refused.
    pub code: ErrorCode,
    /// What the tool gave.
    pub result: CallResult,
    /// Why, when cancelled.
    pub reason: Text,
    /// Milliseconds.
    pub duration_ms: u64,
    /// True when the client still holds the call and is to be sent `ToolCancel`.
    pub withdraw: bool,
}

/// Several effects, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ToolEffectList {
    /// The first one.
    pub items: *const ToolEffect,
    /// How many there are.
    pub len: usize,
}

fn executor_of(number: i32) -> Result<Executor, VoxwireError> {
    Executor::numbered(number).ok_or_else(|| VoxwireError::invalid("there is no such executor"))
}

fn request_of(call: ToolCall) -> Result<objects::ToolRequest, VoxwireError> {
    let no_policy = || VoxwireError::invalid("there is no such policy");
    let token = call.call_token;
    Ok(objects::ToolRequest {
        call_id: call.call_id.owned()?,
        name: call.name.owned()?,
        executor: executor_of(call.executor)?,
        arguments: call.arguments.owned()?,
        timeout_ms: call.timeout_ms,
        policy: OnInterruption::numbered(call.policy).ok_or_else(no_policy)?,
        call_token: (!token.data.is_null()).then(|| array(token.data, token.len).to_vec()),
    })
}

fn shown_call(kept: &mut Kept, call: Call) -> ToolCall {
    ToolCall {
        call_id: kept.text(call.call_id),
        name: kept.text(call.name),
        executor: call.executor as i32,
        arguments: kept.text(call.arguments),
        call_token: kept.optional_bytes(call.call_token),
        policy: call.policy as i32,
        timeout_ms: call.deadline_ms - call.requested_ms,
        requested_ms: call.requested_ms,
        deadline_ms: call.deadline_ms,
    }
}

fn shown_calls(kept: &mut Kept, calls: Vec<Call>) -> ToolCallList {
    let calls = calls.into_iter().map(|call| shown_call(kept, call)).collect();
    let (items, len) = kept.list(calls);
    ToolCallList { items, len }
}

fn shown_effect(kept: &mut Kept, effect: Effect) -> ToolEffect {
    let mut shown = ToolEffect {
        kind: EffectKind::Duplicate,
        call_id: Text::NONE,
        name: Text::NONE,
        executor: 0,
        state: 0,
        outcome: 0,
        code: ErrorCode::Unspecified,
        result: CallResult::NONE,
        reason: Text::NONE,
        duration_ms: 0,
        withdraw: false,
    };
    let id = match effect {
        Effect::Moved { call_id, state } => {
            (shown.kind, shown.state) = (EffectKind::Moved, state as i32);
            call_id
        }
        Effect::Terminal {
            call_id,
            name,
            executor,
            outcome,
            output,
            error,
            reason,
            duration_ms,
            withdraw,
        } => {
            (shown.kind, shown.outcome) = (EffectKind::Terminal, outcome as i32);
            (shown.name, shown.reason) = (kept.text(name), kept.text(reason));
            (shown.executor, shown.duration_ms) = (executor as i32, duration_ms);
            shown.withdraw = withdraw;
            let output = output.map(|json| objects::CallResult::Output { json });
            let error = error.map(|error| objects::CallResult::Error { error });
            shown.result = output.or(error).map_or(CallResult::NONE, |one| shown_result(kept, one));
            call_id
        }
        Effect::Refused { call_id, code } => {
            (shown.kind, shown.code) = (EffectKind::Refused, code);
            call_id
        }
        Effect::Duplicate { call_id } => call_id,
        Effect::Late { call_id, name, outcome, result, late_ms } => {
            (shown.kind, shown.outcome) = (EffectKind::Late, outcome as i32);
            (shown.name, shown.duration_ms) = (kept.text(name), late_ms);
            shown.result = shown_result(kept, result);
            call_id
        }
        Effect::AskPolicy { call_id, name } => {
            (shown.kind, shown.name) = (EffectKind::AskPolicy, kept.text(name));
            call_id
        }
    };
    shown.call_id = kept.text(id);
    shown
}

/// A verb that tells effects.
fn tell(
    calls: *mut ToolCalls,
    out: *mut ToolEffectList,
    run: impl FnOnce(&objects::ToolCalls) -> Result<Vec<Effect>, VoxwireError>,
) -> ErrorCode {
    on(calls, |inner, kept| {
        let effects = run(inner)?.into_iter().map(|effect| shown_effect(kept, effect)).collect();
        let (items, len) = kept.list(effects);
        put(out, ToolEffectList { items, len });
        Ok(())
    })
}

/// A machine without calls, with the client attached.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_new(
    options: *const ToolCallsOptions,
    out: *mut *mut ToolCalls,
) -> ErrorCode {
    give(out, || Ok(ToolCalls(Object::new(objects::ToolCalls::new(given(options)?)))))
}

/// Frees a machine, and what it handed out.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_free(calls: *mut ToolCalls) {
    free(calls);
}

/// Gives the calls that have not ended, oldest first.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_open(
    calls: *mut ToolCalls,
    out: *mut ToolCallList,
) -> ErrorCode {
    on(calls, |inner, kept| {
        put(out, shown_calls(kept, inner.open_calls()));
        Ok(())
    })
}

/// Gives when `voxwire_tool_calls_tick` wants to be called next; `UINT64_MAX` = no call is open.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_next_due_ms(
    calls: *mut ToolCalls,
    out: *mut u64,
) -> ErrorCode {
    on(calls, |inner, _| {
        put(out, inner.next_due_ms().unwrap_or(u64::MAX));
        Ok(())
    })
}

/// Gives where a call is (`VoxwireCallState`); -1 when it is unknown or forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_state(
    calls: *mut ToolCalls,
    call_id: Text,
    out: *mut i32,
) -> ErrorCode {
    on(calls, |inner, _| {
        put(out, inner.state(call_id.read()?).map_or(-1, |state| state as i32));
        Ok(())
    })
}

/// Opens a call and gives it back as it was made. `INVALID_ARGUMENT` for an id that is known and for
/// a token that is short or for a server's call; `CAPACITY` when too many are open.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_request(
    calls: *mut ToolCalls,
    request: *const ToolCall,
    now_ms: u64,
    out: *mut ToolCall,
) -> ErrorCode {
    on(calls, |inner, kept| {
        let made = inner.request(request_of(given(request)?)?, now_ms)?;
        put(out, shown_call(kept, made));
        Ok(())
    })
}

/// Notes that the executor has taken a request; `by` (`VoxwireExecutor`) is who says so.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_accept(
    calls: *mut ToolCalls,
    call_id: Text,
    now_ms: u64,
    by: i32,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| Ok(inner.accept(call_id.read()?, now_ms, executor_of(by)?)))
}

/// Notes that a call runs; counts as acceptance, never moves the deadline.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_progress(
    calls: *mut ToolCalls,
    call_id: Text,
    now_ms: u64,
    by: i32,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| Ok(inner.progress(call_id.read()?, now_ms, executor_of(by)?)))
}

/// Ends a call with what its executor says, if it may.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_result(
    calls: *mut ToolCalls,
    call_id: Text,
    result: CallResult,
    call_token: Bytes,
    now_ms: u64,
    by: i32,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| {
        let (id, result, by) = (call_id.read()?, result_of(result)?, executor_of(by)?);
        Ok(inner.result(id, result, call_token.read(), now_ms, by))
    })
}

/// Withdraws a call; `by` (`VoxwireExecutor`) is who does.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_cancel(
    calls: *mut ToolCalls,
    call_id: Text,
    reason: Text,
    now_ms: u64,
    by: i32,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| {
        Ok(inner.cancel(call_id.read()?, reason.read()?, now_ms, executor_of(by)?))
    })
}

/// Applies each open call's policy to an interruption of the bot, oldest call first.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_interrupted(
    calls: *mut ToolCalls,
    now_ms: u64,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| Ok(inner.interrupted(now_ms)))
}

/// Ends what fell due, earliest first.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_tick(
    calls: *mut ToolCalls,
    now_ms: u64,
    out: *mut ToolEffectList,
) -> ErrorCode {
    tell(calls, out, |inner| Ok(inner.tick(now_ms)))
}

/// Notes that the client is away: requests need not be accepted until it is back.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_on_lost(calls: *mut ToolCalls) -> ErrorCode {
    on(calls, |inner, _| {
        inner.on_lost();
        Ok(())
    })
}

/// Notes that the client is back and gives the requests to send again.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_tool_calls_redeliver(
    calls: *mut ToolCalls,
    now_ms: u64,
    out: *mut ToolCallList,
) -> ErrorCode {
    on(calls, |inner, kept| {
        put(out, shown_calls(kept, inner.redeliver(now_ms)));
        Ok(())
    })
}
