"""Utterances and their words on the media clock: which are due, which were heard.

All times are milliseconds of the media clock (protocol/spec/media-clock.md); all character
positions are Unicode code points of the utterance's text (protocol/spec/words.md).
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire

__all__ = ["Heard", "TimedWord", "Timeline", "decode_words", "encode_words"]

KEPT_UTTERANCES: Final = 32
"""Utterances remembered after their last word was delivered."""

MAX_TEXT_CHARS: Final = 262_144
"""Longest text of an utterance that is kept, code points."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of an utterance with its place on the media clock.

    Attributes:
        utterance_id: The utterance.
        index: Position in the utterance, from 0.
        text: The word, with the punctuation that belongs to it.
        char_start: First character in the utterance's text, code points.
        char_end: End, exclusive, code points.
        start_ms: Onset, media clock.
        end_ms: End, media clock.
        end_estimated: True when the end was not measured.
        source: Where the times come from.
    """

    utterance_id: str
    index: int
    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    end_estimated: bool
    source: wire.TimingSource.ValueType


@dataclass(frozen=True, slots=True)
class Heard:
    """The heard prefix of one utterance.

    Attributes:
        utterance_id: The utterance.
        words: How many of its words were heard, from the first.
        char_end: End of the heard text, code points; 0 = nothing.
        media_ms: Position that was heard up to, media clock.
    """

    utterance_id: str
    words: int
    char_end: int
    media_ms: int


@dataclass(slots=True)
class _Utterance:
    """One utterance; ``words`` by ascending index, those before ``delivered`` were delivered.

    A cut shortens ``words``, possibly below ``delivered``; nothing is pending then.
    """

    utterance_id: str
    order: int
    start_ms: int | None = None
    words: list[TimedWord] = field(default_factory=list[TimedWord])
    revisions: list[int] = field(default_factory=list[int])
    delivered: int = 0
    closed: bool = False
    cut_ms: int | None = None
    text: str = ""

    @property
    def pending(self) -> TimedWord | None:
        return self.words[self.delivered] if self.delivered < len(self.words) else None

    def put(self, word: TimedWord, revision: int) -> None:
        at = bisect_left(self.words, word.index, key=lambda known: known.index)
        if at < self.delivered:
            return  # delivered, or a later one was
        if at == len(self.words) or self.words[at].index != word.index:
            self.words.insert(at, word)
            self.revisions.insert(at, revision)
        elif revision > self.revisions[at]:
            self.words[at] = word
            self.revisions[at] = revision

    def heard_words(self, media_ms: int) -> int:
        for count, word in enumerate(self.words):
            if word.start_ms >= media_ms:
                return count
        return len(self.words)

    def begins_before(self, media_ms: int) -> bool:
        start_ms = self.start_ms
        if start_ms is None and self.words:
            start_ms = self.words[0].start_ms
        return start_ms is not None and start_ms < media_ms


class Timeline:
    """Words of the bot on the media clock. Pure; owned by one session."""

    def __init__(self) -> None:
        """Creates a timeline without utterances."""
        self._known: dict[str, _Utterance] = {}
        self._live: dict[str, _Utterance] = {}  # open, or with words to deliver; oldest first
        self._over: deque[str] = deque()
        self._count = 0

    def begin(self, utterance_id: str, media_ms: int) -> None:
        """Notes where an utterance begins; the first call for it counts.

        Args:
            utterance_id: The utterance.
            media_ms: Position of its first sample.
        """
        utterance = self._get(utterance_id)
        if utterance.start_ms is None:
            utterance.start_ms = media_ms

    def add(self, words: Iterable[TimedWord], revision: int = 0) -> None:
        """Places words, before or after ``begin``.

        A known word stays unless ``revision`` is higher and it was not delivered. Ignored are
        words of a closed utterance and words behind one that was delivered.

        Args:
            words: Words of any utterances.
            revision: Revision of these times.
        """
        for word in words:
            utterance = self._get(word.utterance_id)
            if not utterance.closed:
                utterance.put(word, revision)

    def advance(self, media_ms: int) -> list[TimedWord]:
        """Returns the words that became due, each one once.

        Within an utterance words come by index, even where their times go back; between
        utterances by onset, then by which was known first.

        Args:
            media_ms: Position of playout. Going back delivers nothing again.
        """
        due: list[TimedWord] = []
        while True:
            head = self._head()
            if head is None or head[0].start_ms > media_ms:
                break
            word, utterance = head
            utterance.delivered += 1
            due.append(word)
            self._settle(utterance)
        return due

    def next_due_ms(self) -> int | None:
        """Onset of the next word to deliver, media clock; None = no word is waiting."""
        head = self._head()
        return head[0].start_ms if head else None

    def last_due_ms(self) -> int | None:
        """Onset of the last word that waits, media clock; None = no word is waiting."""
        waiting = (each for each in self._live.values() if each.pending is not None)
        return max((each.words[-1].start_ms for each in waiting), default=None)

    def heard(self, utterance_id: str, media_ms: int) -> Heard:
        """Returns the prefix whose words began before a position.

        Args:
            utterance_id: The utterance; an unknown one was not heard.
            media_ms: Position of playout. What was cut stays unheard.
        """
        utterance = self._known.get(utterance_id)
        if utterance is None:
            return Heard(utterance_id, 0, 0, media_ms)
        if utterance.cut_ms is not None:
            media_ms = min(media_ms, utterance.cut_ms)
        count = utterance.heard_words(media_ms)
        char_end = utterance.words[count - 1].char_end if count else 0
        return Heard(utterance_id, count, char_end, media_ms)

    def cut(self, media_ms: int, until_ms: int) -> list[Heard]:
        """Closes what is speaking: words with an onset at or after ``media_ms`` never come.

        Concerns every utterance that begins before ``until_ms`` and is open, or ended with
        words still to deliver. Words with an onset before ``media_ms`` are still delivered.

        Args:
            media_ms: Position that was heard up to.
            until_ms: Audio before this position is void.

        Returns:
            The heard prefixes, oldest utterance first.
        """
        prefixes: list[Heard] = []
        for utterance in tuple(self._live.values()):
            if not utterance.begins_before(until_ms):
                continue
            count = utterance.heard_words(media_ms)
            del utterance.words[count:], utterance.revisions[count:]
            utterance.closed = True
            if utterance.cut_ms is None or media_ms < utterance.cut_ms:
                utterance.cut_ms = media_ms
            prefixes.append(self.heard(utterance.utterance_id, media_ms))
            self._settle(utterance)
        return prefixes

    def end(self, utterance_id: str) -> None:
        """Closes an utterance: later words are ignored, those placed are still delivered."""
        utterance = self._get(utterance_id)
        utterance.closed = True
        self._settle(utterance)

    def delivered(self, utterance_id: str) -> int:
        """How many words of an utterance `advance` has returned, or `skip` passed over."""
        utterance = self._known.get(utterance_id)
        return utterance.delivered if utterance else 0

    def skip(self, utterance_id: str, *, words: int) -> None:
        """Passes over the first words of an utterance: they count as delivered.

        Args:
            utterance_id: The utterance.
            words: How many, from the first that is known; fewer than were delivered = no change.
        """
        utterance = self._get(utterance_id)
        utterance.delivered = max(utterance.delivered, min(words, len(utterance.words)))
        self._settle(utterance)

    def words(self, utterance_id: str) -> tuple[TimedWord, ...]:
        """Returns the words of an utterance as far as known, by index, without those cut."""
        utterance = self._known.get(utterance_id)
        return tuple(utterance.words) if utterance else ()

    def text(self, utterance_id: str) -> str:
        """Returns the text of an utterance as far as ``set_text`` gave it."""
        utterance = self._known.get(utterance_id)
        return utterance.text if utterance else ""

    def set_text(self, utterance_id: str, offset: int, text: str) -> None:
        """Puts a piece of an utterance's text in its place.

        Args:
            utterance_id: The utterance.
            offset: Position of the piece, code points; a gap before it is filled with spaces.
                A piece that ends beyond ``MAX_TEXT_CHARS`` is ignored.
            text: The piece.
        """
        end = offset + len(text)
        if end > MAX_TEXT_CHARS:
            return
        utterance = self._get(utterance_id)
        utterance.text = utterance.text[:offset].ljust(offset) + text + utterance.text[end:]

    def _get(self, utterance_id: str) -> _Utterance:
        utterance = self._known.get(utterance_id)
        if utterance is None:
            utterance = _Utterance(utterance_id, self._count)
            self._count += 1
            self._known[utterance_id] = self._live[utterance_id] = utterance
        return utterance

    def _head(self) -> tuple[TimedWord, _Utterance] | None:
        """The next word to deliver."""
        best: tuple[TimedWord, _Utterance] | None = None
        for utterance in self._live.values():  # by order, so the first of equals stays
            word = utterance.pending
            if word is not None and (best is None or word.start_ms < best[0].start_ms):
                best = word, utterance
        return best

    def _settle(self, utterance: _Utterance) -> None:
        """Moves an utterance that is closed and delivered to those soon forgotten."""
        if not utterance.closed or utterance.pending is not None:
            return
        if self._live.pop(utterance.utterance_id, None) is None:
            return
        self._over.append(utterance.utterance_id)
        if len(self._over) > KEPT_UTTERANCES:
            del self._known[self._over.popleft()]


def decode_words(
    message: wire.UtteranceWords,
    text_so_far: str = "",
    *,
    source: wire.TimingSource.ValueType = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED,
) -> list[TimedWord]:
    """Reads the words of a message. Never raises: a span outside the text is cut to it.

    Args:
        message: The message.
        text_so_far: Text of the utterance from earlier messages, for spans before this piece.
        source: What UtteranceStarted said, for a message that does not say it.
    """
    end = message.text_offset + len(message.text)
    words: list[TimedWord] = []
    for index, word in enumerate(message.words, message.first_index):
        if message.text_offset <= word.char_start < end:
            piece, offset = message.text, message.text_offset
        else:
            piece, offset = text_so_far, 0
        text = piece[word.char_start - offset : max(word.char_start, word.char_end) - offset]
        words.append(
            TimedWord(
                utterance_id=message.utterance_id,
                index=index,
                text=text,
                char_start=word.char_start,
                char_end=word.char_end,
                start_ms=message.base_media_ms + word.start_ms,
                end_ms=message.base_media_ms + word.end_ms,
                end_estimated=word.end_estimated,
                source=message.source or source,
            )
        )
    return words


def encode_words(
    words: Sequence[TimedWord], text: str, text_offset: int = 0, *, revision: int = 0
) -> wire.UtteranceWords:
    """Writes words of one utterance; their texts on the wire are slices of ``text``.

    Args:
        words: At least one, with consecutive indices and one source.
        text: The piece of the utterance's text that holds them.
        text_offset: Position of that piece, code points.
        revision: Higher replaces lower for the same index.

    Raises:
        ValueError: The words are none, or not of one utterance, source and index sequence.
    """
    if not words:
        raise ValueError("encode_words needs at least one word")
    first = words[0]
    for index, word in enumerate(words, first.index):
        if (word.utterance_id, word.index, word.source) != (
            first.utterance_id,
            index,
            first.source,
        ):
            raise ValueError("words of one message share utterance and source and are consecutive")
    base_media_ms = min(word.start_ms for word in words)
    return wire.UtteranceWords(
        utterance_id=first.utterance_id,
        first_index=first.index,
        base_media_ms=base_media_ms,
        text_offset=text_offset,
        text=text,
        words=[
            wire.Word(
                char_start=word.char_start,
                char_end=word.char_end,
                start_ms=word.start_ms - base_media_ms,
                end_ms=word.end_ms - base_media_ms,
                end_estimated=word.end_estimated,
            )
            for word in words
        ],
        revision=revision,
        source=first.source,
    )
