"""The sockets of the server: uvicorn's protocols with bounds.

uvicorn parses all that a read brought (256 KiB can be 40 000 messages) before anybody else gets a
turn, answers any number of WebSocket pings, and lets a request take for ever. Here bytes are parsed
in small slices and only when the messages before them were taken, so that a flood waits in the
sender's own TCP window.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from voxwire_server.control.intake import Rate, TokenBucket
from voxwire_server.routes.refusals import TOO_MANY, body_of
from voxwire_server.routes.sockets import EXTENSION, PendingSockets, SocketControl

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

__all__ = ["BoundedWebSocket", "protocols"]

_SLICE_BYTES: Final = 4096
_TURN_BYTES: Final = 65_536
_MAX_FRAGMENTS: Final = 32
_WRITE_BUFFER_BYTES: Final = 16_384
_CONTROL_FRAMES: Final = Rate(500, 500)
_PAUSE_MS: Final = 10
_REFUSED_MS: Final = 1000
_REFUSED_CLOSE_SECS: Final = 0.5
_CLOSE_SECS: Final = 5.0
_TOO_MANY_BODY: Final = body_of(TOO_MANY)
_TOO_MANY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"retry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"access-control-allow-origin: *\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_TOO_MANY_BODY), _TOO_MANY_BODY)
)


def _now_ms() -> float:
    return time.monotonic() * 1000


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that reads no more than it is asked for."""

    pending: PendingSockets

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = _REFUSED_CLOSE_SECS
        self._unread = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._control = TokenBucket(_CONTROL_FRAMES)
        self._wait_ms = 0.0
        self._takes_texts = False
        self._ponged: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pending.leave(self.transport)
        self._stop_timer()
        self._unread.clear()
        super().connection_lost(exc)

    def handle_connect(self, event: "Request") -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            scope: Any = self.scope
            scope["extensions"][EXTENSION] = SocketControl(
                self._admitted, self.transport.abort, self._take_texts, self._ping
            )

    def _admitted(self) -> None:
        self.close_timeout = _CLOSE_SECS
        self.pending.leave(self.transport)

    def _take_texts(self) -> None:
        self._takes_texts = True

    def _ping(self, ponged: Callable[[], None]) -> None:
        if not (self.close_sent or self.transport.is_closing()):
            self._ponged = ponged
            self.conn.send_ping(b"")
            self.transport.write(b"".join(self.conn.data_to_send()))

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._parse()

    async def receive(self) -> "ASGIReceiveEvent":
        message = await self.queue.get()
        if self.queue.empty():
            self._parse()
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # uvicorn takes a refusal with a body for unfinished
        if self.close_sent:
            self._parse()

    def _parse(self) -> None:
        """Parse until there is a message, then no further until it was taken."""
        left = _SLICE_BYTES if self.close_sent else _TURN_BYTES
        while self._unread and self._timer is None and (self.queue.empty() or self.close_sent):
            if self.transport.is_closing():
                self._unread.clear()
                return
            if left <= 0 or self._wait_ms or not self.writable.is_set():
                self._pause()
                break
            piece = bytes(self._unread[:_SLICE_BYTES])
            del self._unread[:_SLICE_BYTES]
            left -= len(piece)
            super().data_received(piece)
        self._hold_back()

    def _pause(self) -> None:
        delay_ms = max(self._wait_ms, _PAUSE_MS)
        self._wait_ms = 0.0
        self._timer = self.loop.call_later(delay_ms / 1000, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._parse()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hold_back(self) -> None:
        """Read from the network only when everything read before was taken."""
        if self.transport.is_closing():
            return
        full = bool(self._unread) or not (self.queue.empty() or self.close_sent)
        if full and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        elif self.read_paused and not full:
            self.read_paused = False
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        self._charge()
        super().handle_ping()

    def handle_pong(self, event: "Frame") -> None:
        self._charge()
        if self._ponged is not None:
            self._ponged()

    def _charge(self) -> None:
        self._wait_ms = max(self._wait_ms, self._control.charge(1, _now_ms()))

    def handle_cont(self, event: "Frame") -> None:
        super().handle_cont(event)
        self._charge()
        if len(self.frames) > _MAX_FRAGMENTS:
            self.frames = [b"".join(self.frames)]

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and self._takes_texts:
            # what is no UTF-8 is a bad message, not the end of its socket
            text = b"".join(self.frames).decode(errors="replace")
            self.frames = [text.encode()]
        elif self.curr_msg_data_type == "text":
            self.frames = [b""]  # no text message is part of the protocol: what it says is not read
        super().send_receive_event_to_app()


class _BoundedHttp:
    """Mixin over uvicorn's HTTP protocols: few sockets, and a request's head within a time."""

    pending: PendingSockets
    head_timeout_ms: int

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any
    app: Any

    _deadline: asyncio.TimerHandle | None = None
    _refused = False
    _peer = ""

    headers: list[tuple[bytes, bytes]]

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        peer: Any = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer and not isinstance(peer, str) else ""
        if self.pending.trusts(self._peer):
            self.app = self._named(self.app)
        self._refused = not self.pending.enter(transport, self._peer, _now_ms())
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            self.pending.busy(self.transport)
            super().data_received(data)  # type: ignore[misc]
            answered = self.cycle is not None and self.cycle.response_complete
            ours: Any = self.transport.get_protocol()  # a WebSocket's, once it is one
            if answered and ours is self:
                # the rest of a request that was answered before it was read
                self.pending.idle(self.transport, self.transport.close)
        elif not self.transport.is_closing():
            # not before the request came: closing a socket with unread bytes resets it
            self.transport.write(_TOO_MANY)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pending.leave(self.transport)
        self._stop_deadline()
        super().connection_lost(exc)  # type: ignore[misc]

    def _named(self, app: Any) -> Any:
        """The application, which a proxy's request reaches only where its client may have one."""

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if self.pending.name(self.transport, self._peer, scope["headers"], _now_ms()):
                await app(scope, receive, send)
                return
            headers = [(b"retry-after", b"1"), (b"connection", b"close")]
            headers += [(b"content-type", b"application/json")]
            headers += [(b"content-length", str(len(_TOO_MANY_BODY)).encode())]
            await send({"type": "http.response.start", "status": 429, "headers": headers})
            await send({"type": "http.response.body", "body": _TOO_MANY_BODY})

        return answer

    def handle_websocket_upgrade(self, *args: Any) -> None:
        self._stop_deadline()
        if not self.pending.name(self.transport, self._peer, self.headers, _now_ms()):
            self.transport.write(_TOO_MANY)
            self.transport.close()
            return
        self.pending.busy(self.transport)
        super().handle_websocket_upgrade(*args)  # type: ignore[misc]

    def on_response_complete(self) -> None:
        self.pending.unname(self.transport, self._peer, _now_ms())
        self.pending.idle(self.transport, self.transport.close)
        super().on_response_complete()  # type: ignore[misc]
        if not self.cycle.response_complete:  # of the next request, which was waiting already
            self.pending.busy(self.transport)
        self._await_head()

    def _await_head(self) -> None:
        self._stop_deadline()
        timeout_ms = _REFUSED_MS if self._refused else self.head_timeout_ms
        self._deadline = self.loop.call_later(timeout_ms / 1000, self._head_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_late(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def protocols(
    pending: PendingSockets, *, head_timeout_ms: int
) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """Protocols of uvicorn for one server: HTTP, then WebSocket.

    Args:
        pending: Counts the sockets that nobody has authenticated.
        head_timeout_ms: Longest time for the head of a request, milliseconds.
    """
    http: Any = type(
        "BoundedHttp",
        (_BoundedHttp, AutoHTTPProtocol),
        {"pending": pending, "head_timeout_ms": head_timeout_ms},
    )
    websocket = type("BoundedSocket", (BoundedWebSocket,), {"pending": pending})
    return http, websocket
