"""Tool calls on a clock: requests out, one timer, one end for each call.

The driver around the pure ``ToolCalls`` (protocol/spec/tools.md); what the client says comes in
through ``SessionTools``.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.json_text import MAX_JSON_BYTES, JsonTextError, dump_json
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import (
    AskPolicy,
    Call,
    CallError,
    Effect,
    Executor,
    Late,
    OnInterruption,
    Refused,
    Terminal,
    ToolCalls,
    ToolUseError,
)
from voxwire_server.outgoing import sendable
from voxwire_server.tools.reports import ToolReports
from voxwire_server.tools.values import (
    Outcome,
    ServerCall,
)

__all__ = ["INTERRUPTED", "CallDriver", "ToolPort", "Waiting"]

_log = logging.getLogger("voxwire.session")

_MAX_SUBJECT_CHARS: Final = 128
_NOTHING: Final = "null"
INTERRUPTED: Final = "the bot was interrupted"
"""Reason of a call that an interruption cancelled."""
_REFUSALS: Final = {
    ErrorCode.TOOL_CLOSED: "the tool call is unknown or has ended",
    ErrorCode.FORBIDDEN: "the tool call is not this client's to answer, or the call_token is wrong",
}


class ToolPort(Protocol):
    """What the driver needs of its session."""

    def emit(self, **payload: Any) -> None:
        """Send a payload of the envelope to the client."""
        ...

    def emit_error(self, code: wire.ErrorCode, reason: str, *, subject: str = "") -> None:
        """Tell the client what went wrong."""
        ...

    def now_ms(self) -> float:
        """Monotonic clock, milliseconds."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run work as part of the session."""
        ...

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """``work``, for a timer of the session: it ends when that raises."""
        ...


@dataclass(slots=True)
class Waiting:
    """A call that somebody waits for; ``spec`` is None when the server runs it."""

    future: "asyncio.Future[Outcome]"
    name: str
    model_id: str
    spec: ToolSpec | None
    value: Any = None


class CallDriver:
    """Begins calls, lets time pass and ends them; part of ``SessionTools``."""

    def __init__(self, port: ToolPort) -> None:
        """Creates a driver without calls, with the client attached.

        Args:
            port: The session.
        """
        self._port = port
        self._calls = ToolCalls(max_result_bytes=MAX_JSON_BYTES)
        self.reports = ToolReports(port.emit)
        self._waiting: dict[str, Waiting] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._attached = True
        self._closed = False

    # calls

    async def run_client(
        self,
        call_id: str,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        *,
        timeout_ms: int = 0,
        policy: OnInterruption | None = None,
    ) -> Outcome:
        """Have the client run one of its tools. A cancelled wait withdraws the call.

        Args:
            call_id: The model's id of the call.
            spec: The tool.
            arguments: What the model gives it; checked here.
            timeout_ms: Longest run; 0 = the tool's own, or the default.
            policy: What an interruption does; None = what the tool says.

        Returns:
            How it ended; never raises for what the client does.
        """
        try:
            text = dump_json(dict(arguments))
        except JsonTextError as error:
            return self._failed(call_id, CallError(error.code, f"the arguments: {error.reason}"))
        misfit = spec.check_arguments(dict(arguments))
        if misfit is not None:
            return self._failed(call_id, misfit)
        own_id = self.reports.client_id(call_id)
        try:
            call = self._calls.request(
                own_id,
                spec.name,
                executor=Executor.CLIENT,
                arguments=text,
                now_ms=self._now(),
                timeout_ms=timeout_ms or spec.timeout_ms,
                policy=policy or spec.on_interruption,
                call_token=secrets.token_bytes(16),
            )
        except ToolUseError as error:
            return self._failed(call_id, CallError(error.code, error.reason))
        if self._attached:
            self._request(call)
        return await self._outcome(own_id, Waiting(_new_future(), spec.name, call_id, spec))

    async def run_server(
        self,
        call_id: str,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        work: Callable[[ServerCall], Awaitable[Any]],
    ) -> Outcome:
        """Run a tool of the server's. A cancelled wait cancels it.

        Args:
            call_id: The model's id of the call.
            spec: The tool.
            arguments: What the model gives it; checked here.
            work: Runs it; what it returns is the result, unless it finished the call before.
        """
        misfit = spec.check_arguments(dict(arguments))
        if misfit is not None:
            return self._failed(call_id, misfit)
        own_id = self.reports.client_id(call_id)
        try:
            self._calls.request(
                own_id,
                spec.name,
                executor=Executor.SERVER,
                arguments="",
                now_ms=self._now(),
                timeout_ms=spec.timeout_ms,
                policy=spec.on_interruption,
            )
        except ToolUseError as error:
            return self._failed(call_id, CallError(error.code, error.reason))
        waiting = Waiting(_new_future(), spec.name, call_id, None)
        self._waiting[own_id] = waiting
        task = self._port.spawn(self._work(own_id, waiting, work))
        if task is None:
            self.cancel(own_id, "the session is over")
        try:
            outcome = await self._outcome(own_id, waiting)
        except asyncio.CancelledError:
            if task is not None:
                task.cancel()
            raise
        if task is not None and outcome.outcome is not ToolOutcome.DONE:
            task.cancel()  # a function that finished its call before its end may go on
        return outcome

    async def _outcome(self, own_id: str, waiting: Waiting) -> Outcome:
        self._waiting[own_id] = waiting
        self._arm()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            self.cancel(own_id, INTERRUPTED)  # only an interruption or the end does that
            raise
        finally:
            self._waiting.pop(own_id, None)

    async def _work(
        self, own_id: str, waiting: Waiting, work: Callable[[ServerCall], Awaitable[Any]]
    ) -> None:
        me = Executor.SERVER

        def end(result: str | CallError) -> None:
            if not waiting.future.done():
                self._apply(self._calls.result(own_id, result, now_ms=self._now(), by=me), me)

        def finish(value: Any) -> None:
            waiting.value = value
            end(_NOTHING)

        def progress(note: Any) -> None:
            if not waiting.future.done():
                self._apply(self._calls.progress(own_id, now_ms=self._now(), by=me), me)
                self.reports.progress(waiting.model_id, note)

        self._apply(self._calls.accept(own_id, now_ms=self._now(), by=me), me)
        try:
            finish(await work(ServerCall(finish, progress)))
        except asyncio.CancelledError:
            self.cancel(own_id, "the tool was cancelled")
            raise
        except Exception as error:
            _log.warning("a tool raised", exc_info=error, extra={"tool": waiting.name})
            end(CallError(ErrorCode.TOOL_FAILED, type(error).__name__))

    def cancel(self, call_id: str, reason: str) -> None:
        """Withdraw a call, by the id that the client knows; nothing when it has ended.

        Args:
            call_id: The call.
            reason: Why, one sentence; the client sees it.
        """
        if self._calls.state(call_id) is not None:
            self._apply(self._calls.cancel(call_id, reason, now_ms=self._now()))

    def interrupted(self) -> None:
        """The bot was interrupted: apply each open call's policy."""
        self._apply(self._calls.interrupted(self._now()))

    # the control channel

    def on_lost(self) -> None:
        """The control channel is gone: deadlines run on, acceptance waits."""
        self._attached = False
        self._calls.on_lost()
        self._arm()

    def on_resumed(self) -> None:
        """The client is back: send it again what it has not taken."""
        now = self._now()
        self._apply(self._calls.tick(now))
        self._attached = True
        for call in self._calls.redeliver(now):
            self._request(call)
        self._arm()

    def snapshot(self) -> list[wire.ToolCallStarted]:
        """Open calls, as far as the client sees them."""
        return self.reports.open_calls()

    def close(self) -> None:
        """End every call without telling anybody; the session is over."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in list(self._waiting.values()):
            if not waiting.future.done():
                reason = "the session ended"
                waiting.future.set_result(Outcome(ToolOutcome.CANCELLED, reason=reason))

    # effects

    def _now(self) -> int:
        return int(self._port.now_ms())

    def _apply(self, effects: Iterable[Effect], by: Executor = Executor.CLIENT) -> None:
        """Acts on what the core says; the client is told of a refusal of its own messages."""
        for effect in effects:
            match effect:
                case Terminal():
                    self._ended(effect)
                case Refused() if by is Executor.CLIENT:
                    self._error(effect.code, _REFUSALS[effect.code], effect.call_id)
                case Late():
                    self._late(effect)
                case AskPolicy():
                    self._ask(effect)
                case _:
                    pass
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._calls.next_due_ms
        if due is not None and not self._closed:
            delay_ms = max(1, due - self._now())
            tick = self._port.guarded(self._tick)
            self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, tick)

    def _tick(self) -> None:
        self._timer = None
        self._apply(self._calls.tick(self._now()))

    def _ended(self, terminal: Terminal) -> None:
        waiting = self._waiting.get(terminal.call_id)
        if terminal.withdraw and not self._closed:
            reason = terminal.reason or (terminal.error.reason if terminal.error else "")
            self._port.emit(
                tool_cancel=wire.ToolCancel(call_id=terminal.call_id, reason=sendable(reason))
            )
        if waiting is None:
            return
        done = terminal.outcome is ToolOutcome.DONE
        outcome = Outcome(
            terminal.outcome,
            value=waiting.value if done else None,
            error=terminal.error,
            reason=terminal.reason,
            interrupted=terminal.reason == INTERRUPTED,
        )
        shown = outcome.value if done else None
        self.reports.ended(waiting.model_id, _wire_outcome(terminal.outcome), shown)
        if not waiting.future.done():
            waiting.future.set_result(outcome)

    def _failed(self, call_id: str, error: CallError) -> Outcome:
        self.reports.ended(call_id, _wire_outcome(ToolOutcome.FAILED))
        return Outcome(ToolOutcome.FAILED, error=error)

    def _late(self, late: Late) -> None:
        """A genuine result came for a call that had ended without one."""

    def _ask(self, ask: AskPolicy) -> None:
        """The bot was interrupted and is to decide about a call."""

    def _request(self, call: Call) -> None:
        self._port.emit(
            tool_request=wire.ToolRequest(
                call_id=call.call_id,
                name=call.name,
                arguments_json=call.arguments,
                timeout_ms=call.remaining_ms(self._now()),
                call_token=call.call_token or b"",
            )
        )

    def _error(self, code: ErrorCode, reason: str, subject: str) -> None:
        if not self._closed:
            wire_code = cast("wire.ErrorCode", code.value)  # the numbers are the same
            self._port.emit_error(wire_code, reason, subject=subject[:_MAX_SUBJECT_CHARS])


def _new_future() -> "asyncio.Future[Outcome]":
    return asyncio.get_running_loop().create_future()


def _wire_outcome(outcome: ToolOutcome) -> wire.ToolOutcome:
    return wire.ToolOutcome.Value(f"TOOL_OUTCOME_{outcome.name}")
