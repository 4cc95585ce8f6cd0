"""Sounds that a test can find again in what was played. Pure; int16 mono throughout."""

from typing import Final

import numpy as np

from voxwire.playout import Samples

__all__ = ["PLAYOUT_RATE", "loud_ms", "onsets_ms", "spoken_words", "tone"]

PLAYOUT_RATE: Final = 24_000

_LOUD: Final = 1000
_QUIET_MS: Final = 10
_PAUSE_MS: Final = 40


def tone(
    duration_ms: float, *, sample_rate: int = PLAYOUT_RATE, hz: float = 440, amplitude: int = 8000
) -> Samples:
    """A sine, loud from its first millisecond to its last.

    Args:
        duration_ms: Its length, milliseconds.
        sample_rate: Hz.
        hz: Its pitch.
        amplitude: Its peak, of 32 767.
    """
    t = np.arange(round(duration_ms * sample_rate / 1000)) / sample_rate
    return np.rint(np.cos(2 * np.pi * hz * t) * amplitude).astype(np.int16)


def spoken_words(
    count: int, *, word_ms: float = 200, sample_rate: int = PLAYOUT_RATE, hz: float = 440
) -> Samples:
    """The sound of words: a tone each, the last 40 ms of every word (half of a short one) silent.

    Args:
        count: How many.
        word_ms: Length of each with its pause, milliseconds.
        sample_rate: Hz.
        hz: Their pitch.
    """
    sound_ms = word_ms - min(_PAUSE_MS, word_ms / 2)
    samples = np.zeros(round(count * word_ms * sample_rate / 1000), np.int16)
    word = tone(sound_ms, sample_rate=sample_rate, hz=hz)
    for number in range(count):
        start = round(number * word_ms * sample_rate / 1000)
        samples[start : start + len(word)] = word
    return samples


def onsets_ms(samples: Samples, *, sample_rate: int = PLAYOUT_RATE) -> list[float]:
    """Where sounds begin: loud samples behind at least 10 ms of quiet, milliseconds."""
    return [start_ms for start_ms, _ in _sounds(samples, sample_rate)]


def loud_ms(samples: Samples, *, sample_rate: int = PLAYOUT_RATE) -> float:
    """How long there is sound, pauses of less than 10 ms included, milliseconds."""
    return sum(end_ms - start_ms for start_ms, end_ms in _sounds(samples, sample_rate))


def _sounds(samples: Samples, sample_rate: int) -> list[tuple[float, float]]:
    """Begin and end of each sound, milliseconds."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
    if not len(loud):
        return []
    gaps = np.flatnonzero(np.diff(loud) > _QUIET_MS * sample_rate // 1000)
    starts = loud[np.concatenate(([0], gaps + 1))]
    ends = loud[np.concatenate((gaps, [len(loud) - 1]))] + 1
    per_ms = sample_rate / 1000
    return [(float(a / per_ms), float(b / per_ms)) for a, b in zip(starts, ends, strict=True)]
