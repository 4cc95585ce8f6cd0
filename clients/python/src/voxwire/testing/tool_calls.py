"""The client's tools, as the bot of a `FakeSession` has them run."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.errors import ErrorCode, code_from_wire
from voxwire_protocol.event_enums import ToolOutcome

__all__ = ["ToolAnswer", "ToolCalls"]

TOKEN_BYTES: Final = 16

_OUTCOMES: Final = {
    ToolOutcome.DONE: wire.ToolOutcome.TOOL_OUTCOME_DONE,
    ToolOutcome.FAILED: wire.ToolOutcome.TOOL_OUTCOME_FAILED,
    ToolOutcome.CANCELLED: wire.ToolOutcome.TOOL_OUTCOME_CANCELLED,
    ToolOutcome.TIMED_OUT: wire.ToolOutcome.TOOL_OUTCOME_TIMED_OUT,
    ToolOutcome.LOST: wire.ToolOutcome.TOOL_OUTCOME_LOST,
}


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """How a call ended.

    Attributes:
        outcome: ``done``, ``failed``, ``cancelled``, ``timed_out`` or ``lost``.
        value: What the tool returned.
        code: Why it failed.
        reason: The same in words.
    """

    outcome: ToolOutcome
    value: Any = None
    code: ErrorCode | None = None
    reason: str = ""


@dataclass(slots=True, eq=False)
class _Call:
    """A call that is open."""

    name: str
    arguments_json: str
    began_ms: float
    answer: asyncio.Future[ToolAnswer]
    timer: Timer | None = None


class ToolCalls:
    """The calls of one session."""

    def __init__(self, emit: Callable[..., None], clock: Clock) -> None:
        """Creates it with no call.

        Args:
            emit: Sends one payload to the client.
            clock: What deadlines go by.
        """
        self._emit = emit
        self._clock = clock
        self._calls: dict[str, _Call] = {}
        self._number = 0

    @property
    def open(self) -> list[str]:
        """Ids of the calls that have not ended."""
        return list(self._calls)

    async def call(self, name: str, arguments: dict[str, Any], timeout_ms: int) -> ToolAnswer:
        """Has a tool run. Cancelled, it is withdrawn."""
        self._number += 1
        call_id = f"call{self._number}"
        text = json.dumps(arguments)
        answer: asyncio.Future[ToolAnswer] = asyncio.get_running_loop().create_future()
        call = self._calls[call_id] = _Call(name, text, self._clock.now_ms(), answer)
        self._emit(
            tool_call_started=wire.ToolCallStarted(call_id=call_id, name=name, arguments_json=text)
        )
        self._emit(
            tool_request=wire.ToolRequest(
                call_id=call_id,
                name=name,
                arguments_json=text,
                timeout_ms=timeout_ms,
                call_token=_token(call_id),
            )
        )
        late = ToolAnswer(ToolOutcome.TIMED_OUT, code=ErrorCode.TIMEOUT, reason="no result in time")
        call.timer = self._clock.call_later(timeout_ms, lambda: self.withdraw(call_id, late))
        try:
            return await answer
        finally:
            self.withdraw(call_id, ToolAnswer(ToolOutcome.CANCELLED))

    def withdraw(self, call_id: str, answer: ToolAnswer) -> None:
        """Ends a call that the client still holds; nothing when it is over."""
        if call_id in self._calls:
            self._emit(tool_cancel=wire.ToolCancel(call_id=call_id, reason=answer.outcome.value))
            self._end(call_id, answer)

    def receive(self, result: wire.ToolResult) -> None:
        """Takes a result of the client; it counts once, and with its token."""
        if result.call_id not in self._calls or result.call_token != _token(result.call_id):
            return
        if result.WhichOneof("outcome") == "error":
            code = code_from_wire(result.error.code)
            answer = ToolAnswer(ToolOutcome.FAILED, code=code, reason=result.error.reason)
        else:
            answer = ToolAnswer(ToolOutcome.DONE, json.loads(result.result_json))
        self._end(result.call_id, answer)

    def snapshot(self) -> list[wire.ToolCallStarted]:
        """The open calls, for a client that has missed them."""
        return [
            wire.ToolCallStarted(call_id=it, name=call.name, arguments_json=call.arguments_json)
            for it, call in self._calls.items()
        ]

    def close(self) -> None:
        """The session is over: nothing is sent any more."""
        for call in self._calls.values():
            if call.timer is not None:
                call.timer.cancel()
            call.answer.cancel()
        self._calls.clear()

    def _end(self, call_id: str, answer: ToolAnswer) -> None:
        call = self._calls.pop(call_id)
        if call.timer is not None:
            call.timer.cancel()
        done = answer.outcome is ToolOutcome.DONE
        self._emit(
            tool_call_ended=wire.ToolCallEnded(
                call_id=call_id,
                name=call.name,
                outcome=_OUTCOMES[answer.outcome],
                result_json=json.dumps(answer.value) if done else "",
                duration_ms=round(self._clock.now_ms() - call.began_ms),
            )
        )
        if not call.answer.done():
            call.answer.set_result(answer)


def _token(call_id: str) -> bytes:
    return call_id.encode().ljust(TOKEN_BYTES, b".")
