"""The peer's clock: offset and round trip from four timestamps (RFC 5905 §8).

Times are microseconds of each side's own monotonic clock; nothing here reads one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire

__all__ = ["ClockSync", "Sample"]

_BURST_PINGS: Final = 5
_BURST_INTERVAL_MS: Final = 200
_INTERVAL_MS: Final = 10_000
_WINDOW: Final = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange.

    Attributes:
        offset_us: Peer's clock minus ours, microseconds.
        rtt_us: Round trip without the peer's own delay, microseconds.
    """

    offset_us: int
    rtt_us: int


class ClockSync:
    """Estimates the peer's clock from pings that this side sends."""

    def __init__(self) -> None:
        """Creates an estimate without samples."""
        self._number = 0
        self._last_ping_ms: int | None = None
        self._open: dict[int, int] = {}  # ping number -> t0_us, oldest first
        self._samples: deque[Sample] = deque(maxlen=_WINDOW)

    @property
    def offset_us(self) -> int | None:
        """Peer's clock minus ours, microseconds, from the fastest of the last 8 exchanges."""
        return self._best().offset_us if self._samples else None

    @property
    def rtt_us(self) -> int | None:
        """Shortest round trip of the last 8 exchanges, microseconds."""
        return self._best().rtt_us if self._samples else None

    def ping(self, now_us: int) -> wire.Ping:
        """Returns the next ping, to be sent now.

        Args:
            now_us: Our monotonic clock, microseconds.
        """
        self._number += 1
        self._last_ping_ms = now_us // 1000
        self._open[self._number] = now_us
        if len(self._open) > _WINDOW:
            del self._open[next(iter(self._open))]
        return wire.Ping(number=self._number, t0_us=now_us)

    @staticmethod
    def pong(ping: wire.Ping, received_us: int, now_us: int) -> wire.Pong:
        """Returns the answer to a ping.

        Args:
            ping: The peer's ping.
            received_us: Our monotonic clock when it arrived, microseconds.
            now_us: Our monotonic clock now, microseconds.
        """
        return wire.Pong(number=ping.number, t0_us=ping.t0_us, t1_us=received_us, t2_us=now_us)

    def receive(self, pong: wire.Pong, now_us: int) -> Sample | None:
        """Takes the answer to one of our last 8 pings.

        Args:
            pong: The peer's answer.
            now_us: Our monotonic clock when it arrived, microseconds.

        Returns:
            What it measured, or None when it answers no open ping or cannot be true.
        """
        if self._open.get(pong.number) != pong.t0_us:
            return None
        t0_us = self._open.pop(pong.number)
        rtt_us = (now_us - t0_us) - (pong.t2_us - pong.t1_us)
        if pong.t2_us < pong.t1_us or rtt_us < 0:
            return None
        offset_us = ((pong.t1_us - t0_us) + (pong.t2_us - now_us)) // 2
        sample = Sample(offset_us=offset_us, rtt_us=rtt_us)
        self._samples.append(sample)
        return sample

    def next_ping_ms(self, now_ms: int) -> int:
        """When the next ping is due: five in the first second, then one every 10 s.

        Args:
            now_ms: The clock of ``ping``, milliseconds.

        Returns:
            That time on the same clock; not after ``now_ms`` when it is due.
        """
        if self._last_ping_ms is None:
            return now_ms
        if self._number < _BURST_PINGS:
            return self._last_ping_ms + _BURST_INTERVAL_MS
        return self._last_ping_ms + _INTERVAL_MS

    def _best(self) -> Sample:
        return min(self._samples, key=lambda sample: sample.rtt_us)
