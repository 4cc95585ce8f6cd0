"""A stock Pipecat client of our server: its messages as ours, ours as its. Pure.

What is lost on the way, and why: protocol/spec/rtvi.md.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.json_text import load_json
from voxwire_protocol.rtvi.calls import OfferedCalls
from voxwire_protocol.rtvi.client_inputs import ClientInput, ClientReady, read_client
from voxwire_protocol.rtvi.message import LABEL, RtviMessage, message_of
from voxwire_protocol.rtvi.metrics import metrics_to_rtvi
from voxwire_protocol.rtvi.spoken import Spoken
from voxwire_protocol.rtvi.version import RTVI_VERSION, Agreement, Version, agree

__all__ = ["PIPELINE_MESSAGE", "StockClient", "error_response"]

PIPELINE_MESSAGE: Final = "pipecat"
SERVER_MESSAGE: Final = "server-message"
"""``AppMessage.type`` of what a Pipecat pipeline sends by itself (its transport messages)."""

MAX_SENTENCE_CHARS: Final = 2000
"""A sentence of a response that is longer is told in pieces."""

_V12: Final = Version(1, 2)
_V20: Final = Version(2, 0)
_MAX_REQUESTS: Final = 256
_TYPED_CHARS: Final = 256
_SENTENCE_END: Final = re.compile("[.!?\u2026](?=\\s)|[\u3002\uff01\uff1f\\n]")
_MOBILE: Final = re.compile(r"\b(?:ios|ipados|swift|android|kotlin)\b", re.IGNORECASE)


class StockClient:
    """One stock client in one session; the owner gives it the playout position.

    The state, all of it bounded: the agreed version, who speaks, the utterances whose words wait
    for their time, the sentence that the model is writing, which tool calls the client was asked
    to run, and the ids of its requests and typed texts.

    Args:
        client_tools: Names of the tools that the client runs.
        text_only: Whether what the model writes is not spoken (``audio_response: false``); may be
            changed at any time.
    """

    def __init__(
        self, *, client_tools: frozenset[str] = frozenset(), text_only: bool = False
    ) -> None:
        self.client_tools = client_tools
        self.text_only = text_only
        self.agreement = Agreement(RTVI_VERSION, RTVI_VERSION)
        """What is spoken; until ``client-ready``, our own version, as pipecat does."""
        self.calls = OfferedCalls()
        """The calls that the client was asked to run."""
        self._is_mobile = False
        self._spoken = Spoken(RTVI_VERSION)
        self._position_ms = 0
        self._state = wire.StateChanged()
        self._coming: deque[wire.StateChanged] = deque(maxlen=64)
        self._sentence = ""
        self._user_texts: list[str] = []
        self._typed: deque[tuple[str, str]] = deque(maxlen=64)
        self._requests: deque[str] = deque(maxlen=_MAX_REQUESTS)
        self._cut: wire.UtteranceEnded | None = None
        self._writers: dict[str, Callable[[Any], list[RtviMessage]]] = {
            "state_changed": self._state_changed,
            "response_started": self._response_started,
            "response_text": self._response_text,
            "response_ended": self._response_ended,
            "utterance_started": self._utterance_started,
            "utterance_words": self._utterance_words,
            "utterance_ended": self._utterance_ended,
            "interrupted": self._interrupted,
            "tool_call_started": self._tool_call_started,
            "tool_call_ended": self._tool_call_ended,
            "tool_request": self._tool_request,
            "tool_cancel": self._tool_cancel,
            "app_message": self._app_message,
            "error": self._error,
            "service_metrics": self._service_metrics,
        }

    # what the client says

    def read(self, message: RtviMessage) -> ClientInput:
        """Reads a message of the client; ``client-ready`` settles the version.

        Raises:
            RtviError: See `read_client`. The session goes on.
        """
        found = read_client(message, self.calls)
        said = found.said
        if isinstance(said, ClientReady):
            self._meet(said)
        elif isinstance(said, wire.Envelope) and found.message_id:
            if said.WhichOneof("payload") == "send_text":
                self._typed.append((said.send_text.text[:_TYPED_CHARS], found.message_id))
            elif said.app_message.request_id:
                self._requests.append(found.message_id)
        return found

    def _meet(self, ready: ClientReady) -> None:
        self.agreement = agree(ready.version)
        self._spoken.speak(self.agreement.speaks)
        self._is_mobile = _is_mobile(ready)

    # what the client is told

    def bot_ready(
        self, message_id: str, *, about: dict[str, Any], capabilities: dict[str, bool]
    ) -> list[RtviMessage]:
        """The answer to ``client-ready``.

        Args:
            message_id: Id of the ``client-ready``.
            about: Of the bot: ``library``, ``library_version`` and whatever else.
            capabilities: What it does, by names of RTVI 2.2 (``audio_in``, ``metrics``, ...).
        """
        told: list[RtviMessage] = []
        if self.agreement.problem:
            told.append(error_response(message_id, self.agreement.problem))
        data: dict[str, Any] = {"version": str(self.agreement.announces), "about": about}
        if capabilities and self.agreement.speaks >= Version(2, 2):
            data["capabilities"] = capabilities
        return [*told, RtviMessage("bot-ready", data, message_id)]

    def write(self, envelope: wire.Envelope, *, timestamp: str) -> list[RtviMessage]:
        """What the client is told of an envelope of the session; nothing of media and signaling.

        Args:
            envelope: As the session sends it.
            timestamp: The server's wall clock, ISO 8601.
        """
        payload = envelope.WhichOneof("payload")
        if payload == "transcript":
            return self._transcript(envelope.transcript, timestamp)
        write = self._writers.get(payload or "")
        return [] if write is None else write(getattr(envelope, cast(str, payload)))

    def advance(self, media_ms: int) -> list[RtviMessage]:
        """What becomes due as playout reaches a position of the media clock: words, states."""
        self._position_ms = max(self._position_ms, media_ms)
        due = self._spoken.advance(self._position_ms)
        told: list[RtviMessage] = []
        for word_ms, message in due:
            told += self._states_until(word_ms)
            told.append(message)
        return told + self._states_until(self._position_ms)

    def _states_until(self, media_ms: int) -> list[RtviMessage]:
        told: list[RtviMessage] = []
        while self._coming and self._coming[0].media_ms <= media_ms:
            told += self._now(self._coming.popleft())
        return told

    def _state_changed(self, message: wire.StateChanged) -> list[RtviMessage]:
        if message.media_ms > self._position_ms:
            self._coming.append(message)
            return []
        self._coming.clear()  # what was to come is overtaken
        return self._now(message)

    def _now(self, state: wire.StateChanged) -> list[RtviMessage]:
        before, self._state = self._state, state
        told: list[RtviMessage] = []
        speaking = wire.BotState.BOT_STATE_SPEAKING
        if before.bot == speaking != state.bot:
            told.append(RtviMessage("bot-stopped-speaking"))
        user = wire.UserState.USER_STATE_SPEAKING
        if (before.user == user) != (state.user == user):
            started = state.user == user
            told.append(RtviMessage(f"user-{'started' if started else 'stopped'}-speaking"))
        if before.bot != speaking == state.bot:
            told.append(RtviMessage("bot-started-speaking"))
        if before.user_muted != state.user_muted and self.agreement.speaks >= Version(1, 2):
            told.append(RtviMessage(f"user-mute-{'started' if state.user_muted else 'stopped'}"))
        return told

    def _transcript(self, message: wire.Transcript, timestamp: str) -> list[RtviMessage]:
        data: dict[str, Any] = {
            "text": message.text,
            "input_type": "chat" if message.typed else "transcription",
            "timestamp": timestamp,
            "final": message.final,
        }
        if message.final:
            self._user_texts.append(message.text)
            del self._user_texts[:-32]
        if message.typed:
            start = message.text[:_TYPED_CHARS]
            known = next((item for item in self._typed if item[0] == start), None)
            if known is not None:
                self._typed.remove(known)
                data["msg_id"] = known[1]
            return [RtviMessage("user-input", data)]
        data["user_id"] = ""
        plain = {name: data[name] for name in ("text", "user_id", "timestamp", "final")}
        return [RtviMessage("user-input", data), RtviMessage("user-transcription", plain)]

    def _response_started(self, _: wire.ResponseStarted) -> list[RtviMessage]:
        asked, self._user_texts = " ".join(self._user_texts), []
        self._sentence = ""
        told = [RtviMessage("user-llm-text", {"text": asked})] if asked else []
        return [*told, RtviMessage("bot-llm-started")]

    def _response_text(self, message: wire.ResponseText) -> list[RtviMessage]:
        told = [RtviMessage("bot-llm-text", {"text": message.text})]
        self._sentence += message.text
        ends = [found.end() for found in _SENTENCE_END.finditer(self._sentence)]
        if len(self._sentence) > MAX_SENTENCE_CHARS:
            ends.append(len(self._sentence))
        return told + self._sentences(max(ends, default=0))

    def _response_ended(self, _: wire.ResponseEnded) -> list[RtviMessage]:
        return [*self._sentences(len(self._sentence)), RtviMessage("bot-llm-stopped")]

    def _sentences(self, end: int) -> list[RtviMessage]:
        text, self._sentence = self._sentence[:end].strip(), self._sentence[end:]
        if not text:
            return []
        told = [self._spoken.written(text)] if self.text_only else []
        return [*told, RtviMessage("bot-transcription", {"text": text})]

    def _utterance_started(self, message: wire.UtteranceStarted) -> list[RtviMessage]:
        return self._spoken.started(message)

    def _utterance_words(self, message: wire.UtteranceWords) -> list[RtviMessage]:
        return self._spoken.words(message)

    def _utterance_ended(self, message: wire.UtteranceEnded) -> list[RtviMessage]:
        self._cut = message
        return self._spoken.ended(message)

    def _interrupted(self, message: wire.Interrupted) -> list[RtviMessage]:
        if self.agreement.speaks < _V20:
            return []
        data: dict[str, Any] = {"utterance_id": message.utterance_id}
        cut = self._cut
        if cut is not None and cut.utterance_id == message.utterance_id:
            data["heard_ms"] = min(cut.heard_media_ms, (1 << 32) - 1)
            data["heard_char_end"] = cut.heard_char_end
        return [RtviMessage("bot-interrupted", data)]

    def _tool_call_started(self, message: wire.ToolCallStarted) -> list[RtviMessage]:
        if self.agreement.speaks < _V12:
            return []
        told = [RtviMessage("llm-function-call-started", {"function_name": message.name})]
        if message.name in self.client_tools:
            return told  # the request follows; two in-progress would run it twice
        data: dict[str, Any] = {"tool_call_id": message.call_id, "function_name": message.name}
        if message.arguments_json:
            data["arguments"] = _value(message.arguments_json)
        return [*told, RtviMessage("llm-function-call-in-progress", data)]

    def _tool_request(self, message: wire.ToolRequest) -> list[RtviMessage]:
        self.calls.offer(message)
        data: dict[str, Any] = {"function_name": message.name, "tool_call_id": message.call_id}
        arguments = _value(message.arguments_json or "{}")
        # Stock iOS and Android clients know the first generation of calls only.
        if self.agreement.speaks < _V12 or self._is_mobile:
            return [RtviMessage("llm-function-call", {**data, "args": arguments})]
        return [RtviMessage("llm-function-call-in-progress", {**data, "arguments": arguments})]

    def _tool_call_ended(self, message: wire.ToolCallEnded) -> list[RtviMessage]:
        self.calls.withdraw(message.call_id)
        if self.agreement.speaks < _V12:
            return []
        outcome = wire.ToolOutcome
        over = (
            outcome.TOOL_OUTCOME_CANCELLED,
            outcome.TOOL_OUTCOME_TIMED_OUT,
            outcome.TOOL_OUTCOME_LOST,
        )
        data: dict[str, Any] = {
            "tool_call_id": message.call_id,
            "cancelled": message.outcome in over,
            "function_name": message.name,
        }
        if message.result_json:
            data["result"] = _value(message.result_json)
        return [RtviMessage("llm-function-call-stopped", data)]

    def _tool_cancel(self, message: wire.ToolCancel) -> list[RtviMessage]:
        self.calls.withdraw(message.call_id)
        return []

    def _app_message(self, message: wire.AppMessage) -> list[RtviMessage]:
        data = _value(message.data_json or "null")
        if message.response:
            self._answered(message.request_id)
            answer = {"t": message.type, "d": data}
            return [RtviMessage("server-response", answer, message.request_id)]
        if message.type in (LABEL, PIPELINE_MESSAGE):
            # Stock iOS clients fail on a message without data.
            return [message_of(data) or RtviMessage(SERVER_MESSAGE, {} if data is None else data)]
        if message.type == SERVER_MESSAGE:  # as StockBot names one that is not {t, d}
            return [RtviMessage(SERVER_MESSAGE, {} if data is None else data)]
        return [RtviMessage(SERVER_MESSAGE, {"t": message.type, "d": data})]

    def _error(self, message: wire.Error) -> list[RtviMessage]:
        if message.subject_id and self._answered(message.subject_id):
            return [error_response(message.subject_id, message.reason)]
        # Stock iOS, Android and Python peers read `error`, client-js before 1.14 reads `message`.
        said = {"error": message.reason, "fatal": message.fatal, "message": message.reason}
        return [RtviMessage("error", said)]

    def _answered(self, request_id: str) -> bool:
        """Forgets a request of the client; whether it was one."""
        if request_id not in self._requests:
            return False
        self._requests.remove(request_id)
        return True

    def _service_metrics(self, message: wire.ServiceMetrics) -> list[RtviMessage]:
        data = metrics_to_rtvi(message)
        return [RtviMessage("metrics", data)] if data else []


def _is_mobile(ready: ClientReady) -> bool:
    """Whether the client is a native one; pages on a phone name an npm package as their library."""
    said: object = ready.about
    about = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    if ready.library.startswith("@"):
        return False
    return bool(_MOBILE.search(f"{ready.library} {about.get('platform')}"))


def error_response(message_id: str, reason: str) -> RtviMessage:
    """The refusal of a request; the reason never contains what the client sent."""
    return RtviMessage("error-response", {"error": reason}, message_id)


def _value(text: str) -> Any:
    """JSON of our own session; what is none, which cannot be, is told as text."""
    try:
        return load_json(text)
    except ValueError:
        return text
