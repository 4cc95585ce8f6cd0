"""Typed events: what a client tells its program, in place of wire messages.

Every event is a frozen dataclass made for ``match``. ``event_codec.from_envelope`` makes them of
what a server sends; `BotWord`, `Flushed`, `PathChanged`, `ConnectionChanged`, `EventsSkipped`,
`Quality` and those about devices are made by the client itself, since they happen on its side.
"""

from dataclasses import dataclass
from typing import Any

from voxwire_protocol.errors import ErrorCode, RecoveryAction
from voxwire_protocol.event_connection import (
    ConnectionChanged,
    ConnectionState,
    EventsSkipped,
    FallbackReason,
    Snapshot,
    Turn,
)
from voxwire_protocol.event_devices import (
    CaptureDropped,
    DeviceChanged,
    DeviceKind,
    DeviceState,
    EchoControl,
    EchoControlChanged,
)
from voxwire_protocol.event_enums import (
    BotState,
    Carrier,
    EndReason,
    HeardSource,
    InterruptionSource,
    MetricKind,
    TimingSource,
    ToolOutcome,
    TurnRole,
    UserState,
    UtteranceEnd,
)
from voxwire_protocol.quality import Grade, Quality

__all__ = [
    "AppMessage",
    "BotResponseEnded",
    "BotResponseStarted",
    "BotResponseText",
    "BotState",
    "BotWord",
    "CaptureDropped",
    "Carrier",
    "ConnectionChanged",
    "ConnectionState",
    "DeviceChanged",
    "DeviceKind",
    "DeviceState",
    "EchoControl",
    "EchoControlChanged",
    "EndReason",
    "ErrorEvent",
    "Event",
    "EventsSkipped",
    "FallbackReason",
    "Flushed",
    "GoingAway",
    "Grade",
    "HeardSource",
    "Interrupted",
    "InterruptionSource",
    "MetricKind",
    "PathChanged",
    "PlacedWord",
    "Quality",
    "ServiceMetric",
    "ServiceMetrics",
    "SessionEnded",
    "SessionStarted",
    "Snapshot",
    "StateChanged",
    "TimingSource",
    "ToolCallEnded",
    "ToolCallStarted",
    "ToolOutcome",
    "Turn",
    "TurnMetrics",
    "TurnRole",
    "UserState",
    "UserTranscript",
    "UtteranceEnd",
    "UtteranceEnded",
    "UtteranceStarted",
    "UtteranceWords",
    "Waiting",
]


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The session is up: the first event of every session."""

    session_id: str
    bot: str
    server: str
    resumed: bool
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over: the last event of every session that ends in order."""

    reason: EndReason
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The server has no place yet, and the session waits for one.

    There is no session yet, so no stream of events has it: it is given to ``connect(on_waiting=)``.

    Attributes:
        position: Place in the queue, from 1.
        estimated_ms: About how long until there is a place, milliseconds; 0 = not known.
    """

    position: int
    estimated_ms: int


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The server will close this connection in `time_left_ms` milliseconds."""

    reason: str
    time_left_ms: int


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The audio of the session goes over another path from now on.

    Attributes:
        path_id: Its number in the session.
        carrier: What carries it.
        resent_ms: Of the user's audio, what was captured before and is sent now, milliseconds.
        lost_ms: Of the user's audio, what the bot never hears: nothing carried it for longer than
            the client keeps it, milliseconds.
        fallback: Why it is not WebRTC although ``transport="auto"`` prefers that; None when it is,
            or when WebSocket was asked for.
        fallback_detail: The same as a sentence for people; empty where there is no `fallback`.
    """

    path_id: int
    carrier: Carrier
    resent_ms: int = 0
    lost_ms: int = 0
    fallback: FallbackReason | None = None
    fallback_detail: str = ""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Somebody does something else now. Raised when the own speaker reaches `media_ms`.

    Attributes:
        bot: What the bot is doing.
        user: What the user is doing.
        media_ms: Where on the media clock it took effect, milliseconds; 0 = at once.
        user_muted: True while the bot does not listen to the user, by its own rules; the client's
            microphone has no part in it.
    """

    bot: BotState
    user: UserState
    media_ms: int = 0
    user_muted: bool = False


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """What the user said. Interim ones replace each other; the final one keeps the id.

    Attributes:
        language: BCP 47 language tag; empty = unknown.
        confidence: How sure the recogniser is, 0 to 1; None = it does not say.
    """

    text: str
    final: bool
    transcript_id: str
    turn_id: str
    language: str
    typed: bool
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class BotResponseStarted:
    """The language model starts a response."""

    response_id: str
    turn_id: str


@dataclass(frozen=True, slots=True)
class BotResponseText:
    """More text of a response, as the model writes it; not what is heard."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class BotResponseEnded:
    """The response is complete, or was cut."""

    response_id: str


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    """The bot will say something from `media_ms` (media clock) on; announced ahead of the sound."""

    utterance_id: str
    turn_id: str
    response_id: str
    media_ms: int
    source: TimingSource
    language: str


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word of `UtteranceWords` with its absolute media-clock times, milliseconds."""

    index: int
    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    end_estimated: bool


@dataclass(frozen=True, slots=True)
class UtteranceWords:
    """Words of an utterance, ahead of the sound: what a caption shows before it is heard."""

    utterance_id: str
    text_offset: int
    text: str
    words: tuple[PlacedWord, ...]
    revision: int
    source: TimingSource


@dataclass(frozen=True, slots=True)
class BotWord:
    """The own speaker reaches this word now.

    Attributes:
        utterance_id: The utterance.
        index: Number of the word in the utterance, from 0.
        text: The word.
        char_start: First character in the utterance's text, code points.
        char_end: End, exclusive, code points.
        start_ms: Start on the media clock, milliseconds.
        end_ms: End on the media clock, milliseconds.
        source: Where the times come from.
    """

    utterance_id: str
    index: int
    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    source: TimingSource


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """An utterance ended, as the listener heard it.

    Attributes:
        utterance_id: The utterance.
        end: How it ended.
        heard_media_ms: End of what was heard, milliseconds of the media clock.
        heard_char_end: End of the heard prefix of the text, code points.
        heard_words: Number of words heard.
        heard_source: How that is known.
    """

    utterance_id: str
    end: UtteranceEnd
    heard_media_ms: int
    heard_char_end: int
    heard_words: int
    heard_source: HeardSource


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The bot runs a tool. `arguments` is None unless the server shows them."""

    call_id: str
    name: str
    arguments: Any
    response_id: str


@dataclass(frozen=True, slots=True)
class ToolCallEnded:
    """A tool call of the bot ended. `result` is None unless the server shows it."""

    call_id: str
    name: str
    outcome: ToolOutcome
    result: Any
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The bot was cut off."""

    source: InterruptionSource
    utterance_id: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """The own speaker fell silent on the server's word: the last sound was before `media_ms`."""

    media_ms: int
    flush_id: int
    until_media_ms: int


@dataclass(frozen=True, slots=True)
class ServiceMetric:
    """One measurement: milliseconds, tokens or characters, by `kind`."""

    kind: MetricKind
    processor: str
    model: str
    value: float


@dataclass(frozen=True, slots=True)
class ServiceMetrics:
    """Measurements of the services behind the bot."""

    metrics: tuple[ServiceMetric, ...]


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """How long the user waited in one turn, milliseconds (``protocol/spec/metrics.md``).

    The stages that are not None follow each other without gaps and sum to `total_ms`. An older
    server gives the first three fields alone.
    """

    turn_id: str
    response_ms: int
    playout_delay_ms: int
    vad_ms: int | None = None
    stt_ms: int | None = None
    turn_ms: int | None = None
    llm_ms: int | None = None
    tool_ms: int | None = None
    tts_ms: int | None = None
    output_ms: int | None = None
    lead_silence_ms: int | None = None
    total_ms: int | None = None
    typed: bool = False
    heard_source: HeardSource = HeardSource.UNKNOWN
    first_audio_media_ms: int | None = None
    user_stopped_capture_ms: int | None = None
    user_stopped_server_us: int | None = None

    @property
    def stages(self) -> dict[str, int]:
        """The stages that are known, by name and in order of time; ``tool`` lies within ``llm``."""
        if self.total_ms is None:
            return {}
        known = {
            "vad": self.vad_ms,
            "stt": self.stt_ms,
            "turn": self.turn_ms,
            "llm": self.llm_ms,
            "tool": self.tool_ms,
            "tts": self.tts_ms,
            "output": self.output_ms,
            "playout_delay": self.playout_delay_ms,
            "lead_silence": self.lead_silence_ms,
        }
        return {name: ms for name, ms in known.items() if ms is not None}


@dataclass(frozen=True, slots=True)
class AppMessage:
    """A message of the application. `data` is the decoded JSON."""

    type: str
    data: Any
    request_id: str
    response: bool


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Something went wrong; unless `fatal`, the session goes on."""

    code: ErrorCode
    reason: str
    retryable: bool
    action: RecoveryAction
    retry_after_ms: int
    fatal: bool
    subject_id: str


Event = (
    SessionStarted
    | SessionEnded
    | GoingAway
    | Waiting
    | PathChanged
    | ConnectionChanged
    | EventsSkipped
    | DeviceChanged
    | EchoControlChanged
    | CaptureDropped
    | StateChanged
    | UserTranscript
    | BotResponseStarted
    | BotResponseText
    | BotResponseEnded
    | UtteranceStarted
    | UtteranceWords
    | BotWord
    | UtteranceEnded
    | ToolCallStarted
    | ToolCallEnded
    | Interrupted
    | Flushed
    | ServiceMetrics
    | TurnMetrics
    | AppMessage
    | ErrorEvent
    | Quality
)
"""Everything that a session may yield."""
