"""The bot's voice on the media clock: where audio is placed, what was sent, what was heard.

Pure: no clock reads, no I/O; ``now_ms`` is monotonic milliseconds. A sample gets its position
once, when it is placed; sending it again never moves it; a flush never rewinds
(``protocol/spec/media-clock.md``).
"""

from collections import deque
from typing import Final

from voxwire_server.playout.heard import HeardPosition
from voxwire_server.ports import Block, Cut

__all__ = ["MAX_BACKLOG_MS", "Playout"]

MAX_BACKLOG_MS: Final = 10_000
"""Placed, unheard audio that is kept; beyond it the synthesiser waits."""

_CONTIGUOUS_SLACK_MS: Final = 1000
"""A continuous source that is late by less than this goes on without a gap."""


class Playout:
    """Places the bot's audio and hands it to whichever path carries it.

    Args:
        sample_rate: Rate of the placed audio, Hz.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.heard = HeardPosition()
        self.waiting_since_ms = 0.0
        """When the oldest unheard audio was placed, or audio before it that is heard by now."""
        self._blocks: deque[Block] = deque()
        self._end = 0
        self._cursor = 0
        self._clock_base = 0.0
        self._clock_at_ms = 0.0
        self._attached = False
        self.flush_id = 0
        """Number of the newest flush; 0 = none yet."""
        self.concealed_ms = 0
        """Sound that the listener on this path had to make up so far."""

    # positions

    def to_ms(self, samples: int) -> int:
        """Position in whole milliseconds of the media clock."""
        return samples * 1000 // self.sample_rate

    @property
    def end_ms(self) -> int:
        """End of the placed audio, milliseconds of the media clock."""
        return self.to_ms(self._end)

    def clock_samples(self, now_ms: float) -> int:
        """The media clock: runs with wall time while a path is attached."""
        if not self._attached:
            return int(self._clock_base)
        elapsed = (now_ms - self._clock_at_ms) * self.sample_rate / 1000
        return int(self._clock_base + elapsed)

    def clock_ms(self, now_ms: float) -> float:
        """The media clock, or the end of what is placed where that is further, milliseconds."""
        return max(self.clock_samples(now_ms), self._end) * 1000 / self.sample_rate

    def heard_ms(self, now_ms: float) -> float:
        """What the listener has heard, milliseconds of the media clock."""
        return self.heard.at(now_ms)[0]

    def backlog_ms(self, now_ms: float) -> float:
        """Placed audio that is not heard yet, milliseconds."""
        return max(0.0, self.end_ms - self.heard_ms(now_ms))

    def begin_at(self, media_ms: float, now_ms: float) -> None:
        """The clock begins there: what stands before it, another process has placed."""
        self._end = self._cursor = int(media_ms * self.sample_rate / 1000)
        self._clock_base, self._clock_at_ms = float(self._end), now_ms
        self.heard.skip_to(media_ms, now_ms)

    # paths

    def attach(self, now_ms: float, *, reports: bool, way_ms: float | None = None) -> None:
        """A path begins to carry audio, from the last position that is certain.

        Args:
            now_ms: Monotonic milliseconds.
            reports: Whether its listener reports.
            way_ms: How long sound takes to him, by estimate, where no position can be known.
        """
        heard = self._certain(now_ms)
        self.heard.reports, self.heard.way_ms = reports, way_ms
        self.heard.attach(now_ms)
        self.concealed_ms = 0
        self._clock_base = float(self.clock_samples(now_ms))
        self._clock_at_ms = now_ms
        self._attached = True
        self._cursor = min(self._cursor, max(heard, self._first()))

    def detach(self, now_ms: float) -> None:
        """No path carries audio: the clock freezes."""
        self._clock_base = float(self.clock_samples(now_ms))
        self._attached = False
        self.heard.detach(now_ms)

    def rewind(self, now_ms: float) -> None:
        """The path carries audio again after a silence of the peer: what it missed comes again."""
        self.detach(now_ms)
        self.attach(now_ms, reports=self.heard.reports, way_ms=self.heard.way_ms)

    def _certain(self, now_ms: float) -> int:
        return int(self.heard.certain_ms(now_ms) * self.sample_rate / 1000)

    def _first(self) -> int:
        return self._blocks[0].start if self._blocks else self._end

    # placing

    def place(self, pcm: bytes, now_ms: float, *, new_stretch: bool, live: bool = False) -> int:
        """Give audio its position.

        Args:
            pcm: int16 little-endian mono PCM at the session's rate.
            now_ms: Monotonic milliseconds.
            new_stretch: True for the first audio of an utterance (it starts now, or behind what
                is placed); False for audio that continues, which stays contiguous.
            live: True for audio that comes as it happens (an echo, a translation): its backlog may
                be shed; an utterance's never is.

        Returns:
            Position of its first sample.
        """
        if self.backlog_ms(now_ms) <= 0:
            self.waiting_since_ms = now_ms
        clock = self.clock_samples(now_ms)
        late = clock - self._end
        slack = _CONTIGUOUS_SLACK_MS * self.sample_rate // 1000
        if late > 0 and (new_stretch or late > slack):
            start = clock
        else:
            start = self._end
            if late > 0:  # it cannot be heard before now, so the clock waits for it
                self._clock_base, self._clock_at_ms = float(start), now_ms
        self._blocks.append(Block(start, pcm, live))
        self._end = start + len(pcm) // 2
        return start

    def _forget(self, now_ms: float) -> None:
        if not self._blocks or self._blocks[0].end > self._cursor:
            return
        keep = min(self._certain(now_ms), self._cursor)
        while self._blocks and self._blocks[0].end <= keep:
            self._blocks.popleft()

    # sending

    @property
    def pending(self) -> bool:
        """True when placed audio waits to be sent."""
        return self._cursor < self._end and bool(self._blocks)

    def next_start(self) -> int | None:
        """Position of the next sample to send, None when all is sent."""
        for block in self._blocks:
            if block.end > self._cursor:
                return max(block.start, self._cursor)
        return None

    def take(self, num_samples: int, now_ms: float) -> Block | None:
        """The next audio to send, at most ``num_samples``, contiguous; None when all is sent."""
        start = self.next_start()
        if start is None:
            return None
        parts: list[bytes] = []
        position = start
        wanted = num_samples
        for block in self._blocks:
            if block.end <= position:
                continue
            if block.start > position or not wanted:
                break
            offset = position - block.start
            piece = block.pcm[offset * 2 : (offset + wanted) * 2]
            parts.append(piece)
            position += len(piece) // 2
            wanted -= len(piece) // 2
        self._cursor = position
        scale = 1000 / self.sample_rate
        self.heard.sent(start * scale, position * scale, now_ms)
        self._forget(now_ms)
        return Block(start, parts[0] if len(parts) == 1 else b"".join(parts))

    def live_backlog_samples(self) -> int:
        """Unsent audio when all of it is live, else 0."""
        if self._cursor >= self._end or not self._blocks or not self._blocks[-1].live:
            return 0
        if not all(block.live for block in self._blocks if block.end > self._cursor):
            return 0
        start = self.next_start()
        return 0 if start is None else self._end - start

    def skip_live(self, num_samples: int) -> None:
        """Drop the oldest unsent live audio."""
        start = self.next_start()
        if start is not None:
            self._cursor = min(self._end, start + num_samples)

    def make_room(self) -> bool:
        """Drop the oldest unsent live audio beyond `MAX_BACKLOG_MS`.

        Returns:
            False when an utterance waits to be sent: of that nothing is dropped.
        """
        unsent = self.live_backlog_samples()
        if self.pending and not unsent:
            return False
        self.skip_live(max(0, unsent - MAX_BACKLOG_MS * self.sample_rate // 1000))
        return True

    # flushing

    def flush(self, now_ms: float) -> Cut | None:
        """Void what was placed and not heard; the next utterance starts behind it.

        Returns:
            The cut, or None when everything placed was heard.
        """
        if self.heard_ms(now_ms) >= self.end_ms:
            return None
        self._blocks.clear()
        self._cursor = self._end
        self.flush_id += 1
        return Cut(self.flush_id, -(-self._end * 1000 // self.sample_rate))

    def finish_flush(self, cut: Cut, now_ms: float) -> None:
        """The flush is answered (or given up): the position is behind the cut."""
        self.heard.skip_to(max(cut.until_ms, self.heard_ms(now_ms)), now_ms)
        if self.clock_samples(now_ms) < self._end:  # the listener's position has jumped there too
            self._clock_base, self._clock_at_ms = float(self._end), now_ms
