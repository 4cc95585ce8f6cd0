"""Finds the words of a text in audio: the cheapest way to cut the audio into the words' sounds.

Pure. A segmental Viterbi search over the sounds of :mod:`phones` and the rows of :mod:`features`:
every sound costs what its rows look like and how unusual its length is, and between words there
may be a pause, cheap where the text has punctuation. Text may run ahead of the audio, and audio
ahead of the text; what is in excess stays open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxwire_server.pipeline.timing.features import Features
from voxwire_server.pipeline.timing.phones import Kind

__all__ = ["Span", "Word", "align", "row_costs", "usual_rows"]

_MEAN: Final = np.array(
    [
        [-40.0, -2, -2],  # pause
        [-6.7, -10.8, -20],  # vowel
        [-10.6, -19.6, -29],  # sonorant
        [-16.2, 0.5, 9],  # sibilant
        [-24, -9.8, -9.3],  # breath
        [-26, -6.9, -9],  # stop
        [-12, -8, -14],  # any
    ]
)
_SPREAD: Final = np.array(
    [
        [8.0, 8, 9],
        [9, 7.2, 7.3],
        [8.3, 9, 9.6],
        [9, 11.3, 11.6],
        [11, 11.6, 13.6],
        [13, 11.1, 15.5],
        [14, 14, 20],
    ]
)
_USUAL_ROWS: Final = np.array([10.0, 4.8, 2.8, 3.0, 2.8, 2.4, 4.0])
_ROWS_SPREAD: Final = np.array([1.0, 0.5, 0.42, 0.55, 0.42, 0.6, 0.6])

_QUIETEST_DB: Final = -45.0
_MOST_ROWS: Final = 20
_ROW_WEIGHT: Final = 0.45
"""Neighbouring rows say much the same, so that one counts for less than a measurement."""
_PAUSE_COST: Final = (6.0, 2.0, 1.5, 1.0)
_NO_PAUSE_COST: Final = (0.0, 0.6, 1.5, 2.5)
_UNKNOWN_COST: Final = 0.5
_PACE_ROWS: Final = 10.0
_PACE_SPREAD: Final = 0.08
_INFINITE: Final = np.inf


@dataclass(frozen=True, slots=True)
class Word:
    """A word to be found."""

    kinds: tuple[Kind, ...]
    pause: int = 0
    """How sure a pause behind it is, 0 to 3 (``PAUSE_MARKS``)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``[start, end)`` of a word that was found; ``end`` of an open word is where rows end."""

    start: int
    end: int


def usual_rows(kinds: Sequence[Kind]) -> float:
    """Usual length of a word, rows."""
    return float(sum(_USUAL_ROWS[kind] for kind in kinds))


def row_costs(rows: Features, level_db: float) -> NDArray[np.float64]:
    """What it costs that a row belongs to a sound of each kind.

    Args:
        rows: The audio.
        level_db: Loudness of loud speech in it.
    """
    seen = rows.astype(np.float64)
    seen[:, 0] = np.maximum(seen[:, 0] - level_db, _QUIETEST_DB)
    away = (seen[:, None, :] - _MEAN) / _SPREAD
    cost = 0.5 * np.minimum(away * away, 9.0).sum(axis=2) + np.log(_SPREAD).sum(axis=1)
    return (cost - cost.min(axis=1, keepdims=True)) * _ROW_WEIGHT


def _length_costs(kind: Kind, rate: float) -> NDArray[np.float64]:
    rows = np.arange(1, _MOST_ROWS + 1)
    spread = float(_ROWS_SPREAD[kind])
    away = (np.log(rows) - math.log(_USUAL_ROWS[kind] * rate)) / spread
    return 0.5 * away * away + np.log(rows * spread * 2.5)


class _Search:
    """The columns of one search: the cheapest way to be at each row, step by step."""

    def __init__(self, costs: NDArray[np.float64], rate: float) -> None:
        self.count = len(costs)
        self._sums = np.vstack([np.zeros(costs.shape[1]), np.cumsum(costs, axis=0)])
        self._lengths = {kind: _length_costs(kind, rate) for kind in Kind}
        self._rows = np.arange(self.count)
        self.best = np.full(self.count + 1, _INFINITE)
        self.best[0] = 0.0
        self.steps: list[NDArray[np.int64]] = []
        """For each step, by row: where it began."""

    def sound(self, kind: Kind) -> None:
        """Go through a sound."""
        sums = self._sums[:, kind]
        before = self.best - sums
        padded = np.concatenate([np.full(_MOST_ROWS, _INFINITE), before[:-1]])
        windows = np.lib.stride_tricks.sliding_window_view(padded, _MOST_ROWS)[1:]
        total = windows + self._lengths[kind][::-1]
        chosen = total.argmin(axis=1)
        self.best = np.concatenate([[_INFINITE], total[self._rows, chosen] + sums[1:]])
        self.steps.append(np.concatenate([[0], self._rows + 1 - _MOST_ROWS + chosen]))

    def pause(self, cost: float, no_pause_cost: float) -> None:
        """Go through a pause of any length, or through none."""
        sums = self._sums[:, Kind.PAUSE]
        before = self.best - sums
        least = np.minimum.accumulate(before)
        began = np.maximum.accumulate(np.where(before <= least, np.arange(self.count + 1), 0))
        paused = least + sums + cost
        direct = self.best + no_pause_cost
        taken = paused < direct
        self.best = np.where(taken, paused, direct)
        self.steps.append(np.where(taken, began, np.arange(self.count + 1)))


def align(
    costs: NDArray[np.float64],
    words: Sequence[Word],
    *,
    rate: float = 1.0,
    more_text: bool = False,
    more_audio: bool = False,
    begun: bool = False,
    voiced: NDArray[np.bool_] | None = None,
) -> list[Span]:
    """Find words in audio.

    Args:
        costs: Of :func:`row_costs`; the audio begins before or at the first word.
        words: What is said, in order.
        rate: How much longer than usual this speaker's sounds are.
        more_text: The text goes on behind ``words``, so audio may be left over.
        more_audio: The audio goes on, so words may be left over.
        begun: The first word begins with the first row.
        voiced: Rows that are no pause; how much may be left over is judged by them.

    Returns:
        The words that were found, in order: all of them unless ``more_audio``.
    """
    search = _Search(costs, rate)
    search.pause(_INFINITE if begun else 0.5, 0.0)
    ends: list[_End] = [_End(0, 0, 0.0, search.best)]
    usual = 0.0
    for index, word in enumerate(words):
        for kind in word.kinds:
            search.sound(kind)
            usual += _USUAL_ROWS[kind] * rate
            if more_audio:
                ends.append(_End(index + 1, len(search.steps), usual, search.best))
        search.pause(_PAUSE_COST[word.pause], _NO_PAUSE_COST[word.pause])
        ends.append(_End(index + 1, len(search.steps), usual, search.best))
    end, row = _stop(ends, voiced, search.count, more_text=more_text, more_audio=more_audio)
    if not math.isfinite(end.best[row]):
        return []
    return _trace(search, words[: end.words], end.steps, row)


@dataclass(frozen=True, slots=True)
class _End:
    """A place in the text where a search may end."""

    words: int
    steps: int
    usual: float
    """Usual rows of everything before."""
    best: NDArray[np.float64]


def _pace_cost(spoken: NDArray[np.float64] | float, usual: float) -> NDArray[np.float64] | float:
    """What it costs that sounds of ``usual`` rows took ``spoken`` rows."""
    away = np.log((spoken + _PACE_ROWS) / (usual + _PACE_ROWS)) / _PACE_SPREAD
    return 0.5 * away * away


def _stop(
    ends: list[_End],
    voiced: NDArray[np.bool_] | None,
    rows: int,
    *,
    more_text: bool,
    more_audio: bool,
) -> tuple[_End, int]:
    """Where in the text and in the rows the search ends."""
    spoken = np.arange(rows + 1.0)
    if voiced is not None:
        spoken = np.concatenate([[0.0], np.cumsum(voiced[:rows])])
    end, row = ends[-1], rows
    least = _INFINITE
    if not more_audio or more_text:
        column = end.best
        if more_text:
            left = (spoken[-1] - spoken) * _UNKNOWN_COST
            column = column + left + _pace_cost(spoken, end.usual)
            row = int(np.argmin(column))
        least = float(column[row])
    if more_audio:
        for other in ends:
            cost = float(other.best[rows] + _pace_cost(float(spoken[-1]), other.usual))
            if cost < least:
                end, row, least = other, rows, cost
    return end, row


def _trace(search: _Search, words: Sequence[Word], steps: int, row: int) -> list[Span]:
    """The way back: spans of ``words``, of which the last may be open."""
    spans: list[Span] = []
    step = steps
    first = 1 + sum(len(word.kinds) + 1 for word in words)
    for word in reversed(words):
        first -= len(word.kinds) + 1
        if step == first + len(word.kinds) + 1:  # the pause behind the word
            step -= 1
            row = int(search.steps[step][row])
        end = row
        while step > first:
            step -= 1
            row = int(search.steps[step][row])
        spans.append(Span(row, end))
    return spans[::-1]
