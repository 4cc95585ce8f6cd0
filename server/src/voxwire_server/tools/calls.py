"""Tool calls on a clock: requests out, one timer, one end for each call.

The driver around the pure ``ToolCalls`` (protocol/spec/tools.md).
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.json_text import MAX_JSON_BYTES, JsonTextError, dump_json
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import (
    AskPolicy,
    Call,
    CallError,
    CallState,
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
from voxwire_server.ports import SessionPort
from voxwire_server.tools.ids import CallIds
from voxwire_server.tools.reports import ToolReports
from voxwire_server.tools.values import Outcome

__all__ = ["INTERRUPTED", "Calls", "Waiting"]

_MAX_SUBJECT_CHARS: Final = 128
INTERRUPTED: Final = "the bot was interrupted"
"""Reason of a call that an interruption cancelled."""
_REFUSALS: Final = {
    ErrorCode.TOOL_CLOSED: "the tool call is unknown or has ended",
    ErrorCode.FORBIDDEN: "the tool call is not this client's to answer, or the call_token is wrong",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call and its end, which somebody waits for.

    Attributes:
        call_id: The id that the client knows.
        spec: The tool.
        by: Who runs it.
        end: Done when the call has ended.
    """

    call_id: str
    spec: ToolSpec
    by: Executor
    end: "asyncio.Future[Outcome]"


class Calls:
    """Begins the calls of one session, lets time pass and ends them, whoever runs them.

    It makes each call's id and says each call's one end: to who waits for it, to the client that
    holds it, and to the reports. Calls that run elsewhere it knows by the pipeline's word alone.

    Args:
        port: The session.
        reports: Shows the calls to the client.
        late: Told of a genuine result of a call that had ended without one.
        ask: Told of a call that an interruption leaves to the bot.
    """

    def __init__(
        self,
        port: SessionPort,
        reports: ToolReports,
        *,
        late: Callable[[Late], None],
        ask: Callable[[AskPolicy], None],
    ) -> None:
        self._port = port
        self._reports = reports
        self._late = late
        self._ask = ask
        self._machine = ToolCalls(max_result_bytes=MAX_JSON_BYTES)
        self._ids = CallIds()
        self._waiting: dict[str, Waiting] = {}
        self._timer: Timer | None = None
        self._attached = True
        self._closed = False

    # what the pipeline tells

    def called(self, model_id: str, name: str, arguments: object, *, response_id: str) -> None:
        """The model calls a tool, whoever runs it.

        Args:
            model_id: The model's id of the call.
            name: The tool.
            arguments: What the model gives it.
            response_id: The response that it is part of; empty = of none.
        """
        call_id = self._ids.called(model_id, name)
        self._reports.started(call_id, name, arguments, response_id=response_id)

    def ended_elsewhere(
        self, model_id: str, name: str, outcome: wire.ToolOutcome, result: object = None
    ) -> None:
        """The pipeline says that a call ended; of one that runs here it says nothing new."""
        call_id = self._ids.elsewhere(model_id, name)
        if call_id is not None:
            self._over(call_id, outcome, result)

    def interrupted(self) -> None:
        """The bot was interrupted: apply each open call's policy."""
        self._apply(self._machine.interrupted(self._now()))

    # who waits for a call

    def begin(
        self,
        model_id: str,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        by: Executor,
        *,
        timeout_ms: int = 0,
        policy: OnInterruption | None = None,
    ) -> Waiting:
        """Begin a call; a client is asked to run it. Whoever begins one awaits ``outcome``.

        Args:
            model_id: The model's id of the call.
            spec: The tool.
            arguments: What the model gives it; what does not fit fails the call at once.
            by: Who runs it.
            timeout_ms: Longest run; 0 = the tool's own, or the default.
            policy: What an interruption does; None = what the tool says.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = Waiting(self._ids.run(model_id, spec.name), spec, by, future)
        call = self._open(waiting, arguments, timeout_ms, policy or spec.on_interruption)
        if isinstance(call, CallError):
            self._over(waiting.call_id, wire.ToolOutcome.TOOL_OUTCOME_FAILED)
            future.set_result(Outcome(ToolOutcome.FAILED, error=call))
            return waiting
        self._waiting[waiting.call_id] = waiting
        if by is Executor.CLIENT and self._attached:
            self._request(call)
        self._arm()
        return waiting

    async def outcome(self, waiting: Waiting) -> Outcome:
        """Wait for the end of a call. A cancelled wait withdraws it.

        Returns:
            How it ended; never raises for what the executor does.
        """
        try:
            return await waiting.end
        except asyncio.CancelledError:
            self.cancel(waiting.call_id, INTERRUPTED)  # only an interruption or the end does that
            raise
        finally:
            self._waiting.pop(waiting.call_id, None)

    def _open(
        self,
        waiting: Waiting,
        arguments: Mapping[str, Any],
        timeout_ms: int,
        policy: OnInterruption,
    ) -> Call | CallError:
        spec, asks_client = waiting.spec, waiting.by is Executor.CLIENT
        try:
            text = dump_json(dict(arguments)) if asks_client else ""
        except JsonTextError as error:
            return CallError(error.code, f"the arguments: {error.reason}")
        misfit = spec.check_arguments(dict(arguments))
        if misfit is not None:
            return misfit
        try:
            return self._machine.request(
                waiting.call_id,
                spec.name,
                executor=waiting.by,
                arguments=text,
                now_ms=self._now(),
                timeout_ms=timeout_ms or spec.timeout_ms,
                policy=policy,
                call_token=secrets.token_bytes(16) if asks_client else None,
            )
        except ToolUseError as error:
            return CallError(error.code, error.reason)

    # what is said about a call; ``by`` says who says it

    def client_spec(self, call_id: str) -> ToolSpec | None:
        """The tool of an open call that the client runs; None for any other call."""
        waiting = self._waiting.get(call_id)
        return waiting.spec if waiting is not None and waiting.by is Executor.CLIENT else None

    def accept(self, call_id: str, by: Executor) -> None:
        """The call was taken."""
        self._apply(self._machine.accept(call_id, now_ms=self._now(), by=by), by)

    def progress(self, call_id: str, by: Executor, note: object = None) -> bool:
        """The call runs; True when it does.

        Args:
            call_id: The call.
            by: Who says so.
            note: What the server's tool tells of it, for the client.
        """
        self._apply(self._machine.progress(call_id, now_ms=self._now(), by=by), by)
        if by is Executor.SERVER:
            self._reports.progress(call_id, note)
        return self._machine.state(call_id) is CallState.RUNNING

    def result(
        self,
        call_id: str,
        result: str | CallError,
        by: Executor,
        *,
        value: Any = None,
        call_token: bytes = b"",
    ) -> CallError | None:
        """How the call went; it counts if it may.

        Args:
            call_id: The call.
            result: JSON text, or the error.
            by: Who says so.
            value: The result, read.
            call_token: The token that came with it.

        Returns:
            Why the call failed, when this failed it.
        """
        now = self._now()
        effects = self._machine.result(call_id, result, now_ms=now, call_token=call_token, by=by)
        self._apply(effects, by, value=value)
        ends = (effect.error for effect in effects if isinstance(effect, Terminal))
        return next((error for error in ends if error is not None), None)

    def cancel(self, call_id: str, reason: str, by: Executor = Executor.SERVER) -> None:
        """Withdraw a call; nothing when it has ended.

        Args:
            call_id: The call, by the id that the client knows.
            reason: Why, one sentence; the client sees it.
            by: Who withdraws it.
        """
        self._apply(self._machine.cancel(call_id, reason, now_ms=self._now(), by=by), by)

    def tell_error(self, code: ErrorCode, reason: str, *, subject: str) -> None:
        """Tell the client what is wrong with a tool, or with what it says of a call."""
        if not self._closed:
            wire_code = cast("wire.ErrorCode", code.value)  # the numbers are the same
            self._port.emit_error(wire_code, reason, subject=subject[:_MAX_SUBJECT_CHARS])

    # the control channel

    def on_lost(self) -> None:
        """The control channel is gone: deadlines run on, acceptance waits."""
        self._attached = False
        self._machine.on_lost()
        self._arm()

    def on_resumed(self) -> None:
        """The client is back: send it again what it has not taken."""
        now = self._now()
        self._apply(self._machine.tick(now))
        self._attached = True
        for call in self._machine.redeliver(now):
            self._request(call)
        self._arm()

    def close(self) -> None:
        """End every call without telling the client; the session is over."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in self._waiting.values():
            if not waiting.end.done():
                reason = "the session ended"
                waiting.end.set_result(Outcome(ToolOutcome.CANCELLED, reason=reason))

    # effects

    def _now(self) -> int:
        return int(self._port.clock.now_ms())

    def _apply(
        self, effects: Iterable[Effect], by: Executor = Executor.SERVER, *, value: Any = None
    ) -> None:
        """Act on what the machine says; the client is told of a refusal of its own messages."""
        for effect in effects:
            match effect:
                case Terminal():
                    self._ended(effect, value)
                case Refused() if by is Executor.CLIENT:
                    self.tell_error(effect.code, _REFUSALS[effect.code], subject=effect.call_id)
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
        due = self._machine.next_due_ms
        if due is not None and not self._closed:
            delay_ms = max(1, due - self._now())
            self._timer = self._port.clock.call_later(delay_ms, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._apply(self._machine.tick(self._now()))

    def _ended(self, terminal: Terminal, value: Any) -> None:
        call_id = terminal.call_id
        if terminal.withdraw and not self._closed:
            reason = terminal.reason or (terminal.error.reason if terminal.error else "")
            self._port.emit(tool_cancel=wire.ToolCancel(call_id=call_id, reason=sendable(reason)))
        outcome = Outcome(
            terminal.outcome,
            value=value if terminal.outcome is ToolOutcome.DONE else None,
            error=terminal.error,
            reason=terminal.reason,
            interrupted=terminal.reason == INTERRUPTED,
        )
        wire_outcome = wire.ToolOutcome.Value(f"TOOL_OUTCOME_{terminal.outcome.name}")
        self._over(call_id, wire_outcome, outcome.value)
        waiting = self._waiting.get(call_id)
        if waiting is not None and not waiting.end.done():
            waiting.end.set_result(outcome)

    def _over(self, call_id: str, outcome: wire.ToolOutcome, result: object = None) -> None:
        self._ids.ended(call_id)
        if not self._closed:
            self._reports.ended(call_id, outcome, result)

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
