"""A socket whose client waits for a place: told where it is, and watched so that none is kept for
a client that has gone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from itertools import count
from typing import Any, Final, TypeVar

from voxwire_protocol import wire
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.routes.entrance import Receive, Send
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.session.waiting import Place

__all__ = ["MAX_KEPT_BYTES", "WaitingSocket"]

MAX_KEPT_BYTES: Final = 131_072
"""What a client says while it waits is kept up to that; beyond it the socket is to be closed."""
_MESSAGE_BYTES: Final = 256
"""What a message counts beside its bytes: to keep it costs as much."""
_MESSAGES_A_TURN: Final = 64
_PING_MS: Final = 5000
_DEAF_MS: Final = 12_000
"""A client that has answered no ping for so long is gone."""

T = TypeVar("T")


class WaitingSocket:
    """One WebSocket between its Hello and its answer.

    Nothing is read, sent or pinged of one that is answered at once.

    Args:
        receive: ASGI ``receive`` of the socket.
        send: ASGI ``send`` of the same.
        control: What else can be done to it.
        clock: The clock to run by.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        control: SocketControl,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._receive = receive
        self._send = send
        self._control = control
        self._clock = clock
        self._place: Place | None = None
        self._told = asyncio.Event()
        self._kept: deque[dict[str, Any]] = deque()
        self._kept_bytes = 0
        self.overfull = False
        """True when the client has said more than is kept; it is not listened to any more."""
        self._heard_ms = 0.0

    def tell(self, place: Place) -> None:
        """Tell the client where it is; the newest counts."""
        self._control.admitted()
        self._place = place
        self._told.set()

    async def receive(self) -> dict[str, Any]:
        """ASGI ``receive``, beginning with what came while the client waited."""
        return self._kept.popleft() if self._kept else await self._receive()

    async def attend(self, decided: Awaitable[T]) -> T | None:
        """Wait for the answer, and look after the client meanwhile if that is to wait, too.

        Returns:
            The answer; None = the client has gone or is :attr:`overfull`, and ``decided`` was
            cancelled.
        """
        deciding = asyncio.ensure_future(decided)
        waits = asyncio.ensure_future(self._told.wait())
        tasks: set[asyncio.Future[Any]] = {deciding, waits}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not deciding.done():
                tasks |= {asyncio.ensure_future(work) for work in (self._read(), self._ping())}
                tasks.remove(waits)
                tasks.add(asyncio.ensure_future(self._write()))
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return await deciding if deciding.done() else None
        finally:
            for task in (*tasks, waits):
                task.cancel()
            await asyncio.gather(*tasks, waits, return_exceptions=True)

    async def _read(self) -> None:
        """Keep what comes; return when the client has gone, or says too much."""
        for number in count(1):
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return
            self._kept_bytes += len(event.get("bytes") or b"") + _MESSAGE_BYTES
            if self._kept_bytes > MAX_KEPT_BYTES:
                self.overfull = True
                return
            self._kept.append(event)
            if number % _MESSAGES_A_TURN == 0:  # what is at hand comes without a turn of the loop
                await asyncio.sleep(0)

    async def _write(self) -> None:
        """Say where it is whenever that is new."""
        while True:
            await self._told.wait()
            self._told.clear()
            if self._place is not None:
                position, estimated_ms = self._place
                waiting = wire.Waiting(position=position, estimated_ms=estimated_ms)
                data = wire.Envelope(waiting=waiting).SerializeToString()
                await self._send({"type": "websocket.send", "bytes": data})

    async def _ping(self) -> None:
        """Ping; return when that has had no answer for too long."""
        self._ponged()
        if self._control.ping is None:
            await asyncio.Event().wait()
            return
        while (left_ms := self._heard_ms + _DEAF_MS - self._clock.now_ms()) > 0:
            self._control.ping(self._ponged)
            await asyncio.sleep(min(_PING_MS, left_ms) / 1000)
        self._control.abort()

    def _ponged(self) -> None:
        self._heard_ms = self._clock.now_ms()
