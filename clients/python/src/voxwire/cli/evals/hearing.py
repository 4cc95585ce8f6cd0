"""What a session tells, as events of the format."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from voxwire.cli.captions import Captions
from voxwire.cli.evals.stream import EventStream, Seen
from voxwire.playout import Block, SpanKind
from voxwire_protocol import events

__all__ = ["Ear", "Hearing"]

_AUDIBLE: Final = 64
"""Peak (of 32768) above which a sound is one."""
_CANCELLED: Final = (
    events.ToolOutcome.CANCELLED,
    events.ToolOutcome.TIMED_OUT,
    events.ToolOutcome.LOST,
)
_KEPT: Final = 256


class Ear:
    """A speaker that plays to nobody, and knows where on the media clock there was sound."""

    def __init__(self) -> None:
        """Has heard nothing."""
        self._rate = 1
        self._heard: list[tuple[int, int]] = []

    def open(self, sample_rate: int) -> None:
        """Notes the rate, Hz."""
        self._rate = sample_rate

    def write(self, block: Block, at: float) -> None:
        """Listens to 20 ms."""
        for span in block.spans:
            if span.kind is not SpanKind.PLAYED:
                continue
            piece = block.samples[span.offset : span.offset + span.length]
            if int(np.abs(piece.astype(np.int32)).max(initial=0)) <= _AUDIBLE:
                continue
            end = span.position + span.length
            if self._heard and self._heard[-1][1] == span.position:
                self._heard[-1] = (self._heard[-1][0], end)
            else:
                self._heard.append((span.position, end))
                del self._heard[:-_KEPT]

    def close(self) -> None:
        """Nothing to end."""

    def is_sound(self, start_ms: int, end_ms: int) -> bool:
        """Whether there was any between two positions of the media clock, milliseconds."""
        start, end = start_ms * self._rate // 1000, end_ms * self._rate // 1000
        return any(first < end and last > start for first, last in self._heard)


@dataclass(slots=True)
class _Utterance:
    start_ms: int
    stale: bool = False


@dataclass
class Hearing:
    """Turns the events of a session into those of the format.

    Attributes:
        stream: Takes them.
        ear: What was really played.
    """

    stream: EventStream
    ear: Ear
    _captions: Captions = field(default_factory=Captions)
    _bot: events.BotState = events.BotState.UNKNOWN
    _user: events.UserState = events.UserState.UNKNOWN
    _utterances: dict[str, _Utterance] = field(default_factory=dict[str, _Utterance])

    def turn_sent(self) -> None:
        """The user's turn was sent: what is being said belongs to the turn before."""
        self.stream.sent()
        self._age()

    def observing(self) -> None:
        """A turn begins that sends nothing."""
        self.stream.observing()
        self._age()

    def _age(self) -> None:
        for utterance in self._utterances.values():
            utterance.stale = True

    def take(self, event: events.Event) -> None:
        """Takes the next event of the session."""
        self._captions.feed(event)
        match event:
            case events.StateChanged():
                self._state(event)
            case events.Interrupted():
                self.stream.append(Seen("bot_interrupted"))
            case events.UserTranscript(final=True, typed=False):
                self.stream.append(Seen("user_transcription", event.text))
            case events.BotResponseStarted():
                self.stream.answer_started()
            case events.BotResponseText():
                self.stream.answer_text(event.text)
            case events.BotResponseEnded():
                self.stream.answer_ended()
            case events.BotWord():
                self.stream.append(Seen("tts_response", event.text))
            case events.UtteranceStarted():
                self._utterances[event.utterance_id] = _Utterance(event.media_ms)
                self.stream.utterance_started(event.utterance_id)
            case events.UtteranceEnded():
                self._utterance_ended(event)
            case events.ToolCallStarted():
                known = isinstance(event.arguments, dict)
                args: dict[str, Any] = event.arguments if known else {}
                self.stream.append(Seen("function_call", name=event.name or None, args=args))
            case events.ToolCallEnded():
                self._call_ended(event)
            case _:
                return

    def _state(self, event: events.StateChanged) -> None:
        before_bot, self._bot = self._bot, event.bot
        before_user, self._user = self._user, event.user
        speaking, user = events.BotState.SPEAKING, events.UserState.SPEAKING
        if before_bot == speaking != event.bot:
            self.stream.bot_spoke(False)
        if (before_user == user) != (event.user == user):
            started = event.user == user
            self.stream.append(Seen(f"user_{'started' if started else 'stopped'}_speaking"))
        if before_bot != speaking == event.bot:
            self.stream.bot_spoke(True)

    def _utterance_ended(self, event: events.UtteranceEnded) -> None:
        utterance = self._utterances.pop(event.utterance_id, None)
        heard, _ = self._captions.text_of(event.utterance_id, event.heard_char_end)
        if utterance is None or not self.ear.is_sound(utterance.start_ms, event.heard_media_ms):
            heard = ""
        stale = utterance is not None and utterance.stale
        self.stream.utterance_ended(event.utterance_id, heard, stale=stale)

    def _call_ended(self, event: events.ToolCallEnded) -> None:
        ended = {"tool_call_id": event.call_id, "cancelled": event.outcome in _CANCELLED}
        self.stream.append(Seen("function_call_stopped", name=event.name or None, args=ended))
