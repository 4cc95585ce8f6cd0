"""WebSockets: what a session needs of one, and those of the machine's network."""

import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)

from voxwire._url import is_loopback
from voxwire_protocol import wire
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    TransportError,
    UsageError,
    VoxwireError,
    make_error,
)

__all__ = [
    "CLOSE_MS",
    "Dial",
    "NetworkSocket",
    "SocketClosed",
    "WebSocket",
    "dial_websocket",
    "open_websocket",
    "refusal",
]

CLOSE_MS: Final = 500
"""How long the closing handshake may take."""

_SLACK_BYTES: Final = 4096
_MAX_REASON_CHARS: Final = 300
_STATUS_CODES: Final = {
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.CAPACITY,
}

_UNTOLD: Final = {
    403: "it did not say why; is the path right, and lets a proxy on the way WebSockets through?",
    404: "nothing is at that path",
}
"""What may be meant by an answer that is not Voxwire's own."""


class SocketClosed(Exception):
    """A WebSocket is closed.

    Args:
        code: Its close code; 1006 = it broke.
        reason: What the peer said with it; may be empty.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket(Protocol):
    """An open WebSocket of subprotocol ``voxwire.v1``. Whoever dialled it aborts or closes it."""

    async def send(self, data: bytes) -> None:
        """Writes one binary message. A cancelled write may have happened.

        Raises:
            SocketClosed: It is closed.
        """
        ...

    async def receive(self) -> str | bytes:
        """Reads one message. Cancel-safe.

        Raises:
            SocketClosed: It is closed, and everything was read.
        """
        ...

    async def close(self) -> None:
        """Closes it with a handshake. May take its time, and may be called again."""
        ...

    def abort(self) -> None:
        """Drops it at once, without a word; may be called again."""
        ...


class Dial(Protocol):
    """Opens a WebSocket."""

    async def __call__(self, url: str, *, timeout_ms: int) -> WebSocket:
        """Dials a ``ws`` or ``wss`` URL. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers within `timeout_ms`, or it refuses.
        """
        ...


class NetworkSocket:
    """A connection of the library `websockets`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def transport(self) -> Any:
        """What it runs on."""
        return self._connection.transport

    def header(self, name: str) -> str:
        """A header of the answer that opened it; empty when it has none of that name."""
        response = self._connection.response
        return "" if response is None else response.headers.get(name, "")

    @property
    def tls(self) -> str:
        """The version of TLS, as ``TLSv1.3``; empty when it is not encrypted."""
        encrypted = self._connection.transport.get_extra_info("ssl_object")
        return "" if encrypted is None else encrypted.version() or ""

    async def send(self, data: bytes) -> None:
        try:
            await self._connection.send(data)
        except ConnectionClosed:
            raise self._closed() from None

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            raise self._closed() from None

    async def close(self) -> None:
        try:
            await self._connection.close()
        except (OSError, WebSocketException):
            return

    def abort(self) -> None:
        self._connection.transport.abort()

    def _closed(self) -> SocketClosed:
        code = self._connection.close_code
        return SocketClosed(1006 if code is None else code, self._connection.close_reason or "")


async def dial_websocket(url: str, *, timeout_ms: int) -> WebSocket:
    """Dials a Voxwire server over the network. Cancel-safe.

    Raises:
        VoxwireError: Nothing answers, or it refuses.
    """
    return await open_websocket(
        url,
        timeout_ms=timeout_ms,
        subprotocol=wire.SUBPROTOCOL,
        max_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES + _SLACK_BYTES,
    )


async def open_websocket(
    url: str,
    *,
    timeout_ms: int,
    subprotocol: str | None,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    ping_s: float | None = None,
    pong_s: float | None = None,
) -> WebSocket:
    """Opens a WebSocket over the network. Cancel-safe.

    Args:
        url: ``ws`` or ``wss``.
        timeout_ms: How long that may take.
        subprotocol: What the other side has to speak; None = not said.
        max_bytes: Largest message that is read.
        headers: More of the request.
        ping_s: The other side is pinged so often; None = never.
        pong_s: How long it may take to answer that.

    Raises:
        VoxwireError: Nothing answers, or it refuses.
    """
    options: dict[str, Any] = {}
    if is_loopback(url):
        options["proxy"] = None
    if subprotocol is not None:
        options["subprotocols"] = [subprotocol]
    try:
        connection = await connect(
            url,
            compression=None,
            max_size=max_bytes,
            open_timeout=timeout_ms / 1000,
            close_timeout=CLOSE_MS / 1000,
            ping_interval=ping_s,
            ping_timeout=pong_s,
            user_agent_header=None,
            additional_headers=headers,
            **options,
        )
    except Exception as error:  # of its parsers, too: a redirect, a proxy
        raise refusal(error, url) from error
    if connection.subprotocol != subprotocol:
        connection.transport.abort()
        raise refusal(InvalidHandshake(), url)
    return NetworkSocket(connection)


def _told(body: bytes | bytearray) -> str:
    """Why a server refused an upgrade, as it says in its answer's body; empty if it does not."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = cast("dict[str, Any]", said).get("reason") if isinstance(said, dict) else None
    if not isinstance(reason, str) or not reason.isprintable():
        return ""
    return reason[:_MAX_REASON_CHARS]


def _advised_ms(text: str | None) -> int:
    """What ``Retry-After`` asks for (RFC 9110 §10.2.3), milliseconds; 0 = nothing, or a date."""
    if text is None or not text.isdecimal():
        return 0
    return min(int(text[:9]), 86_400) * 1000


def refusal(error: BaseException, url: str) -> VoxwireError:
    """The one table from what a dial raises to our errors."""
    where = urlsplit(url).netloc
    match error:
        case InvalidStatus():
            status = error.response.status_code
            code = _STATUS_CODES.get(status, ErrorCode.UNREACHABLE)
            why = _told(error.response.body) or _UNTOLD.get(status, "")
            reason = f"{where} answered HTTP {status}" + (f": {why}" if why else "")
            return make_error(
                code,
                reason,
                retryable=status in (429, 503),
                retry_after_ms=_advised_ms(error.response.headers.get("Retry-After")),
            )
        case InvalidURI():
            return UsageError(ErrorCode.INVALID_ARGUMENT, "the URL cannot be used")
        case ProxyError():
            return TransportError(
                ErrorCode.UNREACHABLE,
                f"the proxy on the way to {where} did not open a connection",
                retryable=True,
                action=RecoveryAction.RECONNECT,
            )
        case InvalidProxy():
            return TransportError(ErrorCode.UNREACHABLE, "the proxy's URL cannot be used")
        case InvalidHandshake():
            reason = f"{where} does not speak {wire.SUBPROTOCOL}"
            return make_error(ErrorCode.VERSION, reason)
        case TimeoutError():
            return TransportError(
                ErrorCode.TIMEOUT, f"{where} did not answer in time", retryable=True
            )
        case socket.gaierror():
            return TransportError(
                ErrorCode.UNREACHABLE,
                f"the name {urlsplit(url).hostname} was not found",
                retryable=True,
                action=RecoveryAction.RECONNECT,
            )
        case ssl.SSLError():
            reason = f"{where}: TLS failed ({getattr(error, 'reason', None) or 'no reason'})"
            return TransportError(ErrorCode.UNREACHABLE, reason)
        case OSError():
            return TransportError(
                ErrorCode.UNREACHABLE,
                f"nothing answers at {where}: is the server running?",
                retryable=True,
                action=RecoveryAction.RECONNECT,
            )
        case ImportError():
            reason = f"the way to {where} is a SOCKS proxy: pip install python-socks[asyncio]"
            return UsageError(ErrorCode.MISSING_EXTRA, reason)
        case _:
            reason = f"the answer of {where} cannot be used ({type(error).__name__})"
            return TransportError(ErrorCode.UNREACHABLE, reason)
