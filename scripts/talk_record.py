"""Reads what `voxwire talk` wrote: events, the bot's sound, and when each of it was heard."""

import json
import wave
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]

QUIET = 33
"""-60 dBFS as a peak of int16 samples."""

ROUNDING_MS = 2
"""The lines have whole milliseconds, so a stretch may end this much later than they say."""


@dataclass(frozen=True)
class Sound:
    """int16 mono samples at `sample_rate`, Hz."""

    samples: NDArray[np.int16]
    sample_rate: int

    def loud_ms(self, start_ms: float = 0, end_ms: float = float("inf")) -> tuple[float, float]:
        """First and last moment above -60 dBFS in a stretch; (start_ms, start_ms) if silent."""
        first = round(start_ms * self.sample_rate / 1000)
        last = round(min(end_ms * self.sample_rate / 1000, len(self.samples)))
        loud = np.flatnonzero(np.abs(self.samples[first:last].astype(np.int32)) > QUIET)
        if not len(loud):
            return start_ms, start_ms
        scale = 1000 / self.sample_rate
        return (first + int(loud[0])) * scale, (first + int(loud[-1])) * scale


def read_sound(path: Path) -> Sound:
    """Reads a 16-bit mono WAV file."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return Sound(samples.astype(np.int16), file.getframerate())


@dataclass(frozen=True)
class Said:
    """A WAV that the user spoke: when it was played, when its sound ended, what was understood."""

    sound: Sound
    start_ms: float
    stop_ms: float
    text: str


@dataclass(frozen=True)
class Word:
    """A word of the bot. `t_ms` is when it sounded, or (not `heard`) when it would have."""

    text: str
    t_ms: float
    end_t_ms: float
    start_ms: int
    utterance_id: str
    heard: bool


@dataclass
class Playout:
    """The media clock against the conversation's clock, by the `playout` lines."""

    points: list[tuple[float, float]]
    runs: list[tuple[float, float, float, float]] = field(init=False)

    def __post_init__(self) -> None:
        """Keeps the stretches in which the position moved: (t, media) to (t, media)."""
        self.runs = [
            (t0, m0, t1, m1) for (t0, m0), (t1, m1) in pairwise(self.points) if m1 > m0 and t1 > t0
        ]
        self._starts = [run[1] for run in self.runs]

    def t_ms(self, media_ms: float) -> float | None:
        """When a position sounded; None = never."""
        at = bisect_right(self._starts, media_ms) - 1
        if at < 0:
            return None
        t0, m0, t1, m1 = self.runs[at]
        if media_ms > m1 + ROUNDING_MS:
            return None
        return t0 + (media_ms - m0) * (t1 - t0) / (m1 - m0)


class Record:
    """A conversation."""

    def __init__(self, rows: list[Row], bot: Sound, clips: dict[str, Sound]) -> None:
        """Takes the lines of events.jsonl, bot.wav and the user's WAVs by path."""
        self.rows = rows
        self.bot = bot
        self.playout = Playout([(r["t_ms"], r["media_ms"]) for r in self.of("playout")])
        self.said = self._said(clips)
        self.words = self._words()

    def of(self, kind: str) -> list[Row]:
        """The events of a type."""
        return [row for row in self.rows if row["type"] == kind]

    @property
    def end_ms(self) -> float:
        """When the last event came."""
        return self.rows[-1]["t_ms"] if self.rows else 0.0

    def _said(self, clips: dict[str, Sound]) -> list[Said]:
        finals = [r for r in self.of("user_transcript") if r["final"]]
        started = self.of("input_started")
        said: list[Said] = []
        for row, after in zip(started, [*started[1:], None], strict=True):
            sound = clips[row["path"]]
            until = after["t_ms"] if after else float("inf")
            texts = [r["text"] for r in finals if row["t_ms"] < r["t_ms"] < until]
            stop_ms = row["t_ms"] + sound.loud_ms()[1]
            said.append(Said(sound, row["t_ms"], stop_ms, " / ".join(texts)))
        return said

    def _words(self) -> list[Word]:
        """Heard words where they sounded; those that were cut where they would have."""
        cut = {r["utterance_id"] for r in self.of("utterance_ended") if r["end"] == "interrupted"}
        heard = {(r["utterance_id"], r["index"]) for r in self.of("bot_word")}
        known: dict[tuple[str, int], Row] = {}
        for row in self.of("utterance_words"):
            for word in row["words"]:
                known[row["utterance_id"], word["index"]] = word
        words: list[Word] = []
        for (utterance_id, index), word in known.items():
            is_heard = (utterance_id, index) in heard
            t_ms = self.playout.t_ms(word["start_ms"])
            if not is_heard and utterance_id in cut and self.flush is not None:
                t_ms = self.flush["t_ms"] + word["start_ms"] - self.flush["media_ms"]
            elif not is_heard or t_ms is None:
                continue
            end_t_ms = t_ms + word["end_ms"] - word["start_ms"]
            words.append(
                Word(word["text"], t_ms, end_t_ms, word["start_ms"], utterance_id, is_heard)
            )
        return sorted(words, key=lambda word: word.t_ms)

    @property
    def flush(self) -> Row | None:
        """The first flush."""
        return next(iter(self.of("flush")), None)

    @property
    def silent_ms(self) -> float | None:
        """When the last sound of what the flush cut ended: the last one before the next answer."""
        if self.flush is None:
            return None
        after = [r for r in self.of("utterance_started") if r["t_ms"] > self.flush["t_ms"]]
        end_ms = after[0]["media_ms"] if after else float("inf")
        return self.playout.t_ms(self.bot.loud_ms(self.flush["media_ms"] - 500, end_ms)[1])

    def answered_ms(self, said: Said) -> float | None:
        """When the bot's first sound after something that the user said was heard."""
        for word in self.words:
            if word.heard and word.t_ms > said.stop_ms:
                return self.playout.t_ms(self.bot.loud_ms(word.start_ms)[0])
        return None


def read_record(events: Path, bot: Path, clips: list[Path]) -> Record:
    """Reads a conversation from the files of `voxwire talk`."""
    rows = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    return Record(rows, read_sound(bot), {str(path): read_sound(path) for path in clips})
