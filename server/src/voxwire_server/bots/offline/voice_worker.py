"""The helper process that speaks: ``python -m voxwire_server.bots.offline.voice_worker``.

The model holds the interpreter for a part of its 10 to 130 ms a sentence, which the audio of
other sessions could not wait for; it is a process of its own therefore.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import Any

from voxwire_server.bots.offline.clauses import clauses
from voxwire_server.bots.offline.helper_wire import decode
from voxwire_server.bots.offline.helper_worker import Job, serve
from voxwire_server.bots.offline.voice_model import SAMPLE_RATE, Spoken, VoiceModel
from voxwire_server.bots.offline.word_spans import WordSpan

_PAUSE_MS = 130
"""Silence between two pieces of a sentence."""
_KEPT_SAMPLES = 5 * 60 * SAMPLE_RATE
"""Five minutes, 14 MB: the bot says most of its sentences to everybody."""


class Sayings:
    """Pieces of speech that were made, the latest of them; the same text is the same sound."""

    def __init__(self, speak: Callable[[str, float], Spoken], most_samples: int) -> None:
        """Keep nothing yet.

        Args:
            speak: Makes the speech of a text at a speed.
            most_samples: How much is kept, together; a character of a text counts as one, too.
        """
        self._speak = speak
        self._most_samples = most_samples
        self._kept: OrderedDict[tuple[str, float], Spoken] = OrderedDict()
        self._size = 0

    def of(self, text: str, speed: float) -> Spoken:
        """Return the speech of a text, made now or before."""
        spoken = self._kept.pop((text, speed), None)
        if spoken is None:
            spoken = self._speak(text, speed)
            self._size += len(spoken.samples) + len(text)
        self._kept[text, speed] = spoken
        while self._size > self._most_samples:
            (old, _), oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.samples) + len(old)
        return spoken


class _Speaker:
    """Speaks sentences clause by clause, first the one whose sound is needed first."""

    def __init__(self) -> None:
        self._sayings = Sayings(VoiceModel().speak, _KEPT_SAMPLES)

    def waits_s(self, job: Job) -> float:
        """Return when its first sound is needed: other sound may still be playing."""
        return float(decode(job.payload)["due_ms"]) / 1000

    def steps(self, job: Job) -> Generator[float, None, dict[str, Any]]:
        """Speak one sentence, replying with the words and the audio of each clause."""
        asked = decode(job.payload)
        text, speed = str(asked["text"]), float(asked["speed"])
        pause = round(SAMPLE_RATE * _PAUSE_MS / 1000 / speed)
        num_samples, made_s = 0, 0.0
        for index, (at, piece) in enumerate(clauses(text)):
            if index:
                yield made_s
            spoken = self._sayings.of(piece, speed)
            made_s = len(spoken.samples) / SAMPLE_RATE
            silent = pause if num_samples else 0
            if spoken.words:
                job.note([_row(word, num_samples + silent, at) for word in spoken.words])
            if len(spoken.samples):
                job.audio(bytes(silent * 2) + spoken.samples.astype("<i2").tobytes())
                num_samples += silent + len(spoken.samples)
        return {"num_samples": num_samples}


def _row(word: WordSpan, samples: int, chars: int) -> tuple[str, int, int, int, int]:
    """A word's span, behind what comes before its clause."""
    return (
        word.text,
        word.start_sample + samples,
        word.end_sample + samples,
        word.char_start + chars,
        word.char_end + chars,
    )


if __name__ == "__main__":
    sys.exit(serve(_Speaker))
