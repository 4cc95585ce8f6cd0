"""One WebSocket of a control channel."""

import asyncio
import ipaddress
import json
import socket
import ssl
import time
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

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

from voxwire._attach import lost
from voxwire._simulate import Gate
from voxwire_protocol import wire
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    TransportError,
    UsageError,
    VoxwireError,
    error_from_close,
    make_error,
)

__all__ = ["Lost", "Socket", "is_loopback", "normalise_url", "now_ms"]

WRITE_MS: Final = 10_000
"""A write that takes longer means that the peer does not read any more."""

CLOSE_MS: Final = 500
"""How long the closing handshake may take."""

_SLACK_BYTES: Final = 4096
_SCHEMES: Final = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_PATH: Final = "/v1/session"
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


class Lost(Exception):
    """A socket is gone; its session may not be."""

    def __init__(self, error: VoxwireError) -> None:
        super().__init__(str(error))
        self.error = error


def now_ms() -> int:
    """Monotonic clock, milliseconds."""
    return time.monotonic_ns() // 1_000_000


def _bad_url(how: str = "") -> UsageError:
    reason = "the URL must look like ws://127.0.0.1:7860 or wss://host"
    return UsageError(ErrorCode.INVALID_ARGUMENT, f"{reason}, {how}" if how else reason)


def normalise_url(url: str) -> str:
    """The control channel's URL for what a person typed.

    ``http`` becomes ``ws``. A path is where the server is mounted, ``/v1/session`` is added to it
    unless it ends so.

    Raises:
        UsageError: Not a ws, wss, http or https URL.
    """
    given = cast("object", url)
    if not isinstance(given, str):
        raise _bad_url(f"not a {type(given).__name__}")
    if not url.isprintable() or " " in url:
        raise _bad_url("without spaces and control characters")
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        scheme = _SCHEMES.get(parts.scheme.lower())
        host = (parts.hostname or "").encode("idna")
        url.encode()
        valid = scheme is not None and bool(host) and parts.port != 0
    except ValueError:  # of urlsplit, of the port, of a host that no name server knows
        raise _bad_url() from None
    if scheme is None or not valid:
        raise _bad_url()
    if parts.username is not None:
        raise _bad_url("without a user name: pass token=...")
    path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def is_loopback(url: str) -> bool:
    """True when the URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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


def _refusal(error: BaseException, url: str) -> VoxwireError:
    """The one table from what a dial raises to our errors."""
    where = urlsplit(url).netloc
    match error:
        case InvalidStatus():
            status = error.response.status_code
            code = _STATUS_CODES.get(status, ErrorCode.UNREACHABLE)
            why = _told(error.response.body) or _UNTOLD.get(status, "")
            reason = f"{where} answered HTTP {status}" + (f": {why}" if why else "")
            return make_error(code, reason, retryable=status in (429, 503))
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
        case _:
            return TransportError(
                ErrorCode.UNREACHABLE,
                f"nothing answers at {where}: is the server running?",
                retryable=True,
                action=RecoveryAction.RECONNECT,
            )


class Socket:
    """An open WebSocket. Whoever dialled it aborts or closes it."""

    def __init__(self, connection: ClientConnection, gate: Gate) -> None:
        """Takes an open connection; use `dial`."""
        self._connection = connection
        self._gate = gate
        self.opened_ms = self.last_received_ms = now_ms()

    @classmethod
    async def dial(cls, url: str, *, timeout_ms: int, gate: Gate) -> "Socket":
        """Opens a socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        options: dict[str, Any] = {}
        if is_loopback(url):
            options["proxy"] = None
        try:
            connection = await connect(
                url,
                subprotocols=[wire.SUBPROTOCOL],  # pyright: ignore[reportArgumentType]
                compression=None,
                max_size=wire.DEFAULT_MAX_MESSAGE_BYTES + _SLACK_BYTES,
                open_timeout=timeout_ms / 1000,
                close_timeout=CLOSE_MS / 1000,
                ping_interval=None,
                user_agent_header=None,
                **options,
            )
        except (OSError, WebSocketException, TimeoutError) as error:
            raise _refusal(error, url) from error
        if connection.subprotocol != wire.SUBPROTOCOL:
            connection.transport.abort()
            raise _refusal(InvalidHandshake(), url)
        return cls(connection, gate)

    async def send(self, data: bytes) -> None:
        """Writes one message. A cancelled write may have happened.

        Raises:
            Lost: The peer does not read.
        """
        await self._gate.let_pass(len(data))
        try:
            async with asyncio.timeout(WRITE_MS / 1000):
                await self._connection.send(data)
        except TimeoutError:
            raise Lost(lost("the server does not read what is sent to it")) from None
        except ConnectionClosed:
            await asyncio.Event().wait()  # the reader knows why

    async def receive(self) -> str | bytes:
        """Reads one message. Cancel-safe.

        Raises:
            Lost: The socket closed; the close code says why.
        """
        try:
            data = await self._connection.recv()
        except ConnectionClosed:
            code = self._connection.close_code
            reason = self._connection.close_reason or ""
            raise Lost(error_from_close(1006 if code is None else code, reason)) from None
        await self._gate.let_pass(len(data))
        self.last_received_ms = now_ms()
        return data

    def abort(self) -> None:
        """Drops the socket at once, without a word; may be called again."""
        self._connection.transport.abort()

    async def close(self) -> None:
        """Closes the socket, within 0.5 s; aborts it if that takes longer."""
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                await self._connection.close()
        except (TimeoutError, OSError, WebSocketException):
            return
        finally:
            self._connection.transport.abort()
