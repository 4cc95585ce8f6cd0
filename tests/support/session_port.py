"""A session of which a part sees only the port: it notes what it is told."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_protocol.errors import ErrorCode


class LoopClock:
    """The clock of the running loop: virtual in virtual time."""

    def now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, delay_ms) / 1000, work)


@dataclass(frozen=True)
class ToldError:
    """An error that the client was told."""

    code: ErrorCode
    reason: str
    subject: str
    at_ms: float


class FakePort:
    """A :class:`voxwire_server.ports.SessionPort` without a session.

    Attributes:
        sent: What the client was sent: the payload's name and its message.
        errors: What the client was told that went wrong.
        ended: Why the session ended, if it did.
        late_ms: How late the blocks were that it was told of.
        over: Set it, and nothing is begun any more.
    """

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.sent: list[tuple[str, Any]] = []
        self.errors: list[ToldError] = []
        self.ended: list[wire.EndReason] = []
        self.late_ms: list[float] = []
        self.over = False
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, **payload: Any) -> None:
        self.sent.extend(payload.items())

    def emit_error(
        self, code: wire.ErrorCode, reason: str, *, subject: str = "", **_: object
    ) -> None:
        self.errors.append(ToldError(ErrorCode(code), reason, subject, self.clock.now_ms()))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if self.over:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        self.ended.append(reason)

    def late(self, late_ms: float) -> None:
        self.late_ms.append(late_ms)

    def of(self, kind: str) -> list[Any]:
        """What was sent of one kind, oldest first."""
        return [message for name, message in self.sent if name == kind]

    @property
    def codes(self) -> list[ErrorCode]:
        """The codes of all errors, oldest first."""
        return [error.code for error in self.errors]

    def cancel(self) -> None:
        """Cancel every task that there is."""
        for task in list(self._tasks):
            task.cancel()

    async def settle(self, turns: int = 20) -> None:
        """Let everything run that is due now."""
        for _ in range(turns):
            await asyncio.sleep(0)
