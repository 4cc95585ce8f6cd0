"""Tool calls: every call ends exactly once, whatever is lost, repeated, late or forged.

``ToolCalls`` belongs to the side that asks (the server) and runs one state machine per call, for
tools of the server and of the client alike. ``ToolRuns`` belongs to the side that executes and
runs each call at most once. Neither reads a clock; ``now_ms`` is any monotonic clock in
milliseconds (protocol/spec/tools.md).
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from voxwire_protocol._tool_calls import (
    MIN_TOKEN_BYTES,
    AskPolicy,
    Call,
    CallState,
    Duplicate,
    Effect,
    Ended,
    Executor,
    Late,
    Moved,
    OnInterruption,
    Opened,
    Refused,
    Terminal,
    ToolUseError,
    check_request,
    digest,
    invalid,
)
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tool_runs import CallError, Run, ToolRuns, size_bytes

__all__ = [
    "KEPT_CALLS",
    "MIN_TOKEN_BYTES",
    "AskPolicy",
    "Call",
    "CallError",
    "CallState",
    "Duplicate",
    "Effect",
    "Executor",
    "Late",
    "Moved",
    "OnInterruption",
    "Refused",
    "Run",
    "Terminal",
    "ToolCalls",
    "ToolRuns",
    "ToolUseError",
]

KEPT_CALLS: Final = 256
"""Ended calls that are remembered, to tell a late result from an unknown one."""


class ToolCalls:
    """The calls of one session, on the side that asks. Pure; owned by the session.

    Every verb first lets the deadline of its call pass if it has: what comes at or after the
    deadline is late, whether or not ``tick`` ran in between.
    """

    def __init__(
        self,
        *,
        default_timeout_ms: int = 10_000,
        accept_within_ms: int = 2_000,
        max_open: int = 32,
        max_result_bytes: int = 48 * 1024,
    ) -> None:
        """Creates a machine without calls, with the client attached.

        Args:
            default_timeout_ms: Longest run of a call that does not say it.
            accept_within_ms: Time in which a client must take a request.
            max_open: Most calls that may be open at once.
            max_result_bytes: Largest result, UTF-8; a larger one fails the call.
        """
        self._default_timeout_ms = default_timeout_ms
        self._accept_within_ms = accept_within_ms
        self._max_open = max_open
        self._max_result_bytes = max_result_bytes
        self._attached = True
        self._open: dict[str, Opened] = {}
        self._ended: OrderedDict[str, Ended] = OrderedDict()

    @property
    def open_calls(self) -> tuple[Call, ...]:
        """Calls that have not ended, oldest first: ``Snapshot``'s open tool calls."""
        return tuple(opened.call for opened in self._open.values())

    @property
    def next_due_ms(self) -> int | None:
        """When ``tick`` wants to be called next; None = no call is open."""
        return min((opened.due()[0] for opened in self._open.values()), default=None)

    def state(self, call_id: str) -> CallState | None:
        """Returns where a call is; None when it is unknown or forgotten."""
        known = self._known(call_id)
        return known.state if known else None

    def request(
        self,
        call_id: str,
        name: str,
        *,
        executor: Executor,
        arguments: str,
        now_ms: int,
        timeout_ms: int = 0,
        policy: OnInterruption = OnInterruption.CANCEL,
        call_token: bytes | None = None,
    ) -> Call:
        """Opens a call. Its deadline is armed from here on and nothing moves it.

        Args:
            call_id: Names the call; must be new.
            name: The tool.
            executor: Who runs it.
            arguments: JSON object, as text; checked against the schema by the caller.
            now_ms: Monotonic clock, milliseconds.
            timeout_ms: Longest run; 0 = the default.
            policy: What an interruption does to it.
            call_token: Unguessable bytes for a client's call. None only for a call that the
                server runs, or for a client whose protocol has no tokens.

        Returns:
            The call; for the client's, send a ``ToolRequest`` of it (not while detached:
            ``redeliver`` returns it then).

        Raises:
            ToolUseError: INVALID_ARGUMENT for an id that is known, a negative time, a token
                that is short or for a server's call; CAPACITY above ``max_open``.
        """
        if call_id in self._open or call_id in self._ended:
            raise invalid("the call_id is in use, or was a short while ago")
        check_request(executor, timeout_ms, call_token)
        if len(self._open) >= self._max_open:
            raise ToolUseError(ErrorCode.CAPACITY, "too many tool calls are open")
        deadline_ms = now_ms + (timeout_ms or self._default_timeout_ms)
        call = Call(call_id, name, executor, arguments, call_token, policy, now_ms, deadline_ms)
        waits = executor is Executor.CLIENT and self._attached
        accept_due_ms = now_ms + self._accept_within_ms if waits else None
        self._open[call_id] = Opened(call, CallState.REQUESTED, accept_due_ms)
        return call

    def accept(self, call_id: str, *, now_ms: int, by: Executor = Executor.CLIENT) -> list[Effect]:
        """Notes that the executor has taken a request.

        Args:
            call_id: The call.
            now_ms: Monotonic clock, milliseconds.
            by: Who says so.
        """
        return self._step(call_id, CallState.ACCEPTED, now_ms, by)

    def progress(
        self, call_id: str, *, now_ms: int, by: Executor = Executor.CLIENT
    ) -> list[Effect]:
        """Notes that a call runs; counts as acceptance, never moves the deadline.

        Args:
            call_id: The call.
            now_ms: Monotonic clock, milliseconds.
            by: Who says so.
        """
        return self._step(call_id, CallState.RUNNING, now_ms, by)

    def result(
        self,
        call_id: str,
        result: str | CallError,
        *,
        now_ms: int,
        call_token: bytes = b"",
        by: Executor = Executor.CLIENT,
    ) -> list[Effect]:
        """Ends a call with what its executor says, if it may.

        It counts once, for an open call, from its executor, with its token, before its deadline.

        Args:
            call_id: The call.
            result: JSON text, or the error.
            now_ms: Monotonic clock, milliseconds.
            call_token: The token that came with it; not looked at for a server's call.
            by: Who says so.

        Returns:
            The Terminal; or Duplicate; or Refused: FORBIDDEN for the wrong executor or token,
            TOOL_CLOSED for a call that is unknown or ended, after a Late the first time when it
            had ended without a result.
        """
        effects = self._expire(call_id, now_ms)
        known = self._known(call_id)
        if known is None:
            return [Refused(call_id, ErrorCode.TOOL_CLOSED)]
        if known.call.executor is not by or not known.call.token_matches(call_token):
            return [*effects, Refused(call_id, ErrorCode.FORBIDDEN)]
        if isinstance(known, Ended):
            return [*effects, *self._answer_ended(known, result, now_ms)]
        if size_bytes(result) > self._max_result_bytes:
            error = CallError(ErrorCode.TOO_LARGE, "the result is above the size limit")
            return [self._end(known, CallState.FAILED, now_ms, error=error, result=result)]
        if isinstance(result, CallError):
            return [self._end(known, CallState.FAILED, now_ms, error=result, result=result)]
        return [self._end(known, CallState.DONE, now_ms, output=result, result=result)]

    def cancel(
        self, call_id: str, reason: str, *, now_ms: int, by: Executor = Executor.SERVER
    ) -> list[Effect]:
        """Withdraws a call. The server may withdraw any, the client those that it runs.

        Args:
            call_id: The call; one that has ended stays as it is.
            reason: Why, one sentence.
            now_ms: Monotonic clock, milliseconds.
            by: Who withdraws it.

        Returns:
            The Terminal; nothing for a call that has ended; Refused: TOOL_CLOSED for an unknown
            one, FORBIDDEN for a client that does not run it.
        """
        effects = self._expire(call_id, now_ms)
        known = self._known(call_id)
        if known is None:
            return [Refused(call_id, ErrorCode.TOOL_CLOSED)]
        if by is Executor.CLIENT and known.call.executor is not by:
            return [*effects, Refused(call_id, ErrorCode.FORBIDDEN)]
        if isinstance(known, Ended):
            return effects
        withdraw = by is Executor.SERVER
        return [self._end(known, CallState.CANCELLED, now_ms, reason=reason, told=not withdraw)]

    def interrupted(self, now_ms: int) -> list[Effect]:
        """Applies each open call's policy to an interruption of the bot, oldest call first.

        Args:
            now_ms: Monotonic clock, milliseconds.

        Returns:
            What fell due before, then a Terminal for CANCEL, an AskPolicy for ASK, nothing for
            FINISH. A call that is asked about runs on, under its deadline.
        """
        effects = self.tick(now_ms)
        for opened in tuple(self._open.values()):
            call = opened.call
            if call.policy is OnInterruption.CANCEL:
                reason = "the bot was interrupted"
                effects.append(self._end(opened, CallState.CANCELLED, now_ms, reason=reason))
            elif call.policy is OnInterruption.ASK:
                effects.append(AskPolicy(call.call_id, call.name))
        return effects

    def tick(self, now_ms: int) -> list[Effect]:
        """Ends what fell due, earliest first: TIMED_OUT, or FAILED (UNREACHABLE) unaccepted.

        Args:
            now_ms: Monotonic clock, milliseconds.
        """
        due = sorted(self._open.values(), key=lambda opened: opened.due()[0])
        return [effect for opened in due for effect in self._expire(opened.call.call_id, now_ms)]

    def on_lost(self) -> None:
        """Notes that the client is away: requests need not be accepted until it is back.

        Deadlines run on.
        """
        self._attached = False
        for opened in self._open.values():
            opened.accept_due_ms = None

    def redeliver(self, now_ms: int) -> list[Call]:
        """Notes that the client is back and returns the requests to send again.

        These are the client's calls that were not accepted, with the same id and token; each
        one once for every ``on_lost``. The client has ``accept_within_ms`` again.

        Args:
            now_ms: Monotonic clock, milliseconds; call ``tick`` with it first.
        """
        if self._attached:
            return []
        self._attached = True
        again: list[Call] = []
        for opened in self._open.values():
            waits = opened.state is CallState.REQUESTED
            if waits and opened.call.executor is Executor.CLIENT:
                opened.accept_due_ms = now_ms + self._accept_within_ms
                again.append(opened.call)
        return again

    def _known(self, call_id: str) -> Opened | Ended | None:
        return self._open.get(call_id) or self._ended.get(call_id)

    def _step(self, call_id: str, to: CallState, now_ms: int, by: Executor) -> list[Effect]:
        effects = self._expire(call_id, now_ms)
        known = self._known(call_id)
        if known is None:
            return [Refused(call_id, ErrorCode.TOOL_CLOSED)]
        if known.call.executor is not by:
            return [*effects, Refused(call_id, ErrorCode.FORBIDDEN)]
        if isinstance(known, Ended):
            if known.result is not None:
                return [Duplicate(call_id)]
            return [*effects, Refused(call_id, ErrorCode.TOOL_CLOSED)]
        known.accept_due_ms = None
        if known.state is to or known.state is CallState.RUNNING:
            return []
        known.state = to
        return [Moved(call_id, to)]

    def _expire(self, call_id: str, now_ms: int) -> list[Effect]:
        """Ends a call whose time is over."""
        opened = self._open.get(call_id)
        if opened is None:
            return []
        due_ms, acceptance = opened.due()
        if now_ms < due_ms:
            return []
        if acceptance:
            error = CallError(ErrorCode.UNREACHABLE, "the client did not take the call in time")
            return [self._end(opened, CallState.FAILED, now_ms, error=error)]
        error = CallError(ErrorCode.TIMEOUT, "the call passed its deadline")
        return [self._end(opened, CallState.TIMED_OUT, now_ms, error=error)]

    def _answer_ended(self, ended: Ended, result: str | CallError, now_ms: int) -> list[Effect]:
        call = ended.call
        if ended.result is not None:
            if ended.result == digest(result):
                return [Duplicate(call.call_id)]
        elif not ended.late and size_bytes(result) <= self._max_result_bytes:
            ended.late = True
            outcome, late_ms = ToolOutcome(ended.state), now_ms - ended.ended_ms
            return [
                Late(call.call_id, call.name, outcome, result, late_ms),
                Refused(call.call_id, ErrorCode.TOOL_CLOSED),
            ]
        return [Refused(call.call_id, ErrorCode.TOOL_CLOSED)]

    def _end(
        self,
        opened: Opened,
        state: CallState,
        now_ms: int,
        *,
        output: str | None = None,
        error: CallError | None = None,
        reason: str = "",
        result: str | CallError | None = None,
        told: bool = False,
    ) -> Terminal:
        """Ends a call; the only place that does. ``told``: the client withdrew it itself."""
        call = opened.call
        del self._open[call.call_id]
        kept = None if result is None else digest(result)
        self._ended[call.call_id] = Ended(replace(call, arguments=""), state, now_ms, kept)
        if len(self._ended) > KEPT_CALLS:
            self._ended.popitem(last=False)
        return Terminal(
            call_id=call.call_id,
            name=call.name,
            executor=call.executor,
            outcome=ToolOutcome(state),
            output=output,
            error=error,
            reason=reason,
            duration_ms=now_ms - call.requested_ms,
            withdraw=call.executor is Executor.CLIENT and result is None and not told,
        )
