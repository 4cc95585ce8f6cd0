"""Microphones and speakers of a test: they say what was read and played, and when."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from voxwire._microphones import CAPTURE_RATE, ClipMicrophone
from voxwire._speakers import Recording
from voxwire.playout import Block, Samples, SpanKind
from voxwire.testing.sound import onsets_ms, tone
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.virtual_time import running_clock

__all__ = ["FakeMicrophone", "FakeSpeaker", "Played", "PushSpeaker"]

_NOTHING: Final = np.zeros(0, np.int16)


class FakeMicrophone(ClipMicrophone):
    """A user who is silent until a test has him speak. For ``connect(microphone=...)``."""

    def __init__(self) -> None:
        """Creates it silent."""
        super().__init__()
        self.read_samples = 0
        """How many samples were read so far, silence included."""

    def speak(self, duration_ms: float = 500) -> asyncio.Event:
        """Has the user make a sound of that length, behind those before it.

        Returns:
            An event that is set once its last sample was read.
        """
        return self.play(tone(duration_ms, sample_rate=CAPTURE_RATE, hz=200))

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples: all that is asked for, silence where nobody speaks."""
        self.read_samples += num_samples
        spoken = super().read(num_samples)
        return np.concatenate((spoken, np.zeros(num_samples - len(spoken), np.int16)))


class Played(NamedTuple):
    """A stretch of bot audio that was played without a break.

    Attributes:
        at_ms: When its first sample sounded, milliseconds of the session's clock.
        media_ms: Its place on the media clock.
        samples: int16 mono.
    """

    at_ms: float
    media_ms: float
    samples: Samples


class FakeSpeaker(Recording):
    """Keeps what a session plays, and when. For ``connect(speaker=...)``.

    Attributes:
        sample_rate: Hz; 0 before the session opened.
        played: Every stretch of bot audio, in order.
        closed: True once the session has closed it.
    """

    def __init__(self) -> None:
        """Creates it with nothing played."""
        super().__init__()
        self.played: list[Played] = []
        self.closed = False

    def write(self, block: Block, at: float) -> None:
        """Takes the next block, which sounds at `at`, seconds."""
        super().write(block, at)
        for span in block.spans:
            if span.kind is SpanKind.PLAYED:
                at_ms = round(at * 1000 + span.offset * 1000 / self.sample_rate, 3)
                media_ms = span.position * 1000 / self.sample_rate
                piece = block.samples[span.offset : span.offset + span.length]
                self.played.append(Played(at_ms, media_ms, piece))

    def close(self) -> None:
        """Notes that nothing more comes."""
        self.closed = True

    def sounded_at_ms(self, media_ms: float) -> float | None:
        """When the sample at that position sounded; None = it has not.

        Args:
            media_ms: A position on the media clock, milliseconds.
        """
        for piece in self.played:
            into_ms = media_ms - piece.media_ms
            if 0 <= into_ms < len(piece.samples) * 1000 / self.sample_rate:
                return round(piece.at_ms + into_ms, 3)
        return None

    @property
    def onsets_ms(self) -> list[float]:
        """Where on the media clock sounds begin: one for each word of a `FakeSession`."""
        return onsets_ms(self.samples, sample_rate=self.sample_rate or 1)


@dataclass(slots=True, eq=False)
class _Mark:
    """What is called at a place in what is pushed."""

    work: Callable[[], object]
    timer: Timer | None = None


class PushSpeaker:
    """The far end of a stream that is pushed (a telephone): plays what it is fed, in real time.

    It takes any amount at once, plays it by its clock and says marks when they are reached. What
    it has played can be asked at any moment.
    """

    def __init__(self, *, sample_rate: int = 8000, clock: Clock | None = None) -> None:
        """Creates it silent.

        Args:
            sample_rate: Of what it is fed, Hz.
            clock: What it plays by; None = the virtual time that this runs in, or the machine's.
        """
        self.sample_rate = sample_rate
        self._clock = clock or running_clock()
        self._pieces: list[tuple[float, Samples]] = []
        self._end_ms = 0.0
        self._marks: list[_Mark] = []

    @property
    def samples(self) -> Samples:
        """What has sounded so far, one sound behind the other, pauses left out."""
        now_ms = self._clock.now_ms()
        heard = [self._heard_of(start_ms, piece, now_ms) for start_ms, piece in self._pieces]
        return np.concatenate(heard) if heard else _NOTHING

    @property
    def played_ms(self) -> float:
        """How much of what it was fed has sounded, milliseconds."""
        return len(self.samples) * 1000 / self.sample_rate

    @property
    def waiting_ms(self) -> float:
        """How much is still to sound, milliseconds."""
        return max(0.0, self._end_ms - self._clock.now_ms())

    def feed(self, pcm: bytes | Samples) -> None:
        """Plays that behind what waits.

        Args:
            pcm: int16 mono at `sample_rate`; bytes are little-endian.
        """
        piece = np.frombuffer(pcm, "<i2").astype(np.int16) if isinstance(pcm, bytes) else pcm
        start_ms = max(self._end_ms, self._clock.now_ms())
        self._pieces.append((start_ms, piece))
        self._end_ms = start_ms + len(piece) * 1000 / self.sample_rate

    def mark(self, work: Callable[[], object]) -> None:
        """Calls `work` once everything that was fed before it has sounded, or was cleared."""
        mark = _Mark(work)
        mark.timer = self._clock.call_later(self.waiting_ms, lambda: self._reach(mark))
        self._marks.append(mark)

    def clear(self) -> None:
        """Falls silent at once: drops what has not sounded, and says the marks behind it."""
        now_ms = self._clock.now_ms()
        self._pieces = [(at, self._heard_of(at, piece, now_ms)) for at, piece in self._pieces]
        self._end_ms = now_ms
        for mark in tuple(self._marks):
            self._reach(mark)

    def _reach(self, mark: "_Mark") -> None:
        self._marks.remove(mark)
        if mark.timer is not None:
            mark.timer.cancel()
        mark.work()

    def _heard_of(self, start_ms: float, piece: Samples, now_ms: float) -> Samples:
        return piece[: max(0, round((now_ms - start_ms) * self.sample_rate / 1000))]
