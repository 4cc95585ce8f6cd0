"""What a stock bot has announced that it will say, and how much of that was told as words. Pure."""

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

__all__ = ["Announced", "Progress", "Said", "progress_of"]

Said = Literal["new", "old", "unknown"]
"""Words are still to be told; were told already, or belong to what is over; were not announced."""

_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a bot has come with a segment: its text and what is left of it, single-spaced."""

    segment_id: int
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
    number = members.get("segment_id")
    segment_id = number if isinstance(number, int) else _UNKNOWN
    return Progress(segment_id, " ".join(text.split()), " ".join(rest.split()))


@dataclass(slots=True)
class _Segment:
    """A stretch of text, with single spaces.

    Attributes:
        segment_id: As the bot numbers it.
        text: All of it.
        spoken: Where what has been spoken ends (``bot-output``).
        worded: Where what came as words of its own ends (``bot-tts-text``).
        told: Where what was told ends.
    """

    segment_id: int
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


def _is_of(segment: _Segment, progress: Progress) -> bool:
    return (segment.segment_id, segment.text) == (progress.segment_id, progress.text)


class Announced:
    """The segment (RTVI 2.0 ``bot-output``) that is being spoken, and the one before the last end.

    A bot tells each word twice, as ``bot-tts-text`` and by how far its segment has come. Pipecat
    keeps the first of them back while the bot is silent: the next ``bot-started-speaking`` brings
    it, out of its answer. The second comes in time.
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

    def is_about(self, progress: Progress) -> bool:
        """Whether it tells of the segment that is being spoken."""
        segment = self._segment
        return segment is not None and _is_of(segment, progress)

    def progress(self, progress: Progress) -> None:
        """Takes how far the bot has come."""
        past, text, rest = self._past, progress.text, progress.rest
        if self._segment is None and past is not None and _is_of(past, progress) and rest != text:
            return
        segment = self._segment
        if segment is None or not _is_of(segment, progress):
            segment = self._segment = _Segment(progress.segment_id, text)
        if text.endswith(rest):
            segment.spoken = max(segment.spoken, len(text) - len(rest))
        else:
            self._segment = None  # it is told otherwise than it was announced

    def say(self, text: str) -> Said:
        """Takes the text of a ``bot-tts-text``."""
        self._tells_words = True
        words = " ".join(text.split())
        segment, past = self._segment, self._past
        if segment is not None and segment.take(words):
            if segment.worded <= segment.told:
                return "old"
            segment.told = segment.worded
            segment.spoken = max(segment.spoken, segment.worded)
            return "new"
        if past is not None and past.take(words):
            return "old"
        self._segment = None  # it is spoken otherwise than it was announced
        return "unknown"

    def rest(self) -> str:
        """What was spoken and is not told yet; it is told with that. Empty = nothing."""
        segment = self._segment
        if segment is None or not self._tells_words or segment.spoken <= segment.told:
            return ""
        text = segment.text[segment.told : segment.spoken]
        segment.told = segment.spoken
        return text

    def end(self) -> None:
        """The answer is over; words of it that come after that are known."""
        self._past, self._segment = self._segment, None

    def clear(self) -> None:
        """Nothing of it will come any more."""
        self._past = self._segment = None
