"""What a stock bot has announced that it will say, and how much of that was told as words. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from voxwire_protocol.text_join import WORD

__all__ = ["Announced", "Progress", "progress_of"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a bot has come with a segment: its text and what is left of it, single-spaced."""

    text: str
    rest: str


def progress_of(data: Any) -> Progress | None:
    """What the data of a ``bot-output`` says of it; None = nothing."""
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    progress = members.get("spoken_progress")
    said = cast("dict[str, Any]", progress) if isinstance(progress, dict) else {}
    text, rest = members.get("text"), said.get("remaining_text")
    if not isinstance(text, str) or not isinstance(rest, str):
        return None
    return Progress(_spaced(text), _spaced(rest))


def _spaced(text: str) -> str:
    return " ".join(WORD.findall(text))


@dataclass(slots=True)
class _Segment:
    """A stretch of text, which is known by that.

    Attributes:
        text: All of it, with single spaces.
        spoken: Where what has been spoken ends (``bot-output``).
        worded: Where what came as words of its own ends (``bot-tts-text``).
        told: Where what was told ends.
    """

    text: str
    spoken: int = 0
    worded: int = 0
    told: int = 0

    def take(self, words: str) -> bool:
        """Whether words are the next ones, which they are no more then."""
        at = self.worded
        if self.text.startswith(" ", at):
            at += 1
        if not self.text.startswith(words, at):
            return False
        self.worded = at + len(words)
        return True

    def tell(self, end: int) -> str:
        """What is to be told once it was spoken up to there."""
        text = self.text[self.told : end]
        self.told = max(self.told, end)
        self.spoken = max(self.spoken, end)
        return text


class Announced:
    """The segment (RTVI 2.0 ``bot-output``) that is being spoken, and the one before the last end.

    A bot tells each word twice, as ``bot-tts-text`` and then by how far its segment has come.
    Pipecat keeps the first of them back while the bot is silent: the next ``bot-started-speaking``
    brings it, out of its answer. The second comes in time, so it tells which words are kept back.
    What else comes of the segment before the end is of one that goes on behind a pause.
    """

    def __init__(self) -> None:
        """Creates the state of a bot that has announced nothing."""
        self._segment: _Segment | None = None
        self._past: _Segment | None = None
        self._tells_words = False

    @property
    def is_owed(self) -> bool:
        """Whether there is announced text that the bot has not spoken yet."""
        segment = self._segment
        return self._tells_words and segment is not None and segment.spoken < len(segment.text)

    def progress(self, progress: Progress, begins: Callable[[], object], *, speaks: bool) -> None:
        """Takes how far the bot has come.

        Args:
            progress: What `progress_of` gave.
            begins: Called before another segment becomes the one that is being spoken.
            speaks: Whether an utterance is open.
        """
        text, segment, past = progress.text, self._segment, self._past
        at = len(text) - len(progress.rest)
        if not text.endswith(progress.rest):
            self._segment = None  # it is told otherwise than it was announced
        elif at and segment is not None and segment.text == text:
            segment.spoken = max(segment.spoken, at)
        elif at and past is not None and past.text == text:
            past.spoken = max(past.spoken, at)
            if speaks and segment is None:
                self._segment = past
        else:
            begins()
            self._segment = _Segment(text, at, at, at)

    def say(self, text: str, *, speaks: bool) -> str | None:
        """Takes the text of a ``bot-tts-text``.

        Args:
            text: At least one word.
            speaks: Whether an utterance is open.

        Returns:
            What is to be told. Empty = it was told already, or belongs to what is over; None = the
            text as it is, which was not announced.
        """
        self._tells_words = True
        words = _spaced(text)
        segment, past = self._segment, self._past
        if segment is None or not segment.take(words):
            if past is not None and past.take(words):
                if segment is not None or past.worded <= past.spoken or not speaks:
                    return ""
                segment = past
            else:
                segment = None  # it is spoken otherwise than it was announced
        self._segment, self._past = segment, None
        if segment is None:
            return None
        return segment.tell(segment.worded)

    def rest(self) -> str:
        """What was spoken and is not told yet; it is told with that. Empty = nothing."""
        segment = self._segment
        return segment.tell(segment.spoken) if segment is not None and self._tells_words else ""

    def end(self) -> None:
        """The answer is over; words of it that come after that are known.

        A segment of which nothing was spoken is one of the next answer.
        """
        self._past = None
        if self._segment is not None and self._segment.spoken:
            self._past, self._segment = self._segment, None

    def clear(self) -> None:
        """Nothing of it will come any more."""
        self._past = self._segment = None
