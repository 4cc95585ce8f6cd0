"""Daily rooms in memory: what :class:`voxwire_protocol.daily.Room` promises, by any clock.

What of it was seen on Daily's SDK without a room is held against it
(tests/integration/test_daily_sdk.py): the pace of writes, and what fails how. The rest (that sound
comes at all, with the delay of both ways and a jitter buffer of 40 ms, in pieces of 20 ms, silence
too; who is told of whom) is read in its documentation and unverified.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.support.daily_rest import DailyRestServer
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.daily import BLOCK_MS, OTHER_LEFT, RoomStats
from voxwire_protocol.errors import ErrorCode, make_error

__all__ = ["JITTER_MS", "FakeDaily", "FakeRoom"]

JITTER_MS: Final = 40
"""What the jitter buffer of a listener holds."""
_TICK_MS: Final = 10
_JOIN_MS: Final = 300


class FakeDaily:
    """Daily: its rooms, and the way between the two in each.

    Args:
        clock: The clock to run by.
        rest: Whose rooms they are; None = any URL is a room.
        delay_ms: One way, from one side to the other.
        wobble_ms: The jitter buffer stretches sound by up to so much, back and forth.

    Attributes:
        sides: All that were made, in order.
        unreachable: Nobody enters: nothing comes back.
        join_ms: How long who tries waits then.
    """

    def __init__(
        self,
        clock: Clock,
        rest: DailyRestServer | None = None,
        *,
        delay_ms: float = 0.0,
        wobble_ms: float = 0.0,
    ) -> None:
        self.clock = clock
        self.rest = rest
        self.delay_ms = delay_ms
        self.wobble_ms = wobble_ms
        self.sides: list[FakeRoom] = []
        self.unreachable = False
        self.join_ms = 10_000.0

    def make(self, *, send_rate: int, receive_rate: int, user_name: str) -> "FakeRoom":
        """Makes one side of a room: a :class:`voxwire_protocol.daily.MakeRoom`."""
        side = FakeRoom(self, send_rate, receive_rate, user_name)
        self.sides.append(side)
        return side

    def lets_in(self, url: str, token: str) -> bool:
        """Whether that opens a room now."""
        return self.rest is None or self.rest.lets_in(url, token) is not None

    def in_room(self, url: str) -> "list[FakeRoom]":
        """Who is there."""
        return [side for side in self.sides if side.url == url]


class FakeRoom:
    """One side of a room.

    Attributes:
        url: Of the room that it is in; empty = none.
        user_name: How it is called there.
        inside: Blocks that were written and have not left.
        most_inside: The most that there were at once.
        stuck: What is written does not leave any more.
        deaf: What the other says does not come any more, as over a network that has failed.
        said: App-messages that were sent.
        sent: What was written and has left, with the moment of its first sample.
    """

    def __init__(self, daily: FakeDaily, send_rate: int, receive_rate: int, name: str) -> None:
        self._daily, self._clock = daily, daily.clock
        self._send_rate, self._receive_rate = send_rate, receive_rate
        self.user_name = name
        self.url = ""
        self.inside = self.most_inside = 0
        self.stuck = self.deaf = False
        self.said: list[Any] = []
        self.sent: list[tuple[float, NDArray[np.int16]]] = []
        self._over = False
        self._other: FakeRoom | None = None
        self._free_ms = 0.0
        self._coming: list[tuple[float, NDArray[np.int16]]] = []
        self._tick: Timer | None = None
        self._due_ms = 0.0
        self._timers: list[Timer] = []
        self._hear: Callable[[bytes], object] = lambda _: None
        self._told_joined: Callable[[], object] = bool
        self._told_left: Callable[[str], object] = lambda _: None
        self._take: Callable[[Any], object] = lambda _: None
        self._epoch_ms = self._clock.now_ms()

    def on_audio(self, hear: Callable[[bytes], object]) -> None:
        self._hear = hear

    def on_joined(self, call: Callable[[], object]) -> None:
        self._told_joined = call

    def on_left(self, call: Callable[[str], object]) -> None:
        self._told_left = call

    def on_message(self, take: Callable[[Any], object]) -> None:
        self._take = take

    def stats(self) -> RoomStats:
        return RoomStats(self._daily.delay_ms if self.url else None)

    # coming and going

    async def join(self, url: str, token: str) -> None:
        if self._daily.unreachable:
            await self._sleep(self._daily.join_ms)
            raise make_error(ErrorCode.TIMEOUT, "the room was not entered", retryable=True)
        await self._sleep(_JOIN_MS)
        if not self._daily.lets_in(url, token):
            raise make_error(ErrorCode.UNREACHABLE, "the room cannot be entered", retryable=True)
        others = self._daily.in_room(url)
        if len(others) > 1:
            raise make_error(ErrorCode.UNREACHABLE, "the room is full", retryable=True)
        self.url = url
        for other in others:
            other._meet(self)
            self._meet(other)

    async def _sleep(self, delay_ms: float) -> None:
        done = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(delay_ms, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def _meet(self, other: "FakeRoom") -> None:
        if self._over or self._other is not None:
            return
        self._other = other
        self._later(self._daily.delay_ms, self._told_joined)
        self._due_ms = self._clock.now_ms() + BLOCK_MS
        self._tick = self._clock.call_later(BLOCK_MS, self._play)

    async def leave(self) -> None:
        self._go()

    def _go(self) -> None:
        other, self._other = self._other, None
        self._over, self.url = True, ""
        for timer in [*self._timers, *([self._tick] if self._tick is not None else [])]:
            timer.cancel()
        self._timers.clear()
        if other is not None:
            other._parted()

    def _parted(self) -> None:
        self._other = None
        self._later(self._daily.delay_ms, lambda: self.lose(OTHER_LEFT))

    def lose(self, reason: str = "this side was put out of the Daily room") -> None:
        """The other has left, or this side is put out."""
        told, self._told_left = self._told_left, lambda _: None
        told(reason)

    def _later(self, delay_ms: float, work: Callable[[], object]) -> None:
        if self._over:
            return

        def run() -> None:
            self._timers.remove(timer)
            if not self._over:
                work()

        timer = self._clock.call_later(delay_ms, run)
        self._timers.append(timer)

    # sound

    def write(self, pcm: bytes, left: Callable[[], object]) -> None:
        if self._over:
            return
        assert len(pcm) % (self._send_rate // 100 * 2) == 0, "the SDK takes whole 10 ms"
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        if self.stuck:
            self._later(2000, lambda: self.lose("Daily's SDK takes no more audio"))
            return
        now_ms = self._clock.now_ms()
        ticks = math.floor((now_ms - self._epoch_ms) / _TICK_MS) + 1
        begins_ms = max(self._epoch_ms + ticks * _TICK_MS, self._free_ms)
        samples = np.frombuffer(pcm, "<i2").copy()
        self._free_ms = begins_ms + len(samples) * 1000 / self._send_rate
        self.sent.append((begins_ms, samples))
        self._later(self._free_ms - now_ms, lambda: self._left(begins_ms, samples, left))

    def _left(
        self, begins_ms: float, samples: NDArray[np.int16], left: Callable[[], object]
    ) -> None:
        self.inside -= 1
        other = self._other
        if other is not None and not other.deaf:
            delay_ms = self._daily.delay_ms + BLOCK_MS + JITTER_MS
            other._coming.append((begins_ms + delay_ms, samples))
        left()

    def _play(self) -> None:
        """What the renderer hands over: the newest 20 ms, whatever is in them."""
        end_ms = self._due_ms
        self._due_ms += BLOCK_MS
        self._tick = self._clock.call_later(self._due_ms - self._clock.now_ms(), self._play)
        num_samples = self._receive_rate * BLOCK_MS // 1000
        out = np.zeros(num_samples, np.int16)
        begin_ms = end_ms - BLOCK_MS
        for at_ms, samples in self._coming:
            wobble_ms = self._daily.wobble_ms * math.sin(at_ms / 3000)
            offset = round((at_ms + wobble_ms - begin_ms) * self._receive_rate / 1000)
            first, last = max(0, offset), min(num_samples, offset + len(samples))
            if first < last:
                out[first:last] = samples[first - offset : last - offset]
        slack_ms = BLOCK_MS + abs(self._daily.wobble_ms)
        self._coming = [c for c in self._coming if c[0] > begin_ms - 2 * slack_ms]
        self._hear(out.astype("<i2").tobytes())

    # app-messages

    def say(self, message: Any) -> None:
        other = self._other
        if other is not None:
            self.said.append(message)
            other._later(self._daily.delay_ms, lambda: other._take(message))
