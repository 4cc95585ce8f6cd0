"""A stock Pipecat bot of our clients: its messages as ours. Pure.

What a stock bot does not say is not made up: words have the moment of their arrival
(``TIMING_SOURCE_ARRIVAL``), and how much was heard of what was cut off is what had arrived, with
no source (``HEARD_SOURCE_UNSPECIFIED``). What is lost on the way, and why: protocol/spec/rtvi.md.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.json_text import JsonTextError, dump_json
from voxwire_protocol.rtvi.arrivals import Arrivals
from voxwire_protocol.rtvi.bot_files import BotFiles, FileStep
from voxwire_protocol.rtvi.bot_requests import BotRequests
from voxwire_protocol.rtvi.calls import TakenCalls
from voxwire_protocol.rtvi.fields import fields_of
from voxwire_protocol.rtvi.message import ABSENT, LABEL, RtviError, RtviMessage, encode
from voxwire_protocol.rtvi.metrics import metrics_from_rtvi
from voxwire_protocol.rtvi.version import Version, parse_version

__all__ = ["CAPABILITIES", "StockBot"]

CAPABILITIES: Final = ("audio_in", "audio_out", "video_in", "screen_in", "video_out", "metrics")
"""Members of ``bot-ready`` that say what a bot does (RTVI 2.2)."""

MAX_REASON_CHARS: Final = 500
MAX_JSON_BYTES: Final = 65_536
_READY: Final = wire.Welcome(protocol_version=wire.PROTOCOL_VERSION, epoch=1)


class StockBot:
    """One stock bot of one session.

    The state, all of it bounded: the bot's version, names for what it says (`Arrivals`), open
    tool calls, whether it sends ``user-input``.

    Args:
        new_id: Makes the id of a message, from 8 hex digits to a UUID; unique in the session.
        tools: Names of the tools that this client runs.
        max_message_bytes: Largest message that the carrier takes, which bounds the files that are
            sent to the bot (`Welcome.accepts`); 0 = no files.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], str],
        tools: frozenset[str] = frozenset(),
        max_message_bytes: int = 0,
    ) -> None:
        self.version: Version | None = None
        """What the bot speaks; None until ``bot-ready``, or when that names no version."""
        self.capabilities: dict[str, bool] = {}
        """What it does in this session; what is not in it is not known."""
        self.about: Any = None
        """What it says of itself in ``bot-ready``, any JSON value."""
        self._tools = tools
        self._arrivals = Arrivals()
        self._calls = TakenCalls()
        self._requests = BotRequests(self._calls, new_id=new_id)
        self._files = BotFiles(self._requests, max_message_bytes=max_message_bytes)
        self._tells_input = False
        self._readers: dict[str, Callable[[RtviMessage, int], list[wire.Envelope]]] = {
            "bot-ready": self._bot_ready,
            "error": self._error,
            "error-response": self._error_response,
            "server-response": self._server_response,
            "server-message": self._server_message,
            "user-started-speaking": lambda _, __: self._arrivals.user_started(),
            "user-stopped-speaking": lambda _, __: self._arrivals.user_stopped(),
            "user-mute-started": lambda _, __: self._arrivals.user_muted(True),
            "user-mute-stopped": lambda _, __: self._arrivals.user_muted(False),
            "bot-started-speaking": lambda _, at: self._arrivals.bot_started(at),
            "bot-stopped-speaking": self._bot_stopped,
            "bot-interrupted": lambda _, at: self._arrivals.interrupted(at),
            "bot-tts-started": lambda _, __: self._arrivals.voice_started(),
            "bot-tts-stopped": lambda _, __: [],
            "bot-output": self._bot_output,
            "bot-tts-text": lambda said, at: self._arrivals.words(fields_of(said).text("text"), at),
            "user-input": self._user_input,
            "user-transcription": self._user_transcription,
            "bot-llm-started": lambda _, __: self._arrivals.response_started(),
            "bot-llm-text": lambda said, _: self._arrivals.response_text(
                fields_of(said).text("text")
            ),
            "bot-llm-stopped": lambda _, __: self._arrivals.response_ended(),
            "llm-function-call": self._function_call,
            "llm-function-call-started": lambda _, __: [],  # it names no call; the next one does
            "llm-function-call-in-progress": self._in_progress,
            "llm-function-call-stopped": self._stopped,
            "metrics": self._metrics,
        }

    def read(self, message: RtviMessage, *, media_ms: int) -> list[wire.Envelope]:
        """Reads a message of the bot. What has no envelope comes whole, as `raw_envelope`.

        Args:
            message: What `decode` gave.
            media_ms: Playout position of the client, milliseconds since the bot's first sample.

        Raises:
            RtviError: MALFORMED: a member is missing or of the wrong type. The session goes on.
        """
        read = self._readers.get(message.type)
        return [raw_envelope(message)] if read is None else read(message, media_ms)

    def lost(self, media_ms: int) -> list[wire.Envelope]:
        """What is over once another connection has taken the place of one that was lost.

        The ends of a response and of an utterance that were open were lost with it, and nobody is
        known to speak. Calls stay open: their results are still wanted.

        Args:
            media_ms: As of `read`.
        """
        return self._arrivals.lost(media_ms)

    @property
    def late_utterance_id(self) -> str:
        """The utterance whose end waits for words that the bot has announced; empty = none."""
        return self._arrivals.late_utterance_id

    def overdue(self, media_ms: int) -> list[wire.Envelope]:
        """The end of that utterance, to be asked for when it has waited `LATE_MS`.

        Args:
            media_ms: As of `read`.
        """
        return self._arrivals.overdue(media_ms)

    def write(self, envelope: wire.Envelope) -> list[RtviMessage]:
        """What the bot is told of an envelope of our client; see `BotRequests.write`.

        Raises:
            RtviError: UNSUPPORTED: the bot has no message for it.
        """
        return self._requests.write(envelope, version=self.version)

    def take_file(self, envelope: wire.Envelope) -> FileStep:
        """What comes of ``file_begin``, ``file_piece`` and ``file_cancel``; `write` has nothing
        for them, since the client has to be answered.
        """
        return self._files.take(envelope, version=self.version)

    @property
    def requests(self) -> BotRequests:
        """What only a stock bot is asked, such as to take a file."""
        return self._requests

    # connection

    def _bot_ready(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        said = fields.value("capabilities")
        members = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        self.version = parse_version(fields.value("version"))
        self.about = fields.value("about")
        self.capabilities = {
            name: value for name in CAPABILITIES if isinstance(value := members.get(name), bool)
        }
        welcome = wire.Welcome()
        welcome.CopyFrom(_READY)
        welcome.server = _software(self.about)
        accepts = self._files.acceptance(self.version)
        if accepts is not None:
            welcome.accepts.CopyFrom(accepts)
        return [wire.Envelope(welcome=welcome), *self._arrivals.ready()]

    def _error(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        # Documents and client-js say `message`, pipecat says `error`.
        reason = fields.text("error", default=fields.text("message", default=""))
        fatal = fields.flag("fatal", default=False)
        code = wire.ErrorCode.ERROR_CODE_BOT_FAILED
        if not fatal:
            code = wire.ErrorCode.ERROR_CODE_SERVICE_FAILED
        return [_failed(code, reason, fatal=fatal)]

    def _error_response(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        reason = fields.text("error", default=fields.text("message", default=""))
        code = wire.ErrorCode.ERROR_CODE_SERVICE_FAILED
        if reason.startswith("Unsupported type"):  # pipecat RTVIProcessor
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
        return [_failed(code, reason, subject_id=message.id or "")]

    # messages of the application

    def _server_response(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        answer = wire.AppMessage(
            type=fields.text("t"),
            data_json=_dumped(message, fields.value("d")),
            request_id=message.id or "",
            response=True,
        )
        return [wire.Envelope(app_message=answer)]

    def _server_message(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        kind, data = _named(None if message.data is ABSENT else message.data)
        said = wire.AppMessage(type=kind, data_json=_dumped(message, data))
        return [wire.Envelope(app_message=said)]

    # speech

    def _bot_stopped(self, _: RtviMessage, media_ms: int) -> list[wire.Envelope]:
        # Before 2.0 a bot says nothing when it is cut off; the user speaks, and it stops.
        is_old = self.version is not None and self.version.major < 2
        was_cut = is_old and self._arrivals.user_speaks
        return self._arrivals.bot_stopped(media_ms, was_cut=was_cut)

    def _bot_output(self, message: RtviMessage, media_ms: int) -> list[wire.Envelope]:
        return [raw_envelope(message), *self._arrivals.progress(message.data, media_ms)]

    def _user_input(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        kind = fields.text("input_type")
        if kind not in ("transcription", "chat"):
            return [raw_envelope(message)]
        self._tells_input = self._tells_input or kind == "transcription"
        return self._arrivals.transcript(
            fields.text("text"), final=fields.flag("final"), typed=kind == "chat"
        )

    def _user_transcription(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        text, final = fields.text("text"), fields.flag("final")
        if self._tells_input:  # a 2.2 bot says the same twice
            return []
        return self._arrivals.transcript(text, final=final, typed=False)

    # tools

    def _function_call(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        arguments = fields.value("args", fields.value("arguments"))
        return self._called(
            message, fields.text("tool_call_id"), fields.text("function_name"), arguments
        )

    def _in_progress(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        name = fields.text("function_name", default="")
        return self._called(message, fields.text("tool_call_id"), name, fields.value("arguments"))

    def _called(
        self, message: RtviMessage, call_id: str, name: str, arguments: Any
    ) -> list[wire.Envelope]:
        if self._calls.get(call_id) is not None:
            return []
        shown = "" if arguments is None else _dumped(message, arguments)
        self._calls.take(call_id, name, shown or "{}")
        started = wire.ToolCallStarted(call_id=call_id, name=name, arguments_json=shown)
        told = [wire.Envelope(tool_call_started=started)]
        if name in self._tools:
            request = wire.ToolRequest(call_id=call_id, name=name, arguments_json=shown or "{}")
            told.append(wire.Envelope(tool_request=request))
        return told

    def _stopped(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        fields = fields_of(message)
        call_id, cancelled = fields.text("tool_call_id"), fields.flag("cancelled", default=False)
        known = self._calls.end(call_id)
        name = fields.text("function_name", default=known[0] if known else "")
        outcome = wire.ToolOutcome
        result = _dumped(message, fields.value("result")) if fields.has("result") else ""
        ended = wire.ToolCallEnded(
            call_id=call_id,
            name=name,
            outcome=outcome.TOOL_OUTCOME_CANCELLED if cancelled else outcome.TOOL_OUTCOME_DONE,
            result_json=result,
        )
        told = [wire.Envelope(tool_call_ended=ended)]
        if known is not None and name in self._tools:  # ours may still run
            reason = "the bot has ended the call"
            told.insert(
                0, wire.Envelope(tool_cancel=wire.ToolCancel(call_id=call_id, reason=reason))
            )
        return told

    # measurements

    def _metrics(self, message: RtviMessage, _: int) -> list[wire.Envelope]:
        measured, is_more = metrics_from_rtvi(message.data)
        told = [wire.Envelope(service_metrics=measured)] if measured.metrics else []
        return [*told, raw_envelope(message)] if is_more else told


def raw_envelope(message: RtviMessage) -> wire.Envelope:
    """A message as it is, in an ``AppMessage`` of type "rtvi-ai": nothing of it is lost."""
    return wire.Envelope(app_message=wire.AppMessage(type=LABEL, data_json=encode(message)))


def _named(data: object) -> tuple[str, object]:
    """Name and content of a ``server-message``: our servers say ``{t, d}``, stock ones anything."""
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if isinstance(members.get("t"), str) and members.keys() <= {"t", "d"}:
        return members["t"], members.get("d")
    return "server-message", cast("object", data)


def _failed(
    code: wire.ErrorCode, reason: str, *, fatal: bool = False, subject_id: str = ""
) -> wire.Envelope:
    error = wire.Error(
        code=code,
        reason=reason[:MAX_REASON_CHARS] or "the bot gave no reason",
        action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
        fatal=fatal,
        subject_id=subject_id,
    )
    return wire.Envelope(error=error)


def _software(about: object) -> str:
    """Library and version, as ``bot-ready.about`` names them."""
    members = cast("dict[str, Any]", about) if isinstance(about, dict) else {}
    names = (members.get("library"), members.get("library_version"))
    return " ".join(name for name in names if isinstance(name, str))[:MAX_REASON_CHARS]


def _dumped(message: RtviMessage, data: object) -> str:
    try:
        return dump_json(data, max_bytes=MAX_JSON_BYTES)
    except JsonTextError as error:
        reason = f"{message.type}: {error.reason}"
        raise RtviError(error.code, reason, message_id=message.id or "") from None
