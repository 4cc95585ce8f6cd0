"""The loop that lets go of what stands in the release queue, when the listener has heard so far."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from pipecat.frames.frames import Frame, SystemFrame, TTSTextFrame

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.release import Held, ReleaseQueue
from voxwire_server.playout.voice import Voice

__all__ = ["OnItsWay", "Releasing"]

_END_SLACK_MS: Final = 1500
_INFINITE: Final = float("inf")

T = TypeVar("T")


class Releasing(Generic[T]):
    """Lets items go at their positions. One that fails is dropped and told; the next ones go on.

    Args:
        voice: The bot's voice, whose listener is meant.
        clock: The session's clock.
        leave: Lets one item go; told how the position is known.
        paused: While it is true nothing leaves.
        late_ms: Asked when nothing is left to wait for: when to look again, ms; None = never.
        drops: Is told of items that failed.
    """

    def __init__(
        self,
        voice: Voice,
        clock: Clock,
        *,
        leave: Callable[[T, wire.HeardSource], Awaitable[None]],
        paused: Callable[[], bool],
        late_ms: Callable[[], float | None],
        drops: Drops,
    ) -> None:
        self.queue: ReleaseQueue[T] = ReleaseQueue()
        self._voice = voice
        self._clock = clock
        self._leave = leave
        self._paused = paused
        self._late_ms = late_ms
        self._drops = drops
        self._changed = Alarm()
        self._empty = Alarm()

    def hold(self, item: T, media_ms: float) -> None:
        """Keep ``item`` until ``media_ms`` is heard."""
        self.queue.hold(item, media_ms)
        self._changed.ring()

    def take_all(self) -> list[Held[T]]:
        """Take everything, in order: it will not leave."""
        held = self.queue.take_all()
        self._empty.ring()
        return held

    def ring(self) -> None:
        """The listener's position moved."""
        self._changed.ring()

    async def run(self) -> None:
        """Let go of what was heard, until it is cancelled."""
        while True:
            self._changed.silence()
            await self._release_due()
            if not len(self.queue):
                self._empty.ring()
            wait_ms = self._wait_ms()
            await self._changed.wait(None if wait_ms is None else max(1.0, wait_ms) / 1000)

    def _wait_ms(self) -> float | None:
        position = self.queue.next_ms
        late_ms = None
        if position is None or position > self._voice.playout.end_ms:
            late_ms = self._late_ms()
            position = self.queue.next_ms
        if position is None:
            return late_ms
        eta_ms = self._voice.eta_ms(position)
        waits = [ms for ms in (eta_ms, late_ms) if ms is not None and ms != _INFINITE]
        return min(waits, default=None)

    async def _release_due(self) -> None:
        if self._paused():
            return
        heard, source = self._voice.heard_at()
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
        voice, clock = self._voice, self._clock
        deadline_ms = clock.now_ms() + voice.backlog_ms() + _END_SLACK_MS
        while len(self.queue) and (now_ms := clock.now_ms()) < deadline_ms:
            away = voice.path is None or voice.suspended
            if away and not voice.waits:
                break
            await self._stirs(None if away else (deadline_ms - now_ms) / 1000)
            if away:
                deadline_ms += clock.now_ms() - now_ms
        return self.queue.take_all()

    async def _stirs(self, secs: float | None) -> None:
        """Wait until the queue is empty or the voice does something else, ``secs`` at most."""
        self._empty.silence()
        changed = asyncio.ensure_future(self._voice.changed())
        changed.add_done_callback(lambda _: self._empty.ring())
        try:
            await self._empty.wait(secs)
        finally:
            changed.cancel()


class OnItsWay:
    """Follows words from the output to whoever keeps the context: a few turns of the loop.

    What was heard when the bot is cut off goes down as system frames, which overtake what stands in
    a processor's queue; and the interruption behind them empties that. So it waits for those ahead.
    """

    def __init__(self) -> None:
        """Follows nothing until there is somebody who keeps one."""
        self._followed = False
        self._words: set[int] = set()
        self._here = Alarm()

    def follow(self) -> None:
        """Somebody keeps a context."""
        self._followed = True

    def left(self, frame: Frame) -> None:
        """A frame is pushed down."""
        if (
            self._followed
            and isinstance(frame, TTSTextFrame)
            and not isinstance(frame, SystemFrame)
        ):
            self._words.add(frame.id)

    def taken(self, frame: Frame) -> None:
        """Whoever keeps the context has taken a frame."""
        self._words.discard(frame.id)
        if not self._words:
            self._here.ring()

    async def arrived(self, secs: float) -> None:
        """Wait until all are there, ``secs`` at most, in two halves: after a stall of this process
        they still come. If they do not, somebody on the way keeps them, and they are not followed
        any more.
        """
        loop = asyncio.get_running_loop()
        for _ in range(2):
            until_s = loop.time() + secs / 2
            while self._words and (left_s := until_s - loop.time()) > 0:
                self._here.silence()
                await self._here.wait(left_s)
        if self._words:
            self._followed = False
            self._words.clear()
