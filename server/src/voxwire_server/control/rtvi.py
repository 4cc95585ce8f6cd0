"""The control channel of a stock Pipecat client: RTVI messages, over whatever carries them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from voxwire_protocol import rtvi, wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock, Timer
from voxwire_protocol.json_text import load_json
from voxwire_server.control.bad_messages import BadMessages
from voxwire_server.control.intake import Intake
from voxwire_server.ports import Inbox

__all__ = ["RtviChannel", "RtviWire", "Surroundings"]

_ANSWERS_PINGS: Final[frozenset["wire.Feature"]] = frozenset({wire.Feature.FEATURE_SEQUENCE})
_EVAL: Final = "eval-"
_LEAVE_MS: Final = 30_000
"""How long a bot that was asked to go may take to say what it has to say, milliseconds."""
_UNSUPPORTED: Final = "this server does not take messages of this type"
_CAPABILITIES: Final = {
    "audio_in": True,
    "audio_out": True,
    "video_in": False,
    "screen_in": False,
    "video_out": False,
    "metrics": True,
}
_OURS: Final = frozenset(
    {
        "bot-ready",
        "user-started-speaking",
        "user-stopped-speaking",
        "bot-started-speaking",
        "bot-stopped-speaking",
        "bot-interrupted",
        "user-input",
        "user-transcription",
        "user-llm-text",
        "bot-llm-started",
        "bot-llm-text",
        "bot-llm-stopped",
        "bot-transcription",
        "bot-tts-started",
        "bot-tts-text",
        "bot-tts-stopped",
        "bot-output",
        "llm-function-call",
        "llm-function-call-started",
        "llm-function-call-in-progress",
        "llm-function-call-stopped",
        "metrics",
    }
)
"""What this channel tells by itself: the same of a pipeline's own RTVI would come twice."""


class RtviWire(Protocol):
    """What carries RTVI messages to one client, and is gone one day."""

    @property
    def answers_pings(self) -> bool:
        """Whether something comes back for every :meth:`ping`."""
        ...

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading."""
        ...

    def send(self, text: str) -> None:
        """Send the JSON text of one message. Never blocks."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close it, behind everything that was sent."""
        ...

    def give_up(self, code: int, reason: str) -> None:
        """Close it; the other side is taken for gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the channel needs of the session whose client it speaks with.

    Attributes:
        when_heard: Calls when the listener has heard so far, milliseconds of the media clock.
        answers: Whether the bot answers requests of that type.
        hear: Takes the user's audio that comes as messages.
        busy: Whether somebody speaks, or an answer is owed or on its way to the ear.
    """

    when_heard: Callable[[float, Callable[[], object]], None]
    answers: Callable[[str], bool]
    hear: Callable[[rtvi.RawAudio], None]
    busy: Callable[[], bool]


def _now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RtviChannel:
    """A :class:`~voxwire_server.ports.ControlChannel` that speaks RTVI (protocol/spec/rtvi.md).

    Whoever has the wire calls :meth:`receive` with every message that comes on it, and
    :meth:`lost` or :meth:`left` when it is gone. What is said of the bot's voice is told when it is
    heard, as far as the server knows (:attr:`Surroundings.when_heard`).

    Args:
        carrier: The wire.
        features: What both sides can do.
        about: What ``bot-ready`` says of this server.
        evals: Whether the client is Pipecat's evaluation harness, whose control messages are
            messages of an application to anybody else.
        clock: The clock to run by.
        timestamp: The wall clock, ISO 8601.

    Attributes:
        intake: What the client may send, and what was dropped of it.
    """

    def __init__(
        self,
        carrier: RtviWire,
        *,
        features: frozenset["wire.Feature"] = frozenset(),
        about: dict[str, Any] | None = None,
        evals: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        timestamp: Callable[[], str] = _now_iso,
    ) -> None:
        self.intake = Intake()
        self._wire: RtviWire | None = carrier
        self._features = features | _ANSWERS_PINGS if carrier.answers_pings else features
        self._about = about or {}
        self._evals = evals
        self._clock = clock
        self._timestamp = timestamp
        self._client = rtvi.StockClient()
        self._last_sign_ms = clock.now_ms()
        self._inbox: Inbox | None = None
        self._bad: BadMessages | None = None
        self._around: Surroundings | None = None
        self._leaving: Timer | None = None

    # the door

    @property
    def features(self) -> frozenset["wire.Feature"]:
        """What both sides can do."""
        return self._features

    @property
    def last_sign_ms(self) -> float:
        """When the client was last heard of; now, where silence means nothing."""
        if self._wire is not None and not self._wire.answers_pings:
            return self._clock.now_ms()
        return self._last_sign_ms

    @property
    def attached(self) -> bool:
        """Whether anything carries it."""
        return self._wire is not None

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading what is sent to it."""
        return self._wire is not None and self._wire.overflowing

    def begin(self, inbox: Inbox) -> None:
        """The session is there; from here on it is told what comes.

        Raises:
            RuntimeError: It began before.
        """
        if self._inbox is not None:
            raise RuntimeError("a control channel begins once")
        self._inbox = inbox
        self._bad = BadMessages(self.intake, inbox)

    def follow(self, around: Surroundings) -> None:
        """The session's voice and ears, once there are some."""
        self._around = around

    def send(self, envelope: wire.Envelope) -> None:
        """Tell the client what RTVI has a message for; words and states when they are heard."""
        payload = envelope.WhichOneof("payload")
        if payload == "ping":
            if self._wire is not None:
                self._wire.ping()
            return
        if payload == "app_message" and _is_ours(envelope.app_message):
            return
        if payload == "transcript" and envelope.transcript.final:
            self._client.text_only &= envelope.transcript.typed
        self._tell(self._client.write(envelope, timestamp=self._timestamp()))
        for media_ms in _moments(envelope):
            self._cue(media_ms)
        if payload == "state_changed":
            self._leave_if_quiet()

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        """Close the wire, behind everything that was sent.

        Args:
            code: WebSocket close code.
            reason: For people.
            gone: The client is taken for gone: the session is told that the channel is lost.
        """
        carrier = self._wire
        if self._leaving is not None:
            self._leaving.cancel()
        if carrier is None:
            return
        if gone:
            carrier.give_up(code, reason)
            self._lost(carrier, silent=True)
        else:
            self._wire = None
            carrier.close(code, reason)

    # the wire

    def lost(self, carrier: RtviWire) -> None:
        """The wire is gone without a word; the session is told when it was the one in use."""
        self._lost(carrier, silent=False)

    def left(self, carrier: RtviWire) -> None:
        """The client has closed the wire in order: it has left."""
        if self._wire is carrier and self._inbox is not None:
            self._inbox.end(wire.EndReason.END_REASON_CLIENT)
        self.lost(carrier)

    def _lost(self, carrier: RtviWire, *, silent: bool) -> None:
        if self._wire is carrier:
            self._wire = None
            if self._inbox is not None:
                self._inbox.lost(self._last_sign_ms, silent=silent)

    def alive(self) -> None:
        """Something came from the client, whatever it was."""
        self._last_sign_ms = self._clock.now_ms()
        if self._inbox is not None:
            self._inbox.alive()

    # what the client says

    def receive(self, text: str | bytes) -> float:
        """Take the JSON text of one message. Never raises; bad input is answered or counted.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        inbox, bad = self._begun()
        now_ms = self._clock.now_ms()
        self.alive()
        wait_ms = self.intake.hold_back(len(text), now_ms, reliable=True)
        try:
            found = self._client.read(rtvi.decode(text))
        except rtvi.RtviError as error:
            self.intake.dropped.bad += 1
            if error.message_id:
                self._answer(error.message_id, error.reason)
            else:
                bad.answer(wire.ErrorCode.ValueType(error.code.value), error.reason, now_ms)
        else:
            bad.in_a_row = 0
            if self._leaving is None:
                self._take(found, inbox)
        return wait_ms

    def refuse(self, code: wire.ErrorCode, reason: str, num_bytes: int) -> float:
        """The client sent something that is not a client's to send: tell it, and go on."""
        _, bad = self._begun()
        self.intake.dropped.bad += 1
        bad.answer(code, reason, self._clock.now_ms())
        return self._charged(num_bytes)

    def garbage(self, reason: str, num_bytes: int) -> float:
        """The client sent bytes that are nothing: the third time in a row ends the session."""
        error = ChannelError(wire.ErrorCode.ERROR_CODE_MALFORMED, reason)
        self._begun()[1].take(error, self._clock.now_ms())
        return self._charged(num_bytes)

    def heard(self, num_bytes: int) -> float:
        """Audio of the client came, which goes another way; or what nobody knows."""
        self._begun()[1].in_a_row = 0
        return self._charged(num_bytes)

    def _charged(self, num_bytes: int) -> float:
        self.alive()
        return self.intake.hold_back(num_bytes, self._clock.now_ms(), reliable=False)

    def _take(self, found: rtvi.ClientInput, inbox: Inbox) -> None:
        match found.said:
            case wire.Envelope():
                self._pass_on(found.said, inbox)
            case rtvi.ClientReady():
                self._tell(
                    self._client.bot_ready(
                        found.message_id, about=self._about, capabilities=_CAPABILITIES
                    )
                )
            case rtvi.DisconnectBot():
                self._leaving = inbox.clock.call_later(_LEAVE_MS, lambda: _leave(inbox))
                self._leave_if_quiet()
            case rtvi.RawAudio():
                if self._around is not None:
                    self._around.hear(found.said)
            case _:
                self._answer(found.message_id, _UNSUPPORTED)

    def _pass_on(self, envelope: wire.Envelope, inbox: Inbox) -> None:
        payload = envelope.WhichOneof("payload")
        if payload == "app_message":
            message = envelope.app_message
            if self._evals and message.request_id and message.type.startswith(_EVAL):
                if message.type == "eval-cancel":
                    inbox.end(wire.EndReason.END_REASON_CLIENT)
                return
            answers = self._around is not None and self._around.answers(message.type)
            if not answers:  # RTVI does not say whether an answer is wanted
                message.request_id = ""
        elif payload == "send_text":
            self._client.text_only = not envelope.send_text.audio_response
        inbox.message(envelope)

    def _leave_if_quiet(self) -> None:
        """The client wants the session to end when everything is said: it may be."""
        busy = self._around is not None and self._around.busy()
        if self._leaving is not None and self._inbox is not None and not busy:
            self._leaving.cancel()
            _leave(self._inbox)

    def _begun(self) -> tuple[Inbox, BadMessages]:
        if self._inbox is None or self._bad is None:
            raise RuntimeError("the control channel has no session yet")
        return self._inbox, self._bad

    # what it is told

    def _answer(self, message_id: str, reason: str) -> None:
        if self.intake.may_answer(self._clock.now_ms()):
            self._tell([rtvi.error_response(message_id, reason)])

    def _cue(self, media_ms: int) -> None:
        if self._around is not None:
            tell = self._client.advance
            self._around.when_heard(media_ms, lambda: self._tell(tell(media_ms)))

    def _tell(self, messages: list[rtvi.RtviMessage]) -> None:
        if self._wire is not None:
            for message in messages:
                self._wire.send(rtvi.encode(message))


def _is_ours(message: wire.AppMessage) -> bool:
    """Whether a pipeline's own RTVI says what this channel says by itself."""
    if message.type != rtvi.PIPELINE_MESSAGE:
        return False
    data = load_json(message.data_json or "null")
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    return members.get("label") == rtvi.LABEL and members.get("type") in _OURS


def _moments(envelope: wire.Envelope) -> list[int]:
    """Where on the media clock something of an envelope becomes due."""
    if envelope.HasField("state_changed"):
        return [envelope.state_changed.media_ms] if envelope.state_changed.media_ms else []
    words = envelope.utterance_words
    return [words.base_media_ms + word.start_ms for word in words.words]


def _leave(inbox: Inbox) -> None:
    inbox.end(wire.EndReason.END_REASON_CLIENT)
