"""What a voice was given to say, and how far it has come. Pure.

Frames stand in the order in which they were given. Text is spoken from the front; a frame that is
no text is over when it has come out again.
"""

from copy import copy
from dataclasses import dataclass
from typing import Final

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    LLMFullResponseEndFrame,
    TextFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)

__all__ = ["Script"]

_AHEAD_CHARS: Final = 200
"""How far ahead a word is looked for: a voice leaves out what it cannot say."""


@dataclass
class _Item:
    frame: Frame
    text: str | None  # what is left of it; None = it is no text


class Script:
    """What is still to be said."""

    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._asked = 0  # so many characters from the front are being spoken

    def given(self, frame: Frame) -> None:
        """A frame was given to the voice."""
        self._items.append(_Item(frame, _text_of(frame)))

    def asked(self, text: str) -> None:
        """The voice begins to speak a text: it owes all up to its end."""
        at = self._left.find(text.strip(), 0)
        if at >= 0:
            self._asked = max(self._asked, at + len(text.strip()))

    def spoken(self, frame: TTSTextFrame) -> None:
        """A word, or a sentence, has its sound."""
        word = (frame.raw_text or frame.text).strip()
        at = self._left.find(word, 0, _AHEAD_CHARS + len(word)) if word else -1
        if at >= 0:
            self._drop(at + len(word))

    def out(self, frame: Frame) -> None:
        """A frame that was given has come out: what was given before it is over."""
        for number, item in enumerate(self._items):
            if item.frame is frame:
                kept = (
                    self._items[:number] if not isinstance(frame, LLMFullResponseEndFrame) else []
                )
                self._items = [*(each for each in kept if each.text), *self._items[number + 1 :]]
                if not self._left.strip():
                    self._asked = 0
                return

    def stopped(self) -> None:
        """A context has ended; one that spoke on its own (``TTSSpeakFrame``) is over with it."""
        texts = [item for item in self._items if item.text is not None]
        if texts and isinstance(texts[0].frame, TTSSpeakFrame):
            self._drop(len(texts[0].text or ""))
            self._items = [item for item in self._items if item is not texts[0]]

    def clear(self) -> None:
        """It is cut: nothing is to be said any more."""
        self._items.clear()
        self._asked = 0

    @property
    def owes(self) -> bool:
        """Whether something is being spoken and has not come to its end."""
        return self._asked > 0

    def rest(self) -> list[Frame]:
        """What the next voice is given: frames in order, their text from where it stopped."""
        self._asked = 0
        for item in self._items:
            if item.text is not None:
                item.frame = _with_text(item.frame, item.text)
        return [item.frame for item in self._items if item.text is None or item.text.strip()]

    def frames(self) -> list[Frame]:
        """What was given besides text, in order."""
        return [item.frame for item in self._items if item.text is None]

    @property
    def _left(self) -> str:
        return "".join(item.text or "" for item in self._items)

    def _drop(self, count: int) -> None:
        self._asked = max(0, self._asked - count)
        for item in self._items:
            if count and item.text:
                gone = min(count, len(item.text))
                item.text, count = item.text[gone:], count - gone


def _text_of(frame: Frame) -> str | None:
    if isinstance(frame, TTSSpeakFrame):
        return frame.text
    if isinstance(frame, TextFrame) and not isinstance(frame, TTSTextFrame):
        return None if frame.skip_tts else frame.text
    return None


def _with_text(frame: Frame, text: str) -> Frame:
    if isinstance(frame, TTSSpeakFrame | TextFrame) and frame.text != text:
        changed = copy(frame)
        whole = isinstance(frame, AggregatedTextFrame | TTSSpeakFrame)
        changed.text = text.lstrip() if whole else text
        return changed
    return frame
