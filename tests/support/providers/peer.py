"""What the peers of providers have in common: a port, what was asked, and how they fail."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web

from tests.support.providers.faults import STATUS, Aborted, Fault

__all__ = ["Aborted", "Fault", "Handler", "Peer"]

Piece = TypeVar("Piece", str, bytes)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """A provider on loopback.

    Attributes:
        url: What the service's base URL parameter takes.
        asked: What came in, decoded, in order.
        knocks: How many requests and handshakes came, those included that a status answered.
        busy: How many requests and WebSocket connections are being served.
        door: The statuses that an HTTP answer says; others are said in a WebSocket.
        garbage: What `Fault.GARBAGE` sends: text, sent as bytes where the protocol has bytes.
        slow_s: How late the first byte is with `Fault.SLOW`.
        dribble_s: The time between pieces with `Fault.DRIBBLES`.
    """

    def __init__(self, *, url: str, refusal: Callable[[int], Any], garbage: str = "<html>") -> None:
        self._keeper = _bound(0)  # keeps the port ours while nothing listens on it
        self.port: int = self._keeper.getsockname()[1]
        self.url = url.format(port=self.port)
        self.asked: list[Any] = []
        self.knocks = self.busy = 0
        self.garbage, self.slow_s, self.dribble_s = garbage, 20.0, 1.0
        self.refusal = refusal
        self.door = frozenset(STATUS.values())
        self._fault = Fault.NONE
        self._protocols: web.Server[Any] | None = None
        self._listener: socket.socket | None = None
        self._servers: list[asyncio.Server] = []
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> int:
        """How many TCP connections are open, those included that a client keeps for later."""
        return len(self._protocols.connections) if self._protocols else 0

    @property
    def fault(self) -> Fault:
        """How it fails from now on; set it at any time."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if self._protocols is not None:
            (self._shut if fault is Fault.REFUSED else self._listen)()

    @property
    def status(self) -> int:
        """The HTTP status that answers now; 200 = none but a good one."""
        return STATUS.get(self._fault, 200)

    @property
    def smallest(self) -> bool:
        """Whether an answer is cut into its smallest pieces."""
        return self._fault is Fault.DRIBBLES

    # answers

    async def paced(
        self, parts: Sequence[Piece], step_s: float = 0.0, *, begins: bool = True
    ) -> AsyncIterator[Piece]:
        """The parts of an answer, each when it is due, as the fault of now has it.

        Args:
            parts: The messages or bytes.
            step_s: The time before each.
            begins: Whether these are the first of an answer, the ones that may be late.

        Raises:
            Aborted: The connection is to be cut here.
        """
        fault = self._fault
        if fault is Fault.HANGS:
            await asyncio.Event().wait()
        if fault is Fault.SLOW and begins:
            await asyncio.sleep(self.slow_s)  # real time: slow
        if fault is Fault.GARBAGE and parts:
            first = parts[0]
            yield self.garbage if isinstance(first, str) else self.garbage.encode()
            return
        for at, part in enumerate(parts):
            if fault is Fault.CLOSED and at >= len(parts) // 2:
                raise Aborted
            wait_s = self.dribble_s if fault is Fault.DRIBBLES else step_s
            await asyncio.sleep(wait_s)  # real time: pace
            yield part

    async def stream(
        self, request: web.Request, parts: Sequence[bytes], kind: str, step_s: float = 0.0
    ) -> web.StreamResponse:
        """Answer a request piece by piece; the head goes out with the first piece."""
        response = web.StreamResponse(headers={"Content-Type": kind})
        async for part in self.paced(parts, step_s):
            if not response.prepared:
                await response.prepare(request)
            await response.write(part)
        return response

    async def serve(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Let the handler answer, unless the fault answers in its place."""
        self.knocks += 1
        self.busy += 1
        try:
            if self.status in self.door:
                return web.json_response(self.refusal(self.status), status=self.status)
            if "Upgrade" in request.headers:
                if self._fault is Fault.HANGS:
                    await asyncio.Event().wait()
                if self._fault is Fault.SLOW:
                    await asyncio.sleep(self.slow_s)  # real time: slow
            return await handler(request)
        except Aborted:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        finally:
            self.busy -= 1

    # the port

    def _listen(self) -> None:
        if self._listener is not None:
            return
        self._listener = _bound(self.port)
        self._listener.listen(64)  # who connects from here on waits to be accepted
        self._listener.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._accept(self._listener))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _accept(self, listener: socket.socket) -> None:
        if self._listener is not listener:
            return
        assert self._protocols is not None
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocols, sock=listener)
        if self._listener is listener:
            self._servers.append(server)
        else:
            server.close()

    def _shut(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for protocol in list(self._protocols.connections if self._protocols else ()):
            if protocol.transport is not None:
                protocol.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self, routes: dict[str, Handler]) -> AsyncGenerator[None]:
        """Serve until the block ends; the keys of `routes` are "METHOD /path"."""
        app = web.Application(client_max_size=2**26)
        for route, handler in routes.items():
            method, path = route.split()
            app.router.add_route(method, path, functools.partial(self.serve, handler))
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5
        )
        await runner.setup()
        self._protocols = runner.server
        self._listen()
        await asyncio.gather(*self._starting)
        try:
            yield
        finally:
            await asyncio.gather(*self._starting)
            self._shut()
            await runner.cleanup()
            self._keeper.close()


def _bound(port: int) -> socket.socket:
    """A socket on the port that does not listen; several may be bound to one port."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
