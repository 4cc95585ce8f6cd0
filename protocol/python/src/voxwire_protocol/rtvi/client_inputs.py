"""What a stock client says, as a session understands it. Pure.

Most of it is an envelope that our own clients send too; what they have no message for is a value
of this module. Sources: pipecat 1.14 ``RTVIProcessor``, protocol/spec/rtvi.md.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError, dump_json
from voxwire_protocol.rtvi.calls import OfferedCalls
from voxwire_protocol.rtvi.fields import Fields, fields_of
from voxwire_protocol.rtvi.message import LABEL, RtviError, RtviMessage, encode
from voxwire_protocol.rtvi.version import Version, parse_version

__all__ = [
    "AppendToContext",
    "ClientInput",
    "ClientReady",
    "DisconnectBot",
    "Foreign",
    "RawAudio",
    "Said",
    "SendFile",
    "read_client",
]

KEYS: Final = frozenset("0123456789*#")
MAX_KEYS: Final = 64
"""Most keys of one ``dtmf`` message."""

MAX_APP_JSON_BYTES: Final = 65_536
"""Largest data of a message of the application, JSON: what a session reads of our own clients."""


@dataclass(frozen=True, slots=True)
class ClientReady:
    """The client is up (``client-ready``); each one is answered with ``bot-ready``.

    Attributes:
        version: What it speaks; None = it said nothing that is a version.
        library: Its library, such as "@pipecat-ai/client-js"; "" = not said.
        about: What it says of itself, any JSON value; usually an object.
    """

    version: Version | None
    library: str
    about: Any


@dataclass(frozen=True, slots=True)
class DisconnectBot:
    """End the session when the bot has said what it is saying; the wire stays (``EndWorkerFrame``
    in pipecat). ``Bye`` is not the same: it ends at once.
    """


@dataclass(frozen=True, slots=True)
class SendFile:
    """A file for the model, with text beside it (``send-file``, RTVI 2.2).

    Attributes:
        text: What the user wrote.
        media_type: MIME type, as the client says it: not to be trusted.
        name: File name, as the client says it; "" = none.
        data: The bytes; None = they are at ``url``.
        url: Where they are; "" = nowhere else. What it names was chosen by the client.
        width: Of an image by value, pixels; 0 = not said.
        height: Of an image by value, pixels; 0 = not said.
        run_immediately: Whether the bot is to answer now.
        audio_response: Whether it is to speak the answer.
        custom_options: For the model's service, an object.
    """

    text: str
    media_type: str
    name: str
    data: bytes | None
    url: str
    width: int
    height: int
    run_immediately: bool
    audio_response: bool
    custom_options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawAudio:
    """Microphone audio from before a media path was up (``raw-audio``, ``raw-audio-batch``).

    Attributes:
        pcm: int16 little-endian PCM, interleaved; whole samples of all channels.
        sample_rate: Hz, 8000 to 48000.
        num_channels: 1 or 2.
    """

    pcm: bytes
    sample_rate: int
    num_channels: int


@dataclass(frozen=True, slots=True)
class AppendToContext:
    """A message for the model's context (``append-to-context``). Pipecat 2.x answers that it is
    unsupported, and its clients still send it.

    Attributes:
        role: "user" or "assistant".
        content: Its content, any JSON value.
        run_immediately: Whether the bot is to answer now.
    """

    role: str
    content: Any
    run_immediately: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """A type that RTVI 2.2 does not have (or has no more, such as ``update-config``). Pipecat
    answers ``error-response``; nothing of the message is lost.
    """

    message: RtviMessage


Said: TypeAlias = (
    wire.Envelope | ClientReady | DisconnectBot | SendFile | RawAudio | AppendToContext | Foreign
)


@dataclass(frozen=True, slots=True)
class ClientInput:
    """One message of a stock client.

    Attributes:
        message_id: Its RTVI id, which an answer has to carry.
        said: What it says: an envelope, without numbers, or a value.
    """

    message_id: str
    said: Said


def read_client(message: RtviMessage, calls: OfferedCalls) -> ClientInput:
    """Reads a message of a stock client.

    Args:
        message: What `decode` gave.
        calls: The calls that the client was asked to run; a result closes its call.

    Raises:
        RtviError: MALFORMED: a member is missing or of the wrong type (answer it with
            ``error-response``); TOO_LARGE; TOOL_CLOSED: a result of a call that is not open.
    """
    read = _READERS.get(message.type)
    said = Foreign(message) if read is None else read(message, calls)
    return ClientInput(message.id or "", said)


def _client_ready(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    about = fields.value("about")
    members = cast("dict[str, Any]", about) if isinstance(about, dict) else {}
    library = members.get("library")
    return ClientReady(
        version=parse_version(fields.value("version")),
        library=library if isinstance(library, str) else "",
        about=about,
    )


def _disconnect(_: RtviMessage, __: OfferedCalls) -> Said:
    return DisconnectBot()


def _send_text(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    options = fields.inner("options")
    return wire.Envelope(
        send_text=wire.SendText(
            text=fields.text("content"),
            run_immediately=options.flag("run_immediately", default=True),
            audio_response=options.flag("audio_response", default=True),
        )
    )


def _send_file(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    options, file = fields.inner("options"), fields.inner("file")
    source = file.inner("source")
    kind = source.text("type", default="url" if source.has("url") else "bytes")
    if kind not in ("bytes", "url"):
        raise source.wrong("file.source.type", '"bytes" or "url"')
    custom: object = options.value("custom_options") or {}
    if not isinstance(custom, dict):
        raise options.wrong("custom_options", "an object")
    return SendFile(
        text=fields.text("content"),
        media_type=file.text("format"),
        name=file.text("name", default=""),
        data=_decoded(source, "bytes", source.text("bytes")) if kind == "bytes" else None,
        url=source.text("url") if kind == "url" else "",
        width=_pixels(source, "width"),
        height=_pixels(source, "height"),
        run_immediately=options.flag("run_immediately", default=True),
        audio_response=options.flag("audio_response", default=True),
        custom_options=cast("dict[str, Any]", custom),
    )


def _pixels(source: Fields, name: str) -> int:
    return source.whole(name, least=0, most=1 << 20) if source.has(name) else 0


def _dtmf(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    # RTVI 2.0 has {button}, 2.1 replaced it by {buttons}.
    keys = fields.value("buttons") if fields.has("buttons") else [fields.value("button")]
    if not isinstance(keys, list) or not 0 < len(cast("list[Any]", keys)) <= MAX_KEYS:
        raise fields.wrong("buttons", f"a list of 1 to {MAX_KEYS} keys")
    pressed = cast("list[Any]", keys)
    if not all(isinstance(key, str) and key in KEYS for key in pressed):
        raise fields.wrong("buttons", 'a list of "0" to "9", "*" and "#"')
    return _app_message(message, "dtmf", {"digits": "".join(pressed)})


def _client_message(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    return _app_message(message, fields.text("t"), fields.value("d"), request_id=message.id or "")


def _for_the_bot(message: RtviMessage, _: OfferedCalls) -> Said:
    fields_of(message)
    return wire.Envelope(
        app_message=wire.AppMessage(type=LABEL, data_json=_checked(message, encode(message)))
    )


def _call_result(message: RtviMessage, calls: OfferedCalls) -> Said:
    fields = fields_of(message)
    call_id, name = fields.text("tool_call_id"), fields.text("function_name")
    result = _dumped(message, fields.value("result"))
    token = calls.settle(call_id, name)
    if token is None:
        raise RtviError(
            ErrorCode.TOOL_CLOSED,
            f"{message.type}: this client was not asked for such a call, or it is over",
            message_id=message.id or "",
        )
    return wire.Envelope(
        tool_result=wire.ToolResult(call_id=call_id, call_token=token, result_json=result)
    )


def _raw_audio(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    pieces: object = fields.value("base64AudioBatch") if fields.has("base64AudioBatch") else []
    if not isinstance(pieces, list):
        raise fields.wrong("base64AudioBatch", "a list")
    texts = cast("list[Any]", pieces)
    if fields.has("base64Audio"):
        texts = [fields.text("base64Audio"), *texts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise fields.wrong("base64Audio", "base64, or base64AudioBatch a list of it")
    channels = fields.whole("numChannels", least=1, most=2)
    sample_rate = fields.whole("sampleRate", least=8000, most=48_000)
    pcm = b"".join(_decoded(fields, "base64Audio", text) for text in texts)
    if len(pcm) % (2 * channels):
        raise fields.wrong("base64Audio", "whole samples of 16 bits")
    return RawAudio(pcm=pcm, sample_rate=sample_rate, num_channels=channels)


def _append_to_context(message: RtviMessage, _: OfferedCalls) -> Said:
    fields = fields_of(message)
    role = fields.text("role")
    if role not in ("user", "assistant"):
        raise fields.wrong("role", '"user" or "assistant"')
    return AppendToContext(
        role=role,
        content=fields.value("content"),
        run_immediately=fields.flag("run_immediately", default=False),
    )


def _app_message(
    message: RtviMessage, kind: str, data: object, *, request_id: str = ""
) -> wire.Envelope:
    text = _dumped(message, data)
    return wire.Envelope(
        app_message=wire.AppMessage(type=kind, data_json=text, request_id=request_id)
    )


def _dumped(message: RtviMessage, data: object) -> str:
    try:
        return dump_json(data, max_bytes=MAX_APP_JSON_BYTES)
    except JsonTextError as error:
        raise RtviError(
            error.code, f"{message.type}: {error.reason}", message_id=message.id or ""
        ) from None


def _checked(message: RtviMessage, text: str) -> str:
    if len(text.encode()) > MAX_APP_JSON_BYTES:
        reason = f"{message.type}: the message is above {MAX_APP_JSON_BYTES} bytes"
        raise RtviError(ErrorCode.TOO_LARGE, reason, message_id=message.id or "")
    return text


def _decoded(fields: Fields, name: str, text: str) -> bytes:
    """The bytes of base64; of a whole ``data:`` URL, which pipecat takes too, what it holds."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise fields.wrong(name, "base64") from None


_READERS: Final[dict[str, Callable[[RtviMessage, OfferedCalls], Said]]] = {
    "client-ready": _client_ready,
    "disconnect-bot": _disconnect,
    "send-text": _send_text,
    "send-file": _send_file,
    "dtmf": _dtmf,
    "client-message": _client_message,
    "llm-function-call-result": _call_result,
    "raw-audio": _raw_audio,
    "raw-audio-batch": _raw_audio,
    "append-to-context": _append_to_context,
    "ui-event": _for_the_bot,
    "ui-snapshot": _for_the_bot,
    "ui-cancel-job-group": _for_the_bot,
}
