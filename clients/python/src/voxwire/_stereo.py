"""A conversation on file: what the user said left, what the speaker played right."""

import os
from typing import Final

import numpy as np
import soxr

from voxwire._timeline import TimelineWriter
from voxwire.audio import CAPTURE_RATE, Speaker
from voxwire.playout import Block, Samples

__all__ = ["StereoFile", "TappedSpeaker"]

RATE: Final = 24_000
"""Hz, of the file."""

WINDOW_S: Final = 4
"""What may still come of the past: one side is told later than the other."""

STEP_MS: Final = 100
"""A side that is further off than its own count says has stood still."""

USER: Final = 0
BOT: Final = 1


class StereoFile:
    """Both sides at their moments, from when the session is up. Owned by the session."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Creates (or replaces) the file.

        Raises:
            MediaError: It cannot be created.
        """
        self._writer = TimelineWriter(path, sample_rate=RATE, num_channels=2)
        self._window = np.zeros((WINDOW_S * RATE, 2), np.int16)
        self._base = 0  # position of the window's first sample
        self._end = 0  # behind the last sample that was told
        self._zero_ms: float | None = None
        self._next = [0, 0]
        self._plays = False
        self._read = 0  # of the user since the resampler began, samples
        self._began_ms = 0.0
        self._resampler = _resampler()

    def begin(self, now_ms: float) -> None:
        """The file begins now."""
        self._zero_ms = now_ms

    def heard(self, pcm: bytes, now_ms: float) -> None:
        """The user's audio, int16 little-endian mono at 16 kHz, whose last sample is of now."""
        if self._zero_ms is None:
            return
        at_ms = now_ms - len(pcm) * 500 / CAPTURE_RATE
        expected_ms = self._began_ms + self._read * 1000 / CAPTURE_RATE
        if not self._read or abs(at_ms - expected_ms) > STEP_MS:
            self._resampler, self._read, self._began_ms = _resampler(), 0, at_ms
            self._next[USER] = self._position(at_ms)
        self._read += len(pcm) // 2
        samples = self._resampler.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.int16))
        self._put(USER, samples)

    def played(self, block: Block, at: float, sample_rate: int) -> None:
        """What the speaker was given, which sounds at `at`, seconds."""
        if self._zero_ms is None:
            return
        samples = block.samples
        if sample_rate != RATE:
            samples = soxr.resample(samples, sample_rate, RATE).astype(np.int16)
        position = self._position(at * 1000)
        if not self._plays or abs(position - self._next[BOT]) > STEP_MS * RATE // 1000:
            self._plays, self._next[BOT] = True, position
        self._put(BOT, samples)

    def close(self) -> None:
        """Writes what is left, and closes the file; may be called again.

        Raises:
            MediaError: DEVICE: it has no end.
        """
        try:
            if self._end > self._base:
                self._flush(self._end)
        finally:
            self._end = self._base
            self._writer.close()

    def _position(self, at_ms: float) -> int:
        return round((at_ms - (self._zero_ms or 0.0)) * RATE / 1000)

    def _put(self, side: int, samples: Samples) -> None:
        """Puts what follows on a side into the window."""
        start = self._next[side]
        self._next[side] = start + len(samples)
        late = max(0, self._base - start)  # it is written already
        samples, start = samples[late:], start + late
        while len(samples):
            room = self._base + len(self._window) - start
            if room <= 0:
                self._flush(start - len(self._window) // 2)
                continue
            piece = samples[:room]
            first = start - self._base
            self._window[first : first + len(piece), side] = piece
            start += len(piece)
            self._end = max(self._end, start)
            samples = samples[room:]

    def _flush(self, until: int) -> None:
        """Writes what lies before a position."""
        count = min(until - self._base, len(self._window))
        if self._window[:count].any() or until == self._end:
            self._writer.write(self._base, self._window[:count])
        self._window = np.concatenate((self._window[count:], np.zeros((count, 2), np.int16)))
        self._base = until


def _resampler() -> soxr.ResampleStream:
    return soxr.ResampleStream(CAPTURE_RATE, RATE, 1, dtype="int16")


class TappedSpeaker:
    """A speaker, and a file that takes what it is given."""

    def __init__(self, speaker: Speaker, file: StereoFile) -> None:
        """Wraps a speaker."""
        self._speaker = speaker
        self._file = file
        self._rate = RATE

    def open(self, sample_rate: int) -> None:
        """Opens the speaker."""
        self._rate = sample_rate
        self._speaker.open(sample_rate)

    def write(self, block: Block, at: float) -> None:
        """Writes the block to both."""
        self._file.played(block, at, self._rate)
        self._speaker.write(block, at)

    async def drain(self) -> None:
        """Waits until the speaker has taken everything, where it takes its time."""
        if (drain := getattr(self._speaker, "drain", None)) is not None:
            await drain()

    def close(self) -> None:
        """Closes the speaker."""
        self._speaker.close()
