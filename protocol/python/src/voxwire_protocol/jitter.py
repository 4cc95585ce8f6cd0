"""Puts RTP audio packets back in order and says what has to be concealed.

A packet that is next in order is handed over at once: on a quiet network the buffer adds no delay.
Only a hole costs time. It is waited for at most `target_ms` after the first packet behind it came;
then it becomes a `Gap`. The target follows the 95th percentile of the jitter of the last 5 s and
the lateness of packets that came after their gap was declared (that part fades within 5 s).

Pure: no clock is read. Every `now_ms` is milliseconds of one monotonic clock, of any origin.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Gap", "Item", "JitterBuffer", "JitterStats", "Packet"]

_SEQUENCE_MASK: Final = 0xFFFF
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF

# RFC 3550 A.1: a larger step is taken for a restart of the sender once the next number confirms it.
_MAX_DROPOUT: Final = 3000
_MAX_MISORDER: Final = 100

_WINDOW_MS: Final = 5_000
_WINDOW_PACKETS: Final = 512
_PAUSE_MS: Final = 500  # a longer step between arrivals is a pause of the sender, not jitter
_MAX_GAP_MS: Final = 120  # concealment fades to silence within this time


class Packet(NamedTuple):
    """A packet in its place in the stream.

    Attributes:
        sequence_number: As on the wire, 16 bits.
        timestamp: RTP timestamp of the first sample, 32 bits, in ticks of the clock rate.
        payload: What was pushed, unchanged.
    """

    sequence_number: int
    timestamp: int
    payload: bytes


class Gap(NamedTuple):
    """Audio that did not arrive in time. In what `pop` returns, a `Packet` always follows.

    Attributes:
        timestamp: RTP timestamp of the first missing sample, 32 bits.
        samples: How much to conceal, in ticks of the clock rate, at most 120 ms of them; what a
            longer outage lost beyond that shows as a jump of the timestamp only.
    """

    timestamp: int
    samples: int


Item = Packet | Gap


@dataclass(slots=True)
class JitterStats:
    """Counters since the start, in packets unless the name says otherwise.

    Attributes:
        received: Everything that was pushed.
        lost: Packets declared missing, those that came too late included.
        late: Dropped because their gap had been declared, they precede the first packet, do not
            belong to the stream, or there was no room.
        duplicates: Dropped because the same packet was here already.
        concealed_ms: Audio handed out as `Gap`, in milliseconds.
        target_ms: How long a hole is waited for now.
    """

    received: int
    lost: int
    late: int
    duplicates: int
    concealed_ms: int
    target_ms: int


class JitterBuffer:
    """Orders the packets of one RTP audio stream; waits for holes, never for packets in order.

    Memory is bounded: at most `capacity` packets, 512 jitter samples and 200 sequence numbers.

    Args:
        clock_rate: Ticks of the RTP timestamp per second (Opus: 48000, whatever is decoded).
        samples_of: Duration of a payload in ticks; 0 means unknown (the previous one is taken).
            By default every packet holds 20 ms.
        min_target_ms: The target on a quiet network; one packet, so that neighbours may swap.
        max_target_ms: The longest that a hole is waited for.
        capacity: Packets held behind a hole; when reached, the hole is given up.
    """

    def __init__(
        self,
        *,
        clock_rate: int = 48_000,
        samples_of: Callable[[bytes], int] | None = None,
        min_target_ms: int = 20,
        max_target_ms: int = 160,
        capacity: int = 64,
    ) -> None:
        self._ticks_per_ms = clock_rate / 1000
        self._max_gap = clock_rate * _MAX_GAP_MS // 1000
        self._samples_of = samples_of
        self._capacity = capacity

        # A position is a sequence number without wrap-around, counted over restarts of the sender.
        self._highest_sequence: int | None = None
        self._highest_position = 0
        self._restart_sequence: int | None = None
        self._next = 0
        self._waiting: dict[int, tuple[Packet, float]] = {}
        self._declared_lost: set[int] = set()

        self._packet_samples = clock_rate // 50
        self._end_timestamp = 0

        self._jitter = _Jitter(clock_rate / 1000, min_target_ms, max_target_ms)
        self._received = self._lost = self._late = self._duplicates = 0
        self._concealed_ticks = 0

    @property
    def next_due_ms(self) -> float | None:
        """When `pop` has something to do without another packet; None while no hole is pending."""
        if not self._waiting or self._next in self._waiting:
            return None
        return self._due_ms()

    @property
    def stats(self) -> JitterStats:
        """A copy of the counters."""
        return JitterStats(
            received=self._received,
            lost=self._lost,
            late=self._late,
            duplicates=self._duplicates,
            concealed_ms=round(self._concealed_ticks / self._ticks_per_ms),
            target_ms=round(self._jitter.target_ms),
        )

    def push(self, sequence_number: int, timestamp: int, payload: bytes, now_ms: float) -> None:
        """Take in one packet; late and duplicate ones are counted and dropped.

        Args:
            sequence_number: 16 bits, may wrap.
            timestamp: 32 bits, may wrap.
            payload: Kept by reference.
            now_ms: When it arrived.
        """
        self._received += 1
        position = self._place(sequence_number)
        if position is None:
            self._late += 1
        elif position < self._next:
            self._count_old(position, timestamp, now_ms)
        elif position in self._waiting:
            self._duplicates += 1
        elif len(self._waiting) >= self._capacity:
            self._late += 1
        else:
            self._jitter.arrived(timestamp, now_ms)
            self._waiting[position] = (Packet(sequence_number, timestamp, payload), now_ms)

    def pop(self, now_ms: float) -> list[Item]:
        """Hand over what is ready: packets in order, and gaps that are not waited for any more.

        Args:
            now_ms: The present; not before the last `push`.
        """
        items: list[Item] = []
        while self._waiting:
            entry = self._waiting.pop(self._next, None)
            if entry is None:
                if now_ms < self._due_ms() and len(self._waiting) < self._capacity:
                    break
                self._give_up_hole(items)
                continue
            packet = entry[0]
            if self._samples_of is not None:
                self._packet_samples = self._samples_of(packet.payload) or self._packet_samples
            self._end_timestamp = (packet.timestamp + self._packet_samples) & _TIMESTAMP_MASK
            self._next += 1
            items.append(packet)
        return items

    def _due_ms(self) -> float:
        """When the pending hole is given up."""
        return min(arrival for _, arrival in self._waiting.values()) + self._jitter.target_ms

    def _place(self, sequence_number: int) -> int | None:
        """The position of a sequence number; None for one far outside the stream."""
        if self._highest_sequence is None:
            self._highest_sequence = sequence_number
            return self._highest_position
        step = _signed(sequence_number - self._highest_sequence, 16)
        if -_MAX_MISORDER <= step <= _MAX_DROPOUT:
            self._restart_sequence = None
        elif sequence_number == self._restart_sequence:
            step = 1  # the sender started over: its new numbers continue the stream
            self._restart_sequence = None
        else:
            self._restart_sequence = (sequence_number + 1) & _SEQUENCE_MASK
            return None
        position = self._highest_position + step
        if step > 0:
            self._highest_position = position
            self._highest_sequence = sequence_number
        return position

    def _count_old(self, position: int, timestamp: int, now_ms: float) -> None:
        """Count a packet whose place has been passed."""
        if position in self._declared_lost:
            self._declared_lost.remove(position)
            self._late += 1
            self._jitter.came_late(timestamp, now_ms)
        elif position < 0:
            self._late += 1
        else:
            self._duplicates += 1

    def _give_up_hole(self, items: list[Item]) -> None:
        """Declare everything before the first waiting packet missing."""
        first = min(self._waiting)
        count = first - self._next
        oldest = first - _MAX_MISORDER
        self._declared_lost = {at for at in self._declared_lost if at >= oldest}
        self._declared_lost.update(range(max(self._next, oldest), first))
        self._lost += count
        self._next = first

        # Sender silence inside the hole makes `missing` longer than the packets that were lost;
        # a change of the packet size, shorter.
        following = self._waiting[first][0].timestamp
        missing = _signed(following - self._end_timestamp, 32)
        lost = count * self._packet_samples
        samples = min(missing, lost, self._max_gap)
        if samples <= 0:
            return
        start = self._end_timestamp if lost > self._max_gap else following - samples
        items.append(Gap(start & _TIMESTAMP_MASK, samples))
        self._concealed_ticks += samples


class _Jitter:
    """How long a hole is worth waiting for, from how unevenly packets arrive."""

    def __init__(self, ticks_per_ms: float, min_target_ms: float, max_target_ms: float) -> None:
        self._ticks_per_ms = ticks_per_ms
        self._min_ms = min_target_ms
        self._max_ms = max_target_ms
        self.target_ms: float = min_target_ms
        self._last_timestamp = 0
        self._last_ms = float("-inf")
        self._window: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []
        self._late_ms = 0.0
        self._late_at = 0.0

    def arrived(self, timestamp: int, now_ms: float) -> None:
        """Take in the arrival of a packet that was still welcome."""
        self._add(self._lateness(timestamp, now_ms), now_ms)
        self._last_timestamp, self._last_ms = timestamp, now_ms

    def came_late(self, timestamp: int, now_ms: float) -> None:
        """Take in the arrival of a packet whose gap had been declared."""
        lateness = self._lateness(timestamp, now_ms)
        if lateness >= self._faded(now_ms):
            self._late_ms, self._late_at = lateness, now_ms
        self._add(lateness, now_ms)

    def _lateness(self, timestamp: int, now_ms: float) -> float:
        """How much later than the last packet, by their timestamps, this one came, in ms."""
        ticks = _signed(timestamp - self._last_timestamp, 32)
        lateness = now_ms - self._last_ms - ticks / self._ticks_per_ms
        return lateness if 0.0 < lateness <= _PAUSE_MS else 0.0

    def _faded(self, now_ms: float) -> float:
        """What is left of the last late packet's lateness."""
        return self._late_ms * max(0.0, 1.0 - (now_ms - self._late_at) / _WINDOW_MS)

    def _add(self, lateness: float, now_ms: float) -> None:
        """Add a sample, forget old ones, set the target."""
        window, ordered = self._window, self._sorted
        window.append((now_ms, lateness))
        insort(ordered, lateness)
        while window[0][0] <= now_ms - _WINDOW_MS or len(window) > _WINDOW_PACKETS:
            del ordered[bisect_left(ordered, window.popleft()[1])]
        p95 = ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
        wanted = max(p95, self._faded(now_ms), self._min_ms)
        self.target_ms = min(wanted, self._max_ms)


def _signed(difference: int, bits: int) -> int:
    """A difference of wrapped counters as the shortest signed step."""
    half = 1 << (bits - 1)
    return ((difference + half) & ((1 << bits) - 1)) - half
