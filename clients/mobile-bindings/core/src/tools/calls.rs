//! The side that asks: one state machine per call.

use std::collections::{HashMap, VecDeque};

use super::call::{
    Call, CallError, CallResult, CallState, Effect, Executor, OnInterruption, ToolUseError, digest,
    size_bytes,
};
use super::request::{End, Ended, Opened, Request, ToolCallsOptions, check_token, invalid};
use crate::wire::ErrorCode;

/// Ended calls that are remembered, to tell a late result from an unknown one.
pub const KEPT_CALLS: usize = 256;

/// The calls of one session, on the side that asks; owned by the session.
///
/// Every verb first lets the deadline of its call pass if it has: what comes at or after the
/// deadline is late, whether or not [`tick`](Self::tick) ran in between.
#[derive(Debug)]
pub struct ToolCalls {
    options: ToolCallsOptions,
    attached: bool,
    /// Oldest first; at most `max_open`.
    open: Vec<Opened>,
    ended: HashMap<String, Ended>,
    /// What has ended, oldest first.
    order: VecDeque<String>,
}

impl ToolCalls {
    /// A machine without calls, with the client attached.
    #[must_use]
    pub fn new(options: ToolCallsOptions) -> Self {
        Self {
            options,
            attached: true,
            open: Vec::new(),
            ended: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Calls that have not ended, oldest first.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.open.iter().map(|opened| &opened.call)
    }

    /// When [`tick`](Self::tick) wants to be called next; `None` = no call is open.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.open.iter().map(|opened| opened.due().0).min()
    }

    /// Returns where a call is; `None` when it is unknown or forgotten.
    #[must_use]
    pub fn state(&self, call_id: &str) -> Option<CallState> {
        let open = self.find(call_id).map(|at| self.open[at].state);
        open.or_else(|| self.ended.get(call_id).map(|ended| ended.state))
    }

    /// Opens a call. Its deadline is armed from here on and nothing moves it.
    ///
    /// Returns the call; for the client's, send a `ToolRequest` of it (not while detached:
    /// [`redeliver`](Self::redeliver) returns it then).
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for an id that is known and for a token that is short or for a server's
    /// call; `CAPACITY` above `max_open`.
    pub fn request(&mut self, request: Request, now_ms: u64) -> Result<&Call, ToolUseError> {
        if self.state(&request.call_id).is_some() {
            return Err(invalid("the call_id is in use, or was a short while ago"));
        }
        check_token(&request)?;
        if self.open.len() >= self.options.max_open {
            let reason = "too many tool calls are open";
            return Err(ToolUseError { code: ErrorCode::Capacity, reason });
        }
        let timeout_ms = match request.timeout_ms {
            0 => self.options.default_timeout_ms,
            timeout_ms => timeout_ms,
        };
        let waits = request.executor == Executor::Client && self.attached;
        let call = Call {
            call_id: request.call_id,
            name: request.name,
            executor: request.executor,
            arguments: request.arguments,
            call_token: request.call_token,
            policy: request.policy,
            requested_ms: now_ms,
            deadline_ms: now_ms.saturating_add(timeout_ms),
        };
        let accept_due_ms = waits.then(|| now_ms.saturating_add(self.options.accept_within_ms));
        let at = self.open.len();
        self.open.push(Opened { call, state: CallState::Requested, accept_due_ms });
        Ok(&self.open[at].call)
    }

    /// Notes that the executor has taken a request; `by` is who says so.
    pub fn accept(&mut self, call_id: &str, now_ms: u64, by: Executor) -> Vec<Effect> {
        self.step(call_id, CallState::Accepted, now_ms, by)
    }

    /// Notes that a call runs; counts as acceptance, never moves the deadline.
    pub fn progress(&mut self, call_id: &str, now_ms: u64, by: Executor) -> Vec<Effect> {
        self.step(call_id, CallState::Running, now_ms, by)
    }

    /// Ends a call with what its executor says, if it may: it counts once, for an open call, from
    /// its executor, with its token, before its deadline.
    ///
    /// Returns the Terminal; or Duplicate; or Refused: `FORBIDDEN` for the wrong executor or token,
    /// `TOOL_CLOSED` for a call that is unknown or ended, after a Late the first time when it had
    /// ended without a result.
    pub fn result(
        &mut self,
        call_id: &str,
        result: CallResult,
        call_token: &[u8],
        now_ms: u64,
        by: Executor,
    ) -> Vec<Effect> {
        let mut effects = self.expire(call_id, now_ms);
        let Some(call) = self.call(call_id) else {
            return vec![refused(call_id, ErrorCode::ToolClosed)];
        };
        if call.executor != by || !call.token_matches(call_token) {
            effects.push(refused(call_id, ErrorCode::Forbidden));
            return effects;
        }
        let Some(at) = self.find(call_id) else {
            effects.extend(self.answer_ended(call_id, result, now_ms));
            return effects;
        };
        let kept = Some(digest(&result));
        let too_large = size_bytes(&result) > self.options.max_result_bytes;
        let (state, end) = match result {
            _ if too_large => {
                let error = error_of(ErrorCode::TooLarge, "the result is above the size limit");
                (CallState::Failed, End { error: Some(error), result: kept, ..End::default() })
            }
            Ok(output) => {
                (CallState::Done, End { output: Some(output), result: kept, ..End::default() })
            }
            Err(error) => {
                (CallState::Failed, End { error: Some(error), result: kept, ..End::default() })
            }
        };
        vec![self.end(at, state, now_ms, end)]
    }

    /// Withdraws a call, with one sentence why. The server may withdraw any, the client those that
    /// it runs.
    ///
    /// Returns the Terminal; nothing for a call that has ended; Refused: `TOOL_CLOSED` for an
    /// unknown one, `FORBIDDEN` for a client that does not run it.
    pub fn cancel(
        &mut self,
        call_id: &str,
        reason: &str,
        now_ms: u64,
        by: Executor,
    ) -> Vec<Effect> {
        let mut effects = self.expire(call_id, now_ms);
        let Some(call) = self.call(call_id) else {
            return vec![refused(call_id, ErrorCode::ToolClosed)];
        };
        if by == Executor::Client && call.executor != by {
            effects.push(refused(call_id, ErrorCode::Forbidden));
            return effects;
        }
        let Some(at) = self.find(call_id) else { return effects };
        let told = by == Executor::Client;
        let end = End { reason: reason.to_owned(), told, ..End::default() };
        vec![self.end(at, CallState::Cancelled, now_ms, end)]
    }

    /// Applies each open call's policy to an interruption of the bot, oldest call first.
    ///
    /// Returns what fell due before, then a Terminal for `Cancel`, an `AskPolicy` for `Ask`,
    /// nothing for `Finish`. A call that is asked about runs on, under its deadline.
    pub fn interrupted(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = self.tick(now_ms);
        let mut at = 0;
        while at < self.open.len() {
            let call = &self.open[at].call;
            match call.policy {
                OnInterruption::Cancel => {
                    let reason = "the bot was interrupted".to_owned();
                    let end = End { reason, ..End::default() };
                    effects.push(self.end(at, CallState::Cancelled, now_ms, end));
                    continue;
                }
                OnInterruption::Ask => effects.push(Effect::AskPolicy {
                    call_id: call.call_id.clone(),
                    name: call.name.clone(),
                }),
                OnInterruption::Finish => {}
            }
            at += 1;
        }
        effects
    }

    /// Ends what fell due, earliest first: `TimedOut`, or `Failed` (`UNREACHABLE`) unaccepted.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut due: Vec<(u64, String)> = self
            .open
            .iter()
            .map(|opened| (opened.due().0, opened.call.call_id.clone()))
            .filter(|(due_ms, _)| *due_ms <= now_ms)
            .collect();
        due.sort_by_key(|(due_ms, _)| *due_ms);
        due.iter().flat_map(|(_, call_id)| self.expire(call_id, now_ms)).collect()
    }

    /// Notes that the client is away: requests need not be accepted until it is back. Deadlines run
    /// on.
    pub fn on_lost(&mut self) {
        self.attached = false;
        for opened in &mut self.open {
            opened.accept_due_ms = None;
        }
    }

    /// Notes that the client is back and returns the requests to send again; call
    /// [`tick`](Self::tick) with the same time first.
    ///
    /// These are the client's calls that were not accepted, with the same id and token; each one
    /// once for every [`on_lost`](Self::on_lost). The client has `accept_within_ms` again.
    pub fn redeliver(&mut self, now_ms: u64) -> Vec<Call> {
        if self.attached {
            return Vec::new();
        }
        self.attached = true;
        let due_ms = now_ms.saturating_add(self.options.accept_within_ms);
        let waiting = self.open.iter_mut().filter(|opened| {
            opened.state == CallState::Requested && opened.call.executor == Executor::Client
        });
        let again = waiting.map(|opened| {
            opened.accept_due_ms = Some(due_ms);
            opened.call.clone()
        });
        again.collect()
    }

    fn find(&self, call_id: &str) -> Option<usize> {
        self.open.iter().position(|opened| opened.call.call_id == call_id)
    }

    /// A call that is open, or remembered.
    fn call(&self, call_id: &str) -> Option<&Call> {
        let open = self.find(call_id).map(|at| &self.open[at].call);
        open.or_else(|| self.ended.get(call_id).map(|ended| &ended.call))
    }

    fn step(&mut self, call_id: &str, to: CallState, now_ms: u64, by: Executor) -> Vec<Effect> {
        let mut effects = self.expire(call_id, now_ms);
        let Some(call) = self.call(call_id) else {
            return vec![refused(call_id, ErrorCode::ToolClosed)];
        };
        if call.executor != by {
            effects.push(refused(call_id, ErrorCode::Forbidden));
            return effects;
        }
        let Some(at) = self.find(call_id) else {
            if self.ended.get(call_id).is_some_and(|ended| ended.result.is_some()) {
                return vec![Effect::Duplicate { call_id: call_id.to_owned() }];
            }
            effects.push(refused(call_id, ErrorCode::ToolClosed));
            return effects;
        };
        let opened = &mut self.open[at];
        opened.accept_due_ms = None;
        if opened.state == to || opened.state == CallState::Running {
            return Vec::new();
        }
        opened.state = to;
        vec![Effect::Moved { call_id: call_id.to_owned(), state: to }]
    }

    /// Ends a call whose time is over.
    fn expire(&mut self, call_id: &str, now_ms: u64) -> Vec<Effect> {
        let Some(at) = self.find(call_id) else { return Vec::new() };
        let (due_ms, acceptance) = self.open[at].due();
        if now_ms < due_ms {
            return Vec::new();
        }
        let (state, error) = if acceptance {
            let reason = "the client did not take the call in time";
            (CallState::Failed, error_of(ErrorCode::Unreachable, reason))
        } else {
            let reason = "the call passed its deadline";
            (CallState::TimedOut, error_of(ErrorCode::Timeout, reason))
        };
        vec![self.end(at, state, now_ms, End { error: Some(error), ..End::default() })]
    }

    fn answer_ended(&mut self, call_id: &str, result: CallResult, now_ms: u64) -> Vec<Effect> {
        let Some(ended) = self.ended.get_mut(call_id) else { return Vec::new() };
        let mut effects = Vec::new();
        match ended.result {
            Some(kept) if kept == digest(&result) => {
                return vec![Effect::Duplicate { call_id: call_id.to_owned() }];
            }
            None if !ended.late && size_bytes(&result) <= self.options.max_result_bytes => {
                ended.late = true;
                effects.push(Effect::Late {
                    call_id: call_id.to_owned(),
                    name: ended.call.name.clone(),
                    outcome: ended.state.outcome(),
                    result,
                    late_ms: now_ms.saturating_sub(ended.ended_ms),
                });
            }
            _ => {}
        }
        effects.push(refused(call_id, ErrorCode::ToolClosed));
        effects
    }

    /// Ends a call; the only place that does.
    fn end(&mut self, at: usize, state: CallState, now_ms: u64, end: End) -> Effect {
        let mut call = self.open.remove(at).call;
        call.arguments = String::new();
        let terminal = Effect::Terminal {
            call_id: call.call_id.clone(),
            name: call.name.clone(),
            executor: call.executor,
            outcome: state.outcome(),
            output: end.output,
            error: end.error,
            reason: end.reason,
            duration_ms: now_ms.saturating_sub(call.requested_ms),
            withdraw: call.executor == Executor::Client && end.result.is_none() && !end.told,
        };
        let call_id = call.call_id.clone();
        self.order.push_back(call_id.clone());
        let kept = Ended { call, state, ended_ms: now_ms, result: end.result, late: false };
        self.ended.insert(call_id, kept);
        if self.order.len() > KEPT_CALLS
            && let Some(forgotten) = self.order.pop_front()
        {
            self.ended.remove(&forgotten);
        }
        terminal
    }
}

fn refused(call_id: &str, code: ErrorCode) -> Effect {
    Effect::Refused { call_id: call_id.to_owned(), code }
}

fn error_of(code: ErrorCode, reason: &str) -> CallError {
    CallError { code, reason: reason.to_owned(), retryable: false }
}
