"""The bot's voice as stock clients follow it: ``bot-tts-*`` and ``bot-output``. Pure.

RTVI tells a word when it sounds, ours are sent ahead with their times; so they wait here until the
playout position reaches them.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.rtvi.message import RtviMessage
from voxwire_protocol.rtvi.version import Version
from voxwire_protocol.timeline import TimedWord, Timeline, decode_words

__all__ = ["Spoken"]

_MAX_UTTERANCES: Final = 32
_V2: Final = Version(2, 0)
_UINT32: Final = (1 << 32) - 1


@dataclass(slots=True)
class _Segment:
    """A stretch of text that was told at once: ``segment_id`` of RTVI."""

    segment_id: int
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(slots=True)
class _Utterance:
    segments: list[_Segment] = field(default_factory=list[_Segment])
    told: int = 0
    """End of the text that segments were made of, code points."""

    def segment_at(self, position: int) -> _Segment | None:
        for segment in self.segments:
            if segment.start <= position < segment.end:
                return segment
        return None


class Spoken:
    """Utterances of one session as RTVI messages.

    A segment is the text that one ``UtteranceWords`` brought: stock clients (client-react 1.x)
    fix a segment's text when it is new, so that text which comes later is a segment of its own.

    Args:
        speaks: Version of RTVI to write.
    """

    def __init__(self, speaks: Version) -> None:
        self.speak(speaks)
        self._timeline = Timeline()
        self._utterances: dict[str, _Utterance] = {}
        self._segments = 0

    def speak(self, version: Version) -> None:
        """Writes another version from now on."""
        self._v2 = version >= _V2
        self._type_names = _type_names(version)

    def started(self, message: wire.UtteranceStarted) -> list[RtviMessage]:
        """An utterance begins."""
        self._timeline.begin(message.utterance_id, message.media_ms)
        self._get(message.utterance_id)
        return [RtviMessage("bot-tts-started")]

    def words(self, message: wire.UtteranceWords) -> list[RtviMessage]:
        """Words are known, ahead of their sound: their text is new."""
        name, utterance = message.utterance_id, self._get(message.utterance_id)
        self._timeline.set_text(name, message.text_offset, message.text)
        words = decode_words(message, self._timeline.text(name))
        self._timeline.add(words, message.revision)
        fresh = message.text[max(0, utterance.told - message.text_offset) :]
        start = message.text_offset + len(message.text) - len(fresh)
        utterance.told = max(utterance.told, start + len(fresh))
        text = fresh.strip()
        if not text:
            return []
        start += len(fresh) - len(fresh.lstrip())
        segment = _Segment(self._next_segment(), start, text)
        utterance.segments.append(segment)
        return [self._output(name, segment, "new", 0)]

    def advance(self, media_ms: int) -> list[tuple[int, RtviMessage]]:
        """What becomes due as playout reaches a position, each with its own position."""
        return [
            (word.start_ms, message)
            for word in self._timeline.advance(media_ms)
            for message in self._word(word)
        ]

    def ended(self, message: wire.UtteranceEnded) -> list[RtviMessage]:
        """An utterance is over: words that were heard and not told yet come now, others never."""
        name = message.utterance_id
        words = self._timeline.words(name)
        done = self._timeline.delivered(name)
        is_complete = message.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        heard = len(words) if is_complete else message.heard_words
        told = [text for word in words[done:heard] for text in self._word(word)]
        self._timeline.skip(name, words=len(words))
        self._timeline.end(name)
        self._utterances.pop(name, None)
        return [*told, RtviMessage("bot-tts-stopped")]

    def written(self, text: str) -> RtviMessage:
        """Text of the bot that is not spoken."""
        data: dict[str, Any] = {"text": text, **self._names("sentence"), "spoken": False}
        if self._v2:
            data["will_be_spoken"] = False
            data["segment_id"] = self._next_segment()
            data["spoken_status"] = "new"
        return RtviMessage("bot-output", data)

    def _word(self, word: TimedWord) -> list[RtviMessage]:
        data = {
            "text": word.text,
            "utterance_id": word.utterance_id,
            "word_index": word.index,
            "char_start": word.char_start,
            "char_end": word.char_end,
            "start_ms": min(word.start_ms, _UINT32),
            "end_ms": min(word.end_ms, _UINT32),
        }
        said = [RtviMessage("bot-tts-text", data)]
        if not self._v2:
            return [*said, self._legacy(word.text, "word", spoken=True)]
        utterance = self._utterances.get(word.utterance_id)
        segment = utterance.segment_at(word.char_start) if utterance else None
        if segment is not None:
            spoken = word.char_end - segment.start
            is_last = not segment.text[spoken:].strip()
            status = "completed" if is_last else "in-progress"
            said.append(self._output(word.utterance_id, segment, status, spoken))
        return said

    def _output(self, name: str, segment: _Segment, status: str, spoken: int) -> RtviMessage:
        if not self._v2:
            return self._legacy(segment.text, "sentence", spoken=False)
        data = {
            "text": segment.text,
            **self._names("sentence"),
            "segment_id": segment.segment_id,
            "will_be_spoken": True,
            "spoken_status": status,
            "spoken_progress": {
                "accumulated_text": segment.text[:spoken],
                "remaining_text": segment.text[spoken:],
            },
            "utterance_id": name,
        }
        return RtviMessage("bot-output", data)

    def _legacy(self, text: str, kind: str, *, spoken: bool) -> RtviMessage:
        return RtviMessage("bot-output", {"text": text, **self._names(kind), "spoken": spoken})

    def _names(self, kind: str) -> dict[str, str]:
        return dict.fromkeys(self._type_names, kind)

    def _next_segment(self) -> int:
        self._segments += 1
        return self._segments

    def _get(self, name: str) -> _Utterance:
        utterance = self._utterances.get(name)
        if utterance is None:
            utterance = self._utterances[name] = _Utterance()
            if len(self._utterances) > _MAX_UTTERANCES:
                del self._utterances[next(iter(self._utterances))]
        return utterance


def _type_names(speaks: Version) -> tuple[str, ...]:
    """The names under which a client looks for the form of a text."""
    if speaks < Version(2, 2):
        return ("aggregated_by",)
    return ("output_type", "text_type", "aggregated_by")
