"""The bot's placed voice for one media path, at the path's own rate."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from soxr import ResampleStream

from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Block, Sound

__all__ = ["PathSound", "PlacedSound", "make_sound"]

_REST_MS: Final = 40
"""How long the end of a stretch waits for what may continue it."""
_SAMPLE_BYTES: Final = 2
_NOTHING: Final = np.zeros(0, np.int16)


class PlacedSound:
    """A :class:`ports.Sound` at the session's rate.

    Args:
        playout: What was placed.
        clock: The session's clock.
        in_use: Whether its path carries the conversation: no other one takes anything.
    """

    def __init__(self, playout: Playout, clock: Clock, *, in_use: Callable[[], bool]) -> None:
        self.sample_rate = playout.sample_rate
        self._playout = playout
        self._clock = clock
        self._in_use = in_use

    @property
    def pending(self) -> bool:
        """True when placed audio waits to be sent."""
        return self._in_use() and self._playout.pending

    @property
    def ahead_ms(self) -> float:
        """What was taken and is not believed to be heard yet."""
        heard = self._playout.heard
        return heard.sent_ms - heard.at(self._clock.now_ms())[0]

    def take(self, num_samples: int) -> Block | None:
        """The next audio to send, at most ``num_samples``, contiguous; None when all is sent."""
        return self._playout.take(num_samples, self._clock.now_ms()) if self._in_use() else None


class PathSound:
    """A :class:`ports.Sound` at a rate that is not the session's.

    Positions stay those of the media clock, in samples at the path's rate. A resampler needs a
    few milliseconds of what comes next; the end of a stretch is let go when nothing has continued
    it for 40 ms.

    Args:
        playout: What was placed.
        clock: The session's clock.
        sample_rate: Of the path, Hz.
        wake: Wakes the path: the end of a stretch can be taken.
        in_use: Whether its path carries the conversation: no other one takes anything.
    """

    def __init__(
        self,
        playout: Playout,
        clock: Clock,
        *,
        sample_rate: int,
        wake: Callable[[], None],
        in_use: Callable[[], bool],
    ) -> None:
        self.sample_rate = sample_rate
        self._placed = PlacedSound(playout, clock, in_use=in_use)
        self._in_use = in_use
        self._playout = playout
        self._clock = clock
        self._wake = wake
        self._stream: ResampleStream | None = None
        self._comes_at = 0  # where the session's samples go on that continue the stream
        self._ready = bytearray()
        self._ready_at = 0  # position of the first of them, at the path's rate
        self._kept: Block | None = None  # begins another stretch
        self._flush_id = playout.flush_id
        self._rest: Timer | None = None

    @property
    def pending(self) -> bool:
        """True when placed audio waits to be sent."""
        self._forget_void()
        mine = bool(self._ready) or self._kept is not None
        return self._in_use() and (self._playout.pending or mine)

    @property
    def ahead_ms(self) -> float:
        """What was taken and is not believed to be heard yet."""
        self._forget_void()
        ready_ms = len(self._ready) * 1000 / (_SAMPLE_BYTES * self.sample_rate)
        return max(0.0, self._placed.ahead_ms - ready_ms)

    def take(self, num_samples: int) -> Block | None:
        """The next audio to send, at most ``num_samples``, contiguous; None when all is sent."""
        if not self._in_use():
            return None
        self._forget_void()
        wanted = num_samples * _SAMPLE_BYTES
        while len(self._ready) < wanted and self._pull(num_samples - self._num_ready):
            pass
        pcm = bytes(self._ready[:wanted])
        if not pcm:
            return None
        block = Block(self._ready_at, pcm)
        del self._ready[:wanted]
        self._ready_at = block.end
        return block

    @property
    def _num_ready(self) -> int:
        return len(self._ready) // _SAMPLE_BYTES

    def _forget_void(self) -> None:
        if self._flush_id != self._playout.flush_id:
            self._flush_id = self._playout.flush_id
            self._forget()

    def _forget(self) -> None:
        self._stream = self._kept = None
        self._ready.clear()
        self._disarm()

    def _pull(self, num_samples: int) -> bool:
        """Resample the next piece; False when there is none, or it begins another stretch."""
        block, self._kept = self._kept, None
        if block is None:
            num_source = -(-num_samples * self._playout.sample_rate // self.sample_rate)
            block = self._placed.take(max(1, num_source))
        if block is None:
            self._await_more()
            return False
        self._disarm()
        if self._stream is not None and block.start < self._comes_at:
            self._forget()  # another path, or this one again: it is sent once more
        if self._stream is not None and block.start > self._comes_at:
            self._finish()
        if self._stream is None:
            if self._ready:
                self._kept = block
                return False
            self._begin(block.start)
        self._feed(np.frombuffer(block.pcm, "<i2"))
        self._comes_at = block.end
        return True

    def _begin(self, start: int) -> None:
        source_rate = self._playout.sample_rate
        self._stream = ResampleStream(source_rate, self.sample_rate, 1, dtype="int16", quality="MQ")
        self._ready_at = round(start * self.sample_rate / source_rate)

    def _feed(self, samples: NDArray[np.int16], *, last: bool = False) -> None:
        assert self._stream is not None
        self._ready += self._stream.resample_chunk(samples, last=last).astype("<i2").tobytes()

    def _finish(self) -> None:
        if self._stream is not None:
            self._feed(_NOTHING, last=True)
            self._stream = None

    def _await_more(self) -> None:
        if self._stream is not None and self._rest is None:
            self._rest = self._clock.call_later(_REST_MS, self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._finish()
        self._wake()

    def _disarm(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None


def make_sound(
    playout: Playout,
    clock: Clock,
    *,
    sample_rate: int,
    wake: Callable[[], None],
    in_use: Callable[[], bool],
) -> Sound:
    """The placed voice at a path's rate.

    Args:
        playout: What was placed.
        clock: The session's clock.
        sample_rate: Of the path, Hz.
        wake: Wakes the path, when more can be taken than was placed.
        in_use: Whether the path carries the conversation: no other one takes anything.
    """
    if sample_rate == playout.sample_rate:
        return PlacedSound(playout, clock, in_use=in_use)
    return PathSound(playout, clock, sample_rate=sample_rate, wake=wake, in_use=in_use)
