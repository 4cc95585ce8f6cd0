"""One utterance: its words, where their characters stand and when they sound. Pure."""

import logging
import math
from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_server.outgoing import sendable

__all__ = ["PlacedWord", "Utterance"]

_log = logging.getLogger("voxwire.pipeline")

_MAX_AHEAD_MS: Final = 600_000
"""No word is this far ahead of its context's audio: such a time is none."""


@dataclass(slots=True)
class PlacedWord:
    """A word with its characters in the utterance and its time on the media clock, ms."""

    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    end_estimated: bool = False
    glued: bool = False
    """Whether no white space stands before it."""


@dataclass(slots=True)
class Utterance:
    """One context of the synthesiser on the media clock."""

    utterance_id: str
    context_id: str
    start_ms: int
    end_ms: int
    source: wire.TimingSource = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
    text: str = ""
    words: list[PlacedWord] = field(default_factory=list)
    sent: int = 0
    revised_from: int | None = None
    revision: int = 0
    pcm: bytearray = field(default_factory=bytearray)
    pcm_start_ms: int = 0
    announced: bool = False
    sound_ms: int = 0
    """How long it has sounded; pauses are not part of that."""
    own_spaces: bool = False
    """Whether the last piece came from a synthesiser whose pieces bring their own spaces."""
    space_after: bool = False
    """Whether white space followed the last piece."""
    warned: bool = False

    def heard(self, media_ms: float) -> tuple[int, int]:
        """Words whose onset was heard before ``media_ms``, and the end of that prefix."""
        count = sum(1 for word in self.words if word.start_ms < media_ms)
        return count, self.words[count - 1].char_end if count else 0

    def append(
        self, text: str, start_ms: int, end_ms: int, *, estimated: bool, own_spaces: bool = False
    ) -> PlacedWord:
        """Add a word behind those that are known.

        Args:
            text: The word, with the spaces that it brings along.
            start_ms: When it begins, on the media clock.
            end_ms: When it ends.
            estimated: Whether its end is a guess.
            own_spaces: Whether its synthesiser's pieces bring their own spaces.
        """
        body = sendable(text.strip())
        spaced = self.space_after or text[:1].isspace()
        if not (own_spaces and self.own_spaces):  # as Pipecat joins texts into the context
            spaced = True
        gap = " " if spaced and self.text else ""
        char_start = len(self.text) + len(gap)
        self.text += gap + body
        self.own_spaces, self.space_after = own_spaces, text[-1:].isspace()
        word = PlacedWord(body, char_start, len(self.text), start_ms, end_ms, estimated, not gap)
        self.words.append(word)
        return word

    def keep(self, count: int) -> None:
        """Forget all words but the first ``count``."""
        del self.words[count:]
        self.text = self.text[: self.words[-1].char_end if count else 0]

    def revise(self, index: int) -> None:
        """The words from ``index`` on are not as they were told, if they were told."""
        if index < self.sent:
            before = self.revised_from
            self.revised_from = index if before is None else min(before, index)

    def plausible(self, offset_ms: float) -> bool:
        """Whether a time from the context's first sample can be one of its words'."""
        ahead_ms = self.start_ms + offset_ms - self.end_ms
        return math.isfinite(offset_ms) and ahead_ms < _MAX_AHEAD_MS

    def offset(self, offset_ms: float | None) -> int:
        """A time from the context's first sample, ms; that of the word before if it cannot be."""
        if offset_ms is not None and self.plausible(offset_ms):
            return max(0, round(offset_ms))
        if not self.warned:
            self.warned = True
            _log.warning("a word of %s has no usable time: %s ms", self.utterance_id, offset_ms)
        return self.words[-1].start_ms - self.start_ms if self.words else 0
