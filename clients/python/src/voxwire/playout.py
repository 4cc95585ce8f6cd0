"""The playout buffer: bot audio by position on the media clock, handed to a speaker in blocks.

Pure: no clock is read. Time passes as samples are pulled. Positions are sample indexes on the
media clock at the playout rate; the position of the buffer is that of the next sample to sound.
It freezes when there is nothing to play, jumps forward over what was never sent, and never goes
back - but for the silence that a continuous stream sends where nothing is placed (`rewind`).
"""

from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._blocks import Block, Samples, Span, SpanKind

__all__ = ["Block", "MakeUp", "PlayoutBuffer", "Samples", "Span", "SpanKind"]

FADE_MS: Final = 10
"""Length of the fade before a flush falls silent."""

CONCEAL_MS: Final = 20
"""Longest piece that is made up of the sound before it when audio is late."""

FORESEEN_MS: Final = 60
"""The same where the codec makes it up."""

MakeUp = Callable[[int], Samples]
"""Makes up so many samples to follow the newest audio that was pushed."""

MAX_GAP_MS: Final = 500
"""A longer hole between two buffered pieces is jumped over; a shorter one is a pause."""

LATE_MS: Final = 500
"""Audio that continues a dry buffer within this time was late; after it, it is a new start."""

MAX_AHEAD_MS: Final = 3_600_000
"""Audio further ahead of the position is refused."""

MAX_BUFFERED_MS: Final = 30_000
"""Most audio that is kept; what comes on top is refused."""

STEP_MS: Final = 20
"""Least growth of the target after an underrun."""

DECAY_AFTER_MS: Final = 10_000
"""Played without underrun for this long, the target shrinks by `DECAY_MS`."""

DECAY_MS: Final = 10
"""One step of the target back to where it started."""

TRIM_ABOVE_MS: Final = 60
"""A continuous stream this far above the target gives up silence."""

QUIET: Final = 16
"""Peak (of 32768) at or below which a block counts as silence."""

SMEAR_MS: Final = 10
"""A codec smears the onset of a sound this far ahead of it (Opus: by its look-ahead, 6.5 ms)."""

KEPT_ENDS: Final = 64
"""Ends of pieces with sound in them that are remembered, to go back no further."""


def _fade_out(samples: Samples) -> Samples:
    """The samples with a linear fade to silence over their whole length."""
    ramp = np.linspace(1.0, 0.0, num=len(samples), endpoint=False, dtype=np.float32)
    return (samples * ramp).astype(np.int16)


def _loud(samples: Samples) -> bool:
    """True when there is more than silence in it."""
    return bool(np.abs(samples.astype(np.int32)).max(initial=0) > QUIET)


class PlayoutBuffer:
    """Adaptive playout buffer of one track. Not thread-safe; owned by one player.

    Attributes:
        position: Position of the next sample to sound.
        target_ms: Audio that is gathered before playing starts, milliseconds.
        underruns: How often audio came too late.
        late_samples: Samples dropped because their position had passed or was flushed.
        refused_samples: Samples dropped because they lay too far ahead or were too many.
        trimmed_samples: Silence given up to catch up with a continuous stream.
        playing: True while audio is handed out.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        target_ms: int = 40,
        max_target_ms: int = 200,
        continuous: bool = False,
        make_up: MakeUp | None = None,
    ) -> None:
        """Creates an empty buffer at position 0.

        Args:
            sample_rate: Of everything pushed and pulled, Hz.
            target_ms: Delay to start with; grows to `max_target_ms` on underruns, decays again.
            max_target_ms: Longest delay.
            continuous: True for a stream that sends silence too (RTP): silence is given up to
                get rid of delay that a stall left behind.
            make_up: Asked for sound when audio is late; None = the last of it is repeated.
        """
        self.position = 0
        self.target_ms = target_ms
        self.underruns = 0
        self.late_samples = 0
        self.refused_samples = 0
        self.trimmed_samples = 0
        self.playing = False
        self._rate = sample_rate
        self._first_target_ms = target_ms
        self._max_target_ms = max_target_ms
        self._continuous = continuous
        self._make_up = make_up
        self._queue: list[tuple[int, Samples]] = []
        self._buffered = 0
        # what sounds before anything else: the end of what was flushed, or what is made up
        self._tail: tuple[int, Samples, SpanKind] | None = None
        self._void_until = 0
        self._waited = 0
        self._dry: int | None = None  # samples since it ran dry; None = it did not
        self._made_up = 0  # concealment of the current dry spell, not known yet to be needed
        self._concealed = 0
        self._since_underrun = 0
        self._last: Samples = np.zeros(0, np.int16)
        self._loud_ends: deque[int] = deque(maxlen=KEPT_ENDS)

    @property
    def buffered_ms(self) -> int:
        """Audio received but not yet handed out, milliseconds."""
        return self._buffered * 1000 // self._rate

    @property
    def concealed_ms(self) -> int:
        """Audio made up to hide gaps, milliseconds."""
        return self._concealed * 1000 // self._rate

    def push(self, sample_index: int, samples: Samples) -> None:
        """Takes audio at its position. What is late, void or already there is ignored.

        Args:
            sample_index: Position of the first sample.
            samples: int16 mono at the buffer's rate; kept, not copied.
        """
        end = sample_index + len(samples)
        start = max(sample_index, self.position, self._void_until)
        self.late_samples += min(start, end) - sample_index
        if start >= end:
            return
        ahead = end - self.position > self._samples(MAX_AHEAD_MS)
        if ahead or self._buffered + end - start > self._samples(MAX_BUFFERED_MS):
            self.refused_samples += end - start
            return
        if self._dry is not None and start == self.position:
            self._note_underrun(self._dry)
        self._dry = None
        self._insert(start, samples[start - sample_index :])

    def pull(self, num_samples: int) -> Block:
        """Hands out the next block; always `num_samples` long."""
        out = np.zeros(num_samples, np.int16)
        spans: list[Span] = []
        filled = 0
        while filled < num_samples:
            if self._tail is not None and not self._resumes(num_samples - filled):
                span = self._take_tail(*self._tail, out, filled)
            elif self.playing or self._start(num_samples - filled):
                span = self._take(out, filled)
            else:
                span = Span(filled, num_samples - filled, self.position, SpanKind.SILENT)
                self._dry = None if self._dry is None else self._dry + span.length
            if span.length:
                spans.append(span)
            filled += span.length
        return Block(out, tuple(spans), self.position)

    def rewind(self, sample_index: int, *, misplaced: int) -> None:
        """Takes back audio of a continuous stream that was given a place it does not have.

        A stream sends silence while nothing is placed, and its packets may overtake the message
        that says where they belong. Once that says that what was pushed at `misplaced` begins at
        `sample_index`, that audio is dropped, to be pushed again, with what its codec smeared up to
        `SMEAR_MS` ahead of it, and what came before it and reaches beyond `sample_index` was no
        part of the media clock. The position goes back over silence and over what sounded of that
        audio, and over nothing else.

        Args:
            sample_index: Where the audio begins in truth.
            misplaced: Where it was pushed.
        """
        smeared = misplaced - self._samples(SMEAR_MS)
        jumps = sample_index - misplaced > self._samples(SMEAR_MS)
        end = smeared if jumps else min(misplaced, sample_index)
        self._keep(lambda at, samples: (at, samples[: max(0, end - at)]))
        while self._loud_ends and self._loud_ends[-1] > smeared:
            self._loud_ends.pop()
        heard_until = self._loud_ends[-1] if self._loud_ends else 0
        self.position = min(self.position, max(sample_index, heard_until, self._void_until))

    def flush(self, until: int) -> int:
        """Falls silent: fades within 10 ms and drops everything before `until`.

        Args:
            until: Audio before this position is void, also if it comes later.

        Returns:
            The position at which the sound stops.
        """
        if until <= self.position:
            return self.position
        if self.playing:
            self._fade(min(self._samples(FADE_MS), until - self.position))
            self.playing = False
        self._void_until = max(self._void_until, until)
        self._dry = None
        self._waited = 0
        self._keep(lambda at, samples: (max(at, until), samples[max(0, until - at) :]))
        return self.position

    def restart(self, *, target_ms: int, continuous: bool, make_up: MakeUp | None = None) -> None:
        """Drops what is buffered and waits for another stream; position and counters stay."""
        self.target_ms = self._first_target_ms = target_ms
        self._continuous = continuous
        self._make_up = make_up
        self.playing = False
        self._dry = None
        self._waited = 0
        self._keep(lambda at, samples: (at, samples[:0]))

    def _keep(self, part: Callable[[int, Samples], tuple[int, Samples]]) -> None:
        """Keeps a part of every piece in the queue; empty ones go."""
        pieces = (part(at, samples) for at, samples in self._queue)
        self._queue = [piece for piece in pieces if len(piece[1])]
        self._buffered = sum(len(samples) for _, samples in self._queue)

    def _samples(self, duration_ms: int) -> int:
        return duration_ms * self._rate // 1000

    def _insert(self, start: int, samples: Samples) -> None:
        """Adds what is not there yet."""
        end = start + len(samples)
        cursor = start
        pieces: list[tuple[int, int]] = []
        for have, known in self._queue if self._overlaps(start) else ():
            if have >= end:
                break
            if have > cursor:
                pieces.append((cursor, have))
            cursor = max(cursor, have + len(known))
        if cursor < end:
            pieces.append((cursor, end))
        for first, last in pieces:
            insort(
                self._queue, (first, samples[first - start : last - start]), key=lambda it: it[0]
            )
            self._buffered += last - first

    def _overlaps(self, start: int) -> bool:
        return bool(self._queue) and self._queue[-1][0] + len(self._queue[-1][1]) > start

    def _note_underrun(self, dry: int) -> None:
        """Grows the target when audio continues what ran dry a moment ago."""
        if dry > self._samples(LATE_MS):
            return
        self.underruns += 1
        self._concealed += self._made_up
        self._made_up = 0
        self._since_underrun = 0
        late_ms = dry * 1000 // self._rate
        self.target_ms = min(self._max_target_ms, self.target_ms + max(STEP_MS, late_ms))

    def _start(self, num_samples: int) -> bool:
        """Decides whether enough is gathered; jumps to the first audio if so."""
        if not self._queue:
            self._waited = 0
            return False
        target = self._samples(self.target_ms)
        if self._buffered < target and self._waited < target:
            self._waited += num_samples
            return False
        self._waited = 0
        self.playing = True
        self.position = max(self.position, self._queue[0][0])
        return True

    def _resumes(self, num_samples: int) -> bool:
        """True when the codec bridges a wait that is over: the rest of the bridge is dropped."""
        bridged = self._tail is not None and self._tail[2] is SpanKind.CONCEALED
        if self._make_up is None or not bridged or not self._start(num_samples):
            return False
        self._tail = None
        return True

    def _take(self, out: Samples, filled: int) -> Span:
        """Fills some of the block from what is buffered."""
        room = len(out) - filled
        if self._continuous:
            self._trim()
        if not self._queue:
            return self._conceal(out, filled)
        start, samples = self._queue[0]
        gap = start - self.position
        if gap > self._samples(MAX_GAP_MS):
            self.position = start
        elif gap > 0:
            return self._advance(Span(filled, min(room, gap), self.position, SpanKind.GAP), out)
        length = min(room, len(samples))
        out[filled : filled + length] = samples[:length]
        if length == len(samples):
            del self._queue[0]
        else:
            self._queue[0] = (start + length, samples[length:])
        self._buffered -= length
        return self._advance(Span(filled, length, self.position, SpanKind.PLAYED), out)

    def _advance(self, span: Span, out: Samples) -> Span:
        """Moves the position and remembers the end of what sounded, for concealment."""
        self.position += span.length
        played = out[span.offset : span.offset + span.length]
        if self._continuous and _loud(played):
            self._loud_ends.append(self.position)
        keep = self._samples(CONCEAL_MS)
        self._last = np.concatenate((self._last, played))[-keep:]
        self._since_underrun += span.length
        if self._since_underrun >= self._samples(DECAY_AFTER_MS):
            self._since_underrun = 0
            self.target_ms = max(self._first_target_ms, self.target_ms - DECAY_MS)
        return span

    def _conceal(self, out: Samples, filled: int) -> Span:
        """Makes up a moment of sound, fading, and stops playing."""
        self.playing = False
        self._dry = self._made_up = 0
        made_up = self._last
        if self._make_up is not None:
            made_up = self._make_up(self._samples(FORESEEN_MS))
        made_up = _fade_out(made_up)
        return self._take_tail(self.position, made_up, SpanKind.CONCEALED, out, filled)

    def _trim(self) -> None:
        """Gives up one quiet piece at the head when a continuous stream has fallen behind."""
        limit = self._samples(self.target_ms + TRIM_ABOVE_MS)
        if self._buffered <= limit:
            return
        samples = self._queue[0][1]
        if _loud(samples):
            return
        start, _ = self._queue.pop(0)
        self._buffered -= len(samples)
        self.trimmed_samples += len(samples)
        self.position = start + len(samples)

    def _fade(self, num_samples: int) -> None:
        """Moves the next samples to the tail, fading."""
        pieces: list[Samples] = []
        need, end = num_samples, self.position
        for start, samples in self._queue:
            if start != end or not need:
                break
            pieces.append(samples[:need])
            need -= len(pieces[-1])
            end += len(pieces[-1])
        if pieces:
            self._tail = self.position, _fade_out(np.concatenate(pieces)), SpanKind.PLAYED
            self.position = end

    def _take_tail(
        self, start: int, samples: Samples, kind: SpanKind, out: Samples, filled: int
    ) -> Span:
        """Hands out what sounds before anything else; the rest of it stays."""
        length = min(len(out) - filled, len(samples))
        out[filled : filled + length] = samples[:length]
        rest = start + length if kind.moves else start
        self._tail = (rest, samples[length:], kind) if length < len(samples) else None
        if kind is SpanKind.CONCEALED and self._dry is None and self._make_up is not None:
            self._concealed += length
        elif kind is SpanKind.CONCEALED:
            self._made_up += length
            self._dry = None if self._dry is None else self._dry + length
        return Span(filled, length, start, kind)
