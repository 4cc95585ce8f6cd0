"""A call on real sockets: webhook, stream, and a telephone in real time."""

import asyncio
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import websockets
from websockets.frames import Opcode
from websockets.protocol import State

from voxwire._phone.far_end import FarEnd, FarEndError
from voxwire._phone.network import Network
from voxwire._phone.telephone import Telephone
from voxwire._threads import in_thread
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_protocol.errors import (
    ErrorCode,
    ProtocolError,
    SessionError,
    TransportError,
    VoxwireError,
)

__all__ = ["Call", "dialled"]

_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 65_536
_LOST: Final = 1006


class Call(NamedTuple):
    """A call that was answered.

    Attributes:
        telephone: The caller's.
        over: Set when the server, or the network, has ended the call.
        hang_up: Tells the server that the call is over, as the vendor does.
    """

    telephone: Telephone
    over: asyncio.Future[int]
    hang_up: Callable[[], object]


@asynccontextmanager
async def dialled(
    far: FarEnd,
    url: str,
    *,
    public: str = "",
    query: str = "",
    call_id: str = "",
    buffer_ms: float = 0.0,
    **network: float,
) -> AsyncGenerator[Call]:
    """Call a server.

    Args:
        far: The vendor.
        url: Where the server is: ``http://127.0.0.1:7860``.
        public: Its ``VOXWIRE_PUBLIC_URL``, which is signed; empty = the same.
        query: Of the webhook: ``bot=support``.
        call_id: The vendor's name of the call; empty = one of its own.
        buffer_ms: Of the telephone's jitter buffer.
        network: ``delay_ms``, ``jitter_ms``, ``loss``: of the way to the server and back, each.

    Yields:
        The call.

    Raises:
        VoxwireError: FORBIDDEN, RATE_LIMITED, CAPACITY: it is turned away; UNREACHABLE, TIMEOUT.
    """
    public = (public or url).rstrip("/")
    call_id = call_id or f"CA{secrets.token_hex(16)}"  # a name that comes twice is a replay
    path = f"/phone/{far.name}?{query}".rstrip("?")
    webhook = far.announce(f"{public}{path}", call_id, time.time())
    path = f"/phone/{far.name}?{webhook.query}".rstrip("?")
    headers = {"content-type": "application/x-www-form-urlencoded"} | webhook.headers
    headers["host"] = urlsplit(public).netloc
    asked = urllib.request.Request(
        f"{url.rstrip('/')}{path}",
        method=webhook.method,
        data=webhook.body or None,
        headers=headers,
    )
    answer = await in_thread(lambda: _answer_of(asked), name="voxwire-webhook")
    try:
        stream, sent = far.opened(answer)
    except (FarEndError, ValueError) as error:
        raise SessionError(ErrorCode.CAPACITY, f"{far.name}: {error}", retryable=True) from None
    async with _socket(far, url, stream) as socket:
        out: asyncio.Queue[Any] = asyncio.Queue()
        up = Network(SYSTEM_CLOCK, out.put_nowait, seed=0, **network)
        telephone = Telephone(far, SYSTEM_CLOCK, up.send, call_id=call_id, buffer_ms=buffer_ms)
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        line = _Line(telephone, socket, up.send, over)
        down = Network(SYSTEM_CLOCK, line.arrives, seed=1, **network)
        _answer_late(socket, down.send)
        tasks = [asyncio.create_task(work) for work in (line.write(out), line.read(down.send))]
        telephone.dial(sent)
        try:
            yield Call(telephone, over, line.hang_up)
            await line.left()
        finally:
            telephone.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            up.close()
            down.close()
            if over.done() and not over.cancelled():
                over.exception()  # whoever wanted to know has asked


class _Line:
    """The socket of a call."""

    def __init__(
        self,
        telephone: Telephone,
        socket: Any,
        send: Callable[[Any], object],
        over: asyncio.Future[int],
    ) -> None:
        self._telephone = telephone
        self._socket = socket
        self._send = send
        self._over = over
        self._hung_up = False
        self._said = asyncio.Event()

    async def write(self, out: asyncio.Queue[Any]) -> None:
        """Send what arrives at this end of the network, until the caller has hung up."""
        try:
            while (message := await out.get()) is not None:
                if callable(message):  # a pong
                    message()
                else:
                    await self._socket.send(message)
        except websockets.ConnectionClosed:
            pass  # the reader says so
        self._said.set()

    async def read(self, deliver: Callable[[Any], object]) -> None:
        """Take what the server sends, and its end behind it."""
        try:
            async for message in self._socket:
                deliver(message)
        except websockets.ConnectionClosed:
            pass
        deliver(None)

    def arrives(self, message: Any) -> None:
        """The network has brought a message, or the end."""
        if self._over.done():
            return
        if callable(message):  # a ping
            self._send(message)
            return
        if message is None:
            self._over.set_result(self._socket.close_code or _LOST)
            return
        try:
            self._telephone.take(message)
        except (FarEndError, ValueError, KeyError, TypeError) as error:
            vendor = self._telephone.far.name
            reason = f"{vendor} would have ended the call: {error}"
            self._over.set_exception(ProtocolError(ErrorCode.MALFORMED, reason))

    def hang_up(self) -> None:
        """The caller hangs up. Idempotent."""
        telephone = self._telephone
        if self._hung_up:
            return
        self._hung_up = True
        if telephone.far.stops and not self._over.done():
            telephone.say(telephone.far.stop(telephone.call_id, telephone.stream))
        telephone.stop()
        self._send(None)

    async def left(self) -> None:
        """Hang up, and wait until what was said has left."""
        if not self._over.done():
            self.hang_up()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TIMEOUT_S):
                    await self._said.wait()


def _answer_late(socket: Any, deliver: Callable[[Any], object]) -> None:
    """Have pings come, and pongs go, by the network, like all else: a server measures it by them.

    Args:
        socket: The WebSocket, whose library answers pings itself.
        deliver: Takes what comes from the server.
    """
    protocol = socket.protocol
    send_now = protocol.send_frame

    def send(frame: Any) -> None:
        if frame.opcode is not Opcode.PONG:
            send_now(frame)
            return

        def pong() -> None:
            if socket.state is State.OPEN:
                send_now(frame)
                socket.send_data()

        deliver(pong)

    protocol.send_frame = send


@asynccontextmanager
async def _socket(far: FarEnd, url: str, stream: str) -> AsyncGenerator[Any]:
    """The WebSocket of a stream, at the server that the webhook was sent to.

    Raises:
        VoxwireError: There is none.
    """
    here, there = urlsplit(url), urlsplit(stream)
    secure = here.scheme == "https"
    try:
        socket = await websockets.connect(
            there._replace(
                scheme="wss" if secure else "ws", netloc=there.netloc.rpartition("@")[2]
            ).geturl(),
            host=here.hostname,
            port=here.port or (443 if secure else 80),
            proxy=None,
            additional_headers=far.head(stream, time.time()),
            open_timeout=_TIMEOUT_S,
        )
    except websockets.InvalidStatus as error:
        raise _refusal(error.response.status_code) from None
    except (OSError, TimeoutError, websockets.InvalidHandshake):
        reason = "the stream that the webhook's answer names cannot be opened"
        raise TransportError(ErrorCode.UNREACHABLE, reason) from None
    async with socket:
        yield socket


def _answer_of(asked: urllib.request.Request) -> str:
    """What the server answers a webhook.

    Raises:
        VoxwireError: Nothing that can be used.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=_TIMEOUT_S) as answer:
            return answer.read(_MAX_ANSWER_BYTES).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error.code) from None
    except TimeoutError:
        raise TransportError(ErrorCode.TIMEOUT, "the webhook was not answered in time") from None
    except OSError:
        reason = "nothing answers at the server's webhook"
        raise TransportError(ErrorCode.UNREACHABLE, reason) from None


def _refusal(status: int) -> VoxwireError:
    if status == 429:
        return SessionError(ErrorCode.RATE_LIMITED, "too many webhooks that were not signed")
    if status == 403:
        reason = "the webhook is not taken for the vendor's: secret or public URL are others"
        return SessionError(ErrorCode.FORBIDDEN, reason)
    reason = f"the server answered HTTP {status}: does it take calls of that vendor?"
    return TransportError(ErrorCode.UNREACHABLE, reason)
