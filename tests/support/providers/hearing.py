"""Which sentence is heard, and where in a stream of PCM an utterance begins and ends."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tests.support.providers.tones import loud

__all__ = ["Hears", "Utterances", "heard"]

Hears = Sequence[str] | Callable[[bytes], str]
"""Sentences, one for each utterance, or a function of the utterance's PCM."""

SILENCE_MS = 300
WINDOW_MS = 20


def heard(hears: Hears, pcm: bytes, number: int) -> str:
    """What is recognised in utterance `number` (from 0); "" when the list is used up."""
    if callable(hears):
        return hears(pcm)
    return hears[number] if number < len(hears) else ""


class Utterances:
    """Finds utterances in PCM (int16 little-endian, mono): energy begins, 300 ms of silence end."""

    def __init__(self, rate: int) -> None:
        self._window = rate * WINDOW_MS // 1000 * 2
        self._rest = b""
        self._quiet_ms = 0
        self.pcm = bytearray()
        """The utterance that runs; empty = none."""

    def feed(self, pcm: bytes) -> Iterator[Literal["begun", "more", "ended"]]:
        """What some PCM brings; at "ended" the utterance is still in `pcm`, and gone after it."""
        self._rest += pcm
        while len(self._rest) >= self._window:
            piece, self._rest = self._rest[: self._window], self._rest[self._window :]
            sounds = loud(piece)
            if not self.pcm and not sounds:
                continue
            begun = not self.pcm
            self.pcm += piece
            self._quiet_ms = 0 if sounds else self._quiet_ms + WINDOW_MS
            if self._quiet_ms < SILENCE_MS:
                yield "begun" if begun else "more"
                continue
            yield "ended"
            self.end()

    def end(self) -> None:
        """Forget the utterance that runs."""
        self.pcm.clear()
        self._quiet_ms = 0
