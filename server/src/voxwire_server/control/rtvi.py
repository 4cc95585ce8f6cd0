"""The control channel of a stock Pipecat client: RTVI messages, over whatever carries them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from voxwire_protocol import rtvi, wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock, Timer
from voxwire_server.control import rtvi_told
from voxwire_server.control.bad_messages import BadMessages
from voxwire_server.control.intake import Intake
from voxwire_server.control.rtvi_wire import RtviWire, Surroundings
from voxwire_server.lifecycle import Event, State
from voxwire_server.ports import Inbox

__all__ = ["RtviChannel", "leave"]

_ANSWERS_PINGS: Final[frozenset["wire.Feature"]] = frozenset({wire.Feature.FEATURE_SEQUENCE})
_TO_THE_WIRE: Final = frozenset({"ping", "session_ended"})
_KEPT_BYTES: Final = 1_048_576
"""Most that is kept for a client until something carries the channel again, bytes."""
_EVAL: Final = "eval-"
_LEAVE_MS: Final = 30_000
"""How long a bot that was asked to go may take to say what it has to say, milliseconds."""
_SUPERSEDED: Final = 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED
_UNSUPPORTED: Final = "this server does not take messages of this type"


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
        silent: Whether the bot speaks nothing at all.
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
        silent: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        timestamp: Callable[[], str] = _now_iso,
    ) -> None:
        self.intake = Intake()
        self._wire: RtviWire | None = carrier
        self._max_bytes = carrier.max_bytes
        self._features = features | _ANSWERS_PINGS if carrier.answers_pings else features
        self._about = about or {}
        self._evals = evals
        self._clock = clock
        self._timestamp = timestamp
        self._silent = silent
        self._client = rtvi.StockClient(text_only=silent)
        self._last_sign_ms = clock.now_ms()
        self._inbox: Inbox | None = None
        self._bad: BadMessages | None = None
        self._around: Surroundings | None = None
        self._leaving: Timer | None = None
        self._comes_back = wire.Feature.FEATURE_RESUME in features
        self._kept: list[str] = []
        self._kept_bytes = 0

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
        """Tell the client what RTVI has a message for; words and states when they are heard.

        Raises:
            ChannelError: It is too large for the wire; nothing is sent.
        """
        payload = envelope.WhichOneof("payload")
        if payload in _TO_THE_WIRE:
            if self._wire is not None:
                (self._wire.ping if payload == "ping" else self._wire.over)()
            return
        if payload == "tool_call_started" and self._around is not None:
            self._client.client_tools = frozenset(self._around.client_tools())
        if payload == "app_message" and rtvi_told.is_ours(envelope.app_message):
            return
        if payload == "tool_request" and not self._asks(envelope.tool_request):
            return
        if payload == "transcript" and envelope.transcript.final:
            typed = self._client.text_only and envelope.transcript.typed
            self._client.text_only = self._silent or typed
        if payload == "go_away":
            envelope = rtvi_told.going(envelope.go_away)
        messages = self._client.write(envelope, timestamp=self._timestamp())
        self._say([self._fitting(rtvi.encode(message)) for message in messages])
        for media_ms in rtvi_told.moments(envelope):
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
            self._lost(carrier, silent=True)
            carrier.give_up(code, reason)
        else:
            self._wire = None
            carrier.close(code, reason)

    # the wire

    def rebind(self, carrier: RtviWire) -> None:
        """Go on over a new wire, beginning with what the client may not have.

        Raises:
            ChannelError: The session is over. Nothing has changed then.
        """
        inbox, _ = self._begun()
        if inbox.life.over:
            raise ChannelError(wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED, "the session is over")
        inbox.life.on(Event.RESUME)
        since_ms, old = self._last_sign_ms, self._wire
        if old is not None:
            self._keep(old.undelivered())
        self._wire, self._max_bytes = carrier, carrier.max_bytes
        self.alive()  # before its first message: a path that opens finds it within reach
        if old is not None:
            old.close(_SUPERSEDED, "a newer connection took the session over")
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        self._say(kept)
        inbox.back(since_ms if old is not None else None)

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
            self._keep(carrier.undelivered())
            if self._inbox is not None:
                self._inbox.lost(self._last_sign_ms, silent=silent)

    def alive(self) -> None:
        """Something came from the client, whatever it was."""
        self._last_sign_ms = self._clock.now_ms()
        if self._inbox is not None:
            self._inbox.alive()

    # what the client says

    def receive(
        self,
        text: str | bytes,
        read: Callable[[str | bytes], rtvi.RtviMessage | None] = rtvi.decode,
    ) -> float:
        """Take the JSON text of one message. Never raises; bad input is answered or counted.

        Args:
            text: The text.
            read: Reads it; None = it is something between the client and the wire. It may raise
                ``RtviError``.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        inbox, bad = self._begun()
        now_ms = self._clock.now_ms()
        self.alive()
        wait_ms = self.intake.hold_back(len(text), now_ms, reliable=True)
        try:
            message = read(text)
            found = None if message is None else self._client.read(message)
        except rtvi.RtviError as error:
            self.intake.dropped.bad += 1
            if error.message_id:
                self._answer(error.message_id, error.reason)
            else:
                bad.answer(wire.ErrorCode.ValueType(error.code.value), error.reason, now_ms)
        else:
            bad.in_a_row = 0
            if found is not None and self._leaving is None:
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
                about, can = rtvi_told.about_us(self._about, self._around), rtvi_told.CAPABILITIES
                self._tell(self._client.bot_ready(found.message_id, about=about, capabilities=can))
            case rtvi.DisconnectBot():
                self._leaving = inbox.clock.call_later(_LEAVE_MS, lambda: leave(inbox))
                self._leave_if_quiet()
            case rtvi.RawAudio():
                if self._around is not None:
                    self._around.hear(found.said)
            case rtvi.SendFile():
                self._send_file(found.message_id, found.said)
            case _:
                self._answer(found.message_id, _UNSUPPORTED)

    def _send_file(self, message_id: str, file: rtvi.SendFile) -> None:
        around = self._around
        refusal = None if around is None else around.send_file(file)
        if around is None:
            self._answer(message_id, _UNSUPPORTED)
        elif refusal is not None:
            self.intake.dropped.bad += 1
            self._answer(message_id, refusal.reason)
        elif file.run_immediately:
            self._client.text_only = self._silent or not file.audio_response

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
            self._client.text_only = self._silent or not envelope.send_text.audio_response
        inbox.message(envelope)

    def _leave_if_quiet(self) -> None:
        """The client wants the session to end when everything is said: it may be."""
        busy = self._around is not None and self._around.busy()
        if self._leaving is not None and self._inbox is not None and not busy:
            self._leaving.cancel()
            leave(self._inbox)

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

    def _asks(self, request: wire.ToolRequest) -> bool:
        """Whether the client is asked to run a tool now; RTVI has no word for taking a request.

        Without a wire it is not: the session asks again when there is one, and a page that was
        asked twice would do it twice.
        """
        inbox, _ = self._begun()
        if self._wire is None:
            return False
        taken = wire.Envelope(tool_accepted=wire.ToolAccepted(call_id=request.call_id))
        inbox.clock.call_later(0, lambda: inbox.message(taken))
        return True

    def _fitting(self, text: str) -> str:
        if len(text.encode()) > self._max_bytes:
            code = wire.ErrorCode.ERROR_CODE_TOO_LARGE
            raise ChannelError(code, f"above the client's limit of {self._max_bytes} bytes")
        return text

    def _tell(self, messages: list[rtvi.RtviMessage]) -> None:
        self._say([rtvi.encode(message) for message in messages])

    def _say(self, texts: list[str]) -> None:
        for text in texts:
            if self._wire is not None:
                self._wire.send(text)
            else:
                self._keep_one(text)

    def _keep(self, texts: list[str]) -> None:
        """What a wire took and may not have brought; a call of the page's ends with the wire, as it
        must not run twice, and nobody may be running it.
        """
        tools = () if self._around is None else self._around.client_tools()
        for text in texts:
            call = rtvi_told.own_call(text, tools)
            if call is None:
                self._keep_one(text)
            else:
                self._fail(*call)

    def _fail(self, call_id: str, name: str) -> None:
        inbox, _ = self._begun()
        token = self._client.calls.settle(call_id, name)
        if token is not None:  # else it is over
            failed = rtvi_told.lost_call(call_id, token)
            inbox.clock.call_later(0, lambda: inbox.message(failed))  # told on the next wire

    def _keep_one(self, text: str) -> None:
        if self._comes_back and self._kept_bytes + len(text) <= _KEPT_BYTES:
            self._kept.append(text)
            self._kept_bytes += len(text)


def leave(inbox: Inbox) -> None:
    """Its client has left: the session ends, whether or not something carries its channel."""
    reasons = wire.EndReason
    here = inbox.life.state is not State.PARKED
    inbox.end(reasons.END_REASON_CLIENT if here else reasons.END_REASON_EXPIRED)
