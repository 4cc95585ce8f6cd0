"""Word times for speech that comes without them, fitted to the audio's speech and pauses.

Pure. The audio's loudness gives where there is speech; within the speech, time is shared by the
words in proportion to their letters, and a pause in the audio is spent where the text has
punctuation (``TimingSource.ESTIMATED``).
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxwire_protocol.text_join import UNSPACED

__all__ = ["HOP_MS", "EstimatedWord", "envelope", "estimate_words"]

_SPACED_WORD: Final = re.compile(r"\S+")
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_OPENING: Final = "「『（〈《【〔“‘(［｛"
_CLINGING: Final = (
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶーゝゞヽヾ々\u3099\u309a\ufe00-\ufe0f"
)
"""Kana and marks that are said with the character before them."""
_WORD: Final = re.compile(
    rf"[{_OPENING}]*(?:(?=[{UNSPACED}])\w[{_CLINGING}]*|[^\s{UNSPACED}{_OPENING}]+)"
    rf"(?:(?![{_OPENING}])[^\w\s])*|\S"
)
"""A word between spaces; of Chinese and Japanese, which have none, a character."""

HOP_MS: Final = 10
"""Resolution of a loudness envelope, milliseconds."""

_QUIET_RATIO: Final = 0.04
_QUIET_FLOOR: Final = 60.0
_MIN_PAUSE_HOPS: Final = 8
_EXTRA_LETTERS: Final = 1.5


@dataclass(frozen=True, slots=True)
class EstimatedWord:
    """A word with its characters in the text and its time in the audio."""

    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int


def envelope(pcm: bytes, sample_rate: int) -> NDArray[np.float32]:
    """Loudness (RMS, int16 units) of int16 mono PCM, one value every 10 ms."""
    hop = sample_rate * HOP_MS // 1000
    samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float32)
    count = len(samples) // hop
    if not count:
        return np.zeros(0, dtype=np.float32)
    blocks = samples[: count * hop].reshape(count, hop)
    return np.sqrt((blocks * blocks).mean(axis=1))


def _segments(loudness: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Stretches of speech as ``[start, end)`` in hops; pauses shorter than 80 ms do not count."""
    if not len(loudness):
        return []
    threshold = max(_QUIET_FLOOR, float(np.percentile(loudness, 95)) * _QUIET_RATIO)
    voiced = np.flatnonzero(loudness > threshold)
    if not len(voiced):
        return [(0, len(loudness))]
    breaks = np.flatnonzero(np.diff(voiced) > _MIN_PAUSE_HOPS)
    starts = [int(voiced[0]), *(int(voiced[i + 1]) for i in breaks)]
    ends = [*(int(voiced[i]) + 1 for i in breaks), int(voiced[-1]) + 1]
    return list(zip(starts, ends, strict=True))


def estimate_words(text: str, loudness: NDArray[np.float32]) -> list[EstimatedWord]:
    """Fit the words of ``text`` to audio.

    Args:
        text: What was spoken; words are separated by white space, and in Chinese and Japanese
            every character is one, with the marks that cling to it.
        loudness: Envelope of the audio, one value every 10 ms.

    Returns:
        The words in order, with non-overlapping spans from the audio's first sample.
    """
    unspaced = _UNSPACED.search(text)
    matches = list((_WORD if unspaced else _SPACED_WORD).finditer(text))
    segments = _segments(loudness)
    if not matches or not segments:
        return []
    weights = [len(m.group()) + _EXTRA_LETTERS for m in matches]
    total = sum(weights)
    spoken = sum(end - start for start, end in segments)
    words: list[EstimatedWord] = []
    done = 0.0
    for match, weight in zip(matches, weights, strict=True):
        start = _at(segments, done / total * spoken, opening=True)
        done += weight
        end = _at(segments, done / total * spoken, opening=False)
        words.append(
            EstimatedWord(
                match.group(),
                match.start(),
                match.end(),
                round(start * HOP_MS),
                round(max(start, end) * HOP_MS),
            )
        )
    return words


def _at(segments: list[tuple[int, int]], spoken: float, *, opening: bool) -> float:
    """Position in hops after ``spoken`` hops of speech; on an edge, the opening or closing side."""
    left = spoken
    for index, (start, end) in enumerate(segments):
        length = end - start
        last = index == len(segments) - 1
        if left < length - 1e-6 or last or (not opening and left <= length + 1e-6):
            return start + min(left, length)
        left -= length
    return float(segments[-1][1])
