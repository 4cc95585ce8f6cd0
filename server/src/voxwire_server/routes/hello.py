"""A Hello: checked, and turned into what the one front door wants of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.message import DecodeError

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError, parse_json
from voxwire_server.logs import trace
from voxwire_server.ports import SessionFacts
from voxwire_server.session.ticket import Refused, Ticket

__all__ = ["RefusedError", "facts_of", "read_hello", "ticket_of"]

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_MAX_HELLO_BYTES: Final = 16_384
_MAX_METADATA_BYTES: Final = 8192
_NONCE_BYTES: Final = 16
_NO_HELLO: Final = "the first message must be a Hello"
_HELLO_TOO_LARGE: Final = (
    f"a Hello has at most {_MAX_HELLO_BYTES} bytes; its metadata, its tools or both are too large"
)


class RefusedError(Exception):
    """A socket is turned away."""

    def __init__(self, code: wire.ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.refused = Refused(code, reason)


def read_hello(data: bytes | None) -> wire.Hello:
    """The Hello in the first message of a socket; None = it was text.

    Raises:
        RefusedError: It is none, or cannot be used.
    """
    if data is not None and len(data) > _MAX_HELLO_BYTES:
        raise RefusedError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, _HELLO_TOO_LARGE)
    try:
        envelope = wire.Envelope.FromString(data or b"")
    except DecodeError:
        raise RefusedError(wire.ErrorCode.ERROR_CODE_MALFORMED, _NO_HELLO) from None
    if envelope.WhichOneof("payload") != "hello":
        raise RefusedError(wire.ErrorCode.ERROR_CODE_MALFORMED, _NO_HELLO)
    trace("hello", envelope)
    hello = envelope.hello
    if len(hello.attach_nonce) != _NONCE_BYTES:
        reason = f"attach_nonce must be {_NONCE_BYTES} bytes"
        raise RefusedError(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason)
    _check_metadata(hello.metadata_json)
    if hello.protocol_version != wire.PROTOCOL_VERSION:
        reason = f"this server speaks protocol version {wire.PROTOCOL_VERSION}"
        raise RefusedError(wire.ErrorCode.ERROR_CODE_VERSION, reason)
    return hello


def ticket_of(
    hello: wire.Hello,
    *,
    is_local: bool,
    address: str = "",
    headers: Mapping[str, str] = NO_HEADERS,
) -> Ticket:
    """Who says it.

    Args:
        hello: The client's first message.
        is_local: True when a program of this machine sent it, no web page and no proxy.
        address: Where it came from, behind our proxies.
        headers: Of the head of its WebSocket.
    """
    return Ticket(
        token=hello.token,
        nonce=hello.attach_nonce,
        bot=hello.bot,
        session_id=hello.session_id,
        resume_token=hello.resume_token,
        epoch=hello.epoch,
        is_local=is_local,
        address=address,
        headers=headers,
    )


def facts_of(hello: wire.Hello, *, origin: bytes) -> SessionFacts:
    """What a session of it is born with.

    Args:
        hello: The client's first message.
        origin: Origin of the web page that it comes from; empty for a program.
    """
    client = wire.ClientInfo()
    client.CopyFrom(hello.client)  # a part of the Hello would keep all of it, its token too
    return SessionFacts(
        features=frozenset(hello.features),
        origin=origin,
        client=client,
        metadata_json=hello.metadata_json,
        tools=tuple(wire.ToolDeclaration.FromString(t.SerializeToString()) for t in hello.tools),
        speaks=hello.audio_response or not hello.HasField("audio_response"),
    )


def _check_metadata(text: str) -> None:
    """Refuses what is neither empty nor a JSON object of at most 8 KB."""
    try:
        if not text or isinstance(parse_json(text, max_bytes=_MAX_METADATA_BYTES), dict):
            return
    except JsonTextError as error:
        if error.code == ErrorCode.TOO_LARGE:
            reason = f"metadata has at most {_MAX_METADATA_BYTES} bytes"
            raise RefusedError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason) from None
        reason = f"metadata must be a JSON object: {error.reason}"
        raise RefusedError(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason) from None
    reason = "metadata must be a JSON object"
    raise RefusedError(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason)
