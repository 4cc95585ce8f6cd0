"""The words of a spoken context on its own clock: pure, no I/O, no pipecat.

A context is one audio stream made of several sentences. Words come per sentence in samples of the
synthesiser; here they are placed on the context: milliseconds from its first sample, and code
points in its text (sentences joined by single spaces, as the pipeline's aggregator cuts them).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypedDict

from voxwire_server.bots.offline.word_spans import WordSpan

__all__ = ["ContextWords", "PlacedWord"]


class PlacedWord(TypedDict):
    """One word as it travels on a frame: ``frame.metadata["word"]``.

    ``start_ms`` and ``end_ms`` count from the first sample of the context's audio, ``char_start``
    and ``char_end`` are code points in the context's text.
    """

    start_ms: int
    end_ms: int
    char_start: int
    char_end: int
    text: str


@dataclass(slots=True)
class _Sentence:
    start_samples: int
    start_chars: int


class ContextWords:
    """Places the words of one context, and hands them out as their frames are pushed."""

    def __init__(self, sample_rate: int) -> None:
        """Start an empty context.

        Args:
            sample_rate: Of the context's audio, in Hz.
        """
        self._sample_rate = sample_rate
        self._num_samples = 0
        self._num_chars = 0
        self._sentence = _Sentence(0, 0)
        self._waiting: deque[PlacedWord] = deque()

    def begin_sentence(self, text: str) -> None:
        """Append a sentence to the text; its audio starts where the audio so far ends.

        Args:
            text: The sentence as it is given to the synthesiser.
        """
        start_chars = self._num_chars + 1 if self._num_chars else 0
        self._sentence = _Sentence(self._num_samples, start_chars)
        self._num_chars = start_chars + len(text)

    def add_audio(self, num_samples: int) -> None:
        """Append audio of the current sentence.

        Args:
            num_samples: Samples at the context's rate.
        """
        self._num_samples += num_samples

    def place(self, span: WordSpan, span_rate: int) -> PlacedWord:
        """Place a word of the current sentence and remember it for ``take``.

        Args:
            span: The word, its samples counted at ``span_rate``.
            span_rate: The synthesiser's rate in Hz.
        """
        word = PlacedWord(
            start_ms=self._ms(span.start_sample, span_rate),
            end_ms=self._ms(span.end_sample, span_rate),
            char_start=self._sentence.start_chars + span.char_start,
            char_end=self._sentence.start_chars + span.char_end,
            text=span.text,
        )
        self._waiting.append(word)
        return word

    def take(self, text: str) -> PlacedWord | None:
        """Return the placed word for a word frame, in order.

        Args:
            text: The frame's text: one token, or several when the pipeline merged them.

        Returns:
            The word; merged tokens as one, from the first's start to the last's end. None when
            the text is none of the words that wait.
        """
        tokens = text.split()
        words = list(self._waiting)
        for at in range(len(words) - len(tokens) + 1):
            found = words[at : at + len(tokens)]
            if tokens and [word["text"] for word in found] == tokens:
                for _ in range(at + len(tokens)):
                    self._waiting.popleft()
                return _merged(found, text)
        return None

    def _ms(self, sample: int, rate: int) -> int:
        seconds = self._sentence.start_samples / self._sample_rate + sample / rate
        return round(seconds * 1000)


def _merged(words: list[PlacedWord], text: str) -> PlacedWord:
    first, last = words[0], words[-1]
    return PlacedWord(
        start_ms=first["start_ms"],
        end_ms=last["end_ms"],
        char_start=first["char_start"],
        char_end=last["char_end"],
        text=text,
    )
