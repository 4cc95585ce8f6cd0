"""The loop that lets go of what stands in the release queue, when the listener has heard so far."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from voxwire_protocol import wire
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.release import Held, ReleaseQueue
from voxwire_server.session.session import Session

__all__ = ["Releasing"]

_END_SLACK_MS: Final = 1500
_INFINITE: Final = float("inf")

T = TypeVar("T")


class Releasing(Generic[T]):
    """Lets items go at their positions. One that fails is dropped and told; the next ones go on.

    Args:
        session: The session whose listener is meant.
        leave: Lets one item go; told how the position is known.
        paused: While it is true nothing leaves.
        late_ms: Asked when nothing is left to wait for: when to look again, ms; None = never.
        drops: Is told of items that failed.
    """

    def __init__(
        self,
        session: Session,
        *,
        leave: Callable[[T, wire.HeardSource], Awaitable[None]],
        paused: Callable[[], bool],
        late_ms: Callable[[], float | None],
        drops: Drops,
    ) -> None:
        self.queue: ReleaseQueue[T] = ReleaseQueue()
        self._session = session
        self._playout = session.playout
        self._leave = leave
        self._paused = paused
        self._late_ms = late_ms
        self._drops = drops
        self._changed = Alarm()

    def hold(self, item: T, media_ms: float) -> None:
        """Keep ``item`` until ``media_ms`` is heard."""
        self.queue.hold(item, media_ms)
        self._changed.ring()

    def ring(self) -> None:
        """The listener's position moved."""
        self._changed.ring()

    async def run(self) -> None:
        """Let go of what was heard, until it is cancelled."""
        while True:
            self._changed.silence()
            await self._release_due()
            wait_ms = self._wait_ms()
            await self._changed.wait(None if wait_ms is None else max(1.0, wait_ms) / 1000)

    def _wait_ms(self) -> float | None:
        position = self.queue.next_ms
        late_ms = None
        if position is None or position > self._playout.end_ms:
            late_ms = self._late_ms()
            position = self.queue.next_ms
        if position is None:
            return late_ms
        eta_ms = self._playout.heard.eta_ms(position, self._session.now_ms())
        waits = [ms for ms in (eta_ms, late_ms) if ms is not None and ms != _INFINITE]
        return min(waits, default=None)

    async def _release_due(self) -> None:
        if self._paused():
            return
        heard, source = self._playout.heard.at(self._session.now_ms())
        for item in self.queue.due(heard):
            try:
                await self._leave(item, source)
            except Exception as error:
                self._drops.tell(item, error)
            if self._paused():
                return

    async def drain(self) -> list[Held[T]]:
        """Wait until what was said is heard, but not for ever (no path, a frozen client).

        A listener who is away is waited for as long as the voice waits.

        Returns:
            What is left, in order.
        """
        session = self._session
        deadline = session.now_ms() + self._playout.backlog_ms(session.now_ms()) + _END_SLACK_MS
        while len(self.queue) and session.now_ms() < deadline:
            before = session.now_ms()
            await asyncio.sleep(0.02)
            if session.path is None or session.absence.suspended:
                if not session.absence.waits:
                    break
                deadline += session.now_ms() - before
        return self.queue.take_all()
