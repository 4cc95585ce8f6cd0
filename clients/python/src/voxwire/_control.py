"""The control channel: one WebSocket, driven around the pure `Channel`."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    TransportError,
    UsageError,
    VoxwireError,
    error_from_close,
    make_error,
)

__all__ = ["Control", "normalise_url"]

MAX_LOSSY_QUEUED: Final = 50
"""Unsent messages above which audio and reports are dropped (1 s of 20 ms blocks)."""

MAX_QUEUED: Final = 4096
"""Unsent messages above which nothing more is taken."""

WRITE_MS: Final = 10_000
"""A write that takes longer means that the peer does not read any more."""

CLOSE_MS: Final = 500
"""How long the closing handshake may take."""

_SLACK_BYTES: Final = 4096
_SCHEMES: Final = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_STATUS_CODES: Final = {
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.CAPACITY,
}


def now_ms() -> int:
    """Monotonic clock, milliseconds."""
    return time.monotonic_ns() // 1_000_000


def normalise_url(url: str) -> str:
    """The control channel's URL for what a person typed.

    ``http`` becomes ``ws``; without a path, ``/v1/session`` is meant.

    Raises:
        UsageError: Not a ws, wss, http or https URL.
    """
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    scheme = _SCHEMES.get(parts.scheme.lower())
    try:
        valid = scheme is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if scheme is None or not valid:
        raise UsageError(
            ErrorCode.INVALID_ARGUMENT, "the URL must look like ws://127.0.0.1:7860 or wss://host"
        )
    path = parts.path.rstrip("/") or "/v1/session"
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def _refusal(error: BaseException, url: str) -> VoxwireError:
    """The one table from what a dial raises to our errors."""
    where = urlsplit(url).netloc
    match error:
        case InvalidStatus():
            status = error.response.status_code
            code = _STATUS_CODES.get(status, ErrorCode.UNREACHABLE)
            return make_error(
                code, f"{where} answered HTTP {status}", retryable=status in (429, 503)
            )
        case InvalidURI():
            return UsageError(ErrorCode.INVALID_ARGUMENT, "the URL cannot be used")
        case InvalidHandshake():
            reason = f"{where} does not speak {wire.SUBPROTOCOL}"
            return make_error(ErrorCode.VERSION, reason)
        case TimeoutError():
            return TransportError(
                ErrorCode.TIMEOUT, f"{where} did not answer in time", retryable=True
            )
        case ssl.SSLError():
            return TransportError(ErrorCode.UNREACHABLE, f"{where}: TLS failed ({error.reason})")
        case _:
            return TransportError(
                ErrorCode.UNREACHABLE,
                f"nothing answers at {where}: is the server running?",
                retryable=True,
                action=RecoveryAction.RECONNECT,
            )


def lost(reason: str) -> TransportError:
    """The error for a wire that broke."""
    return TransportError(
        ErrorCode.CONNECTION_LOST, reason, retryable=True, action=RecoveryAction.RECONNECT
    )


class Control:
    """One open control channel. Owned by one session, which runs `read` and `write`."""

    def __init__(self, socket: ClientConnection, *, loopback: bool = False) -> None:
        """Takes an open socket; use `dial`."""
        self._socket = socket
        self.loopback = loopback
        """True when the server is on this machine, by its URL."""
        self._channel = Channel(
            allowed=wire.SERVER_PAYLOADS, max_receive_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES
        )
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.last_received_ms = now_ms()
        self.bad_messages = 0
        self.dropped_messages = 0

    @classmethod
    async def dial(cls, url: str, *, timeout_ms: int) -> "Control":
        """Opens the socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        options: dict[str, Any] = {}
        loopback = urlsplit(url).hostname in _LOOPBACK
        if loopback:
            options["proxy"] = None
        try:
            socket = await connect(
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
        if socket.subprotocol != wire.SUBPROTOCOL:
            socket.transport.abort()
            raise _refusal(InvalidHandshake(), url)
        return cls(socket, loopback=loopback)

    def accept_limit(self, max_message_bytes: int) -> None:
        """Takes the largest envelope that the server accepts, from Welcome; 0 = the default."""
        if max_message_bytes:
            self._channel.max_send_bytes = max(128, min(max_message_bytes, 1 << 20))

    def send(self, envelope: wire.Envelope) -> None:
        """Queues a message. Audio and reports are dropped while the wire is more than 1 s behind.

        Raises:
            VoxwireError: It is too large, or the wire does not take any more.
        """
        lossy = envelope.WhichOneof("payload") not in wire.RELIABLE_PAYLOADS
        if lossy and len(self._queue) > MAX_LOSSY_QUEUED:
            self.dropped_messages += 1
            return
        if len(self._queue) > MAX_QUEUED:
            raise lost("the server does not read what is sent to it")
        try:
            self._queue.extend(self._channel.send(envelope, now_ms()))
        except ChannelError as error:
            raise make_error(ErrorCode(error.code), error.reason) from error
        self._idle.clear()
        self._wake.set()

    async def write(self) -> None:
        """Writes what is queued until cancelled.

        Raises:
            TransportError: The peer does not read, or the socket broke.
        """
        while True:
            self._queue.extend(self._channel.outgoing(now_ms()))
            if not self._queue:
                self._idle.set()
                await self._wait()
                continue
            try:
                async with asyncio.timeout(WRITE_MS / 1000):
                    await self._socket.send(self._queue[0])
            except TimeoutError:
                raise lost("the server does not read what is sent to it") from None
            except ConnectionClosed:
                self._idle.set()
                await asyncio.Event().wait()  # the reader knows why
            self._queue.popleft()

    async def _wait(self) -> None:
        """Waits for something to send or the next acknowledgement that is due."""
        self._wake.clear()
        due_ms = self._channel.next_due_ms
        delay_s = None if due_ms is None else max(0, due_ms - now_ms()) / 1000
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def read(self, handle: Callable[[wire.Envelope], None]) -> None:
        """Passes every message to `handle` until the socket closes. One bad message is skipped.

        Raises:
            VoxwireError: The socket closed; the close code says why.
        """
        try:
            async for data in self._socket:
                self.last_received_ms = now_ms()
                for envelope in self._decode(data):
                    handle(envelope)
                if self._channel.next_due_ms is not None:
                    self._wake.set()
        except ConnectionClosed as error:
            raise self._closed() from error
        raise self._closed()

    def _decode(self, data: str | bytes) -> list[wire.Envelope]:
        if isinstance(data, str):
            self.bad_messages += 1
            return []
        try:
            return self._channel.receive(data, self.last_received_ms)
        except ChannelError as error:
            self.bad_messages += 1
            return list(error.delivered)

    def _closed(self) -> VoxwireError:
        code = self._socket.close_code
        return error_from_close(1006 if code is None else code, self._socket.close_reason or "")

    async def flush(self, timeout_ms: int) -> None:
        """Waits until everything queued is written, at most `timeout_ms`. Cancel-safe."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._idle.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Closes the socket, within 0.5 s; aborts it if that takes longer."""
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                await self._socket.close()
        except (TimeoutError, OSError, WebSocketException):
            return
        finally:
            self._socket.transport.abort()
