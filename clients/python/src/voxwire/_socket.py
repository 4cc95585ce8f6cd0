"""One socket of a control channel."""

import asyncio
from typing import Final

from voxwire._attach import lost
from voxwire._environment import Environment
from voxwire._simulate import Gate
from voxwire._websocket import CLOSE_MS, SocketClosed, WebSocket
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import VoxwireError, error_from_close

__all__ = ["Lost", "Socket"]

WRITE_MS: Final = 10_000
"""A write that takes longer means that the peer does not read any more."""


class Lost(Exception):
    """A socket is gone; its session may not be."""

    def __init__(self, error: VoxwireError) -> None:
        super().__init__(str(error))
        self.error = error


class Socket:
    """An open WebSocket. Whoever dialled it aborts or closes it."""

    def __init__(self, websocket: WebSocket, gate: Gate, clock: Clock, *, url: str) -> None:
        """Takes an open one; use `dial`."""
        self.url = url
        self._websocket = websocket
        self._gate = gate
        self._clock = clock
        self.opened_ms = self.last_received_ms = int(clock.now_ms())

    @classmethod
    async def dial(
        cls, url: str, *, timeout_ms: int, gate: Gate, environment: Environment
    ) -> "Socket":
        """Opens a socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        websocket = await environment.dial(url, timeout_ms=timeout_ms)
        return cls(websocket, gate, environment.clock, url=url)

    async def send(self, data: bytes) -> None:
        """Writes one message. A cancelled write may have happened; one to a closed socket has not.

        Raises:
            Lost: The peer does not read.
        """
        await self._gate.let_pass(len(data))
        try:
            async with asyncio.timeout(WRITE_MS / 1000):
                await self._websocket.send(data)
        except TimeoutError:
            raise Lost(lost("the server does not read what is sent to it")) from None
        except SocketClosed:
            return  # `receive` says why, behind what is still to be read

    async def receive(self) -> str | bytes:
        """Reads one message. Cancel-safe.

        Raises:
            Lost: The socket closed; the close code says why.
        """
        try:
            data = await self._websocket.receive()
        except SocketClosed as closed:
            raise Lost(error_from_close(closed.code, closed.reason)) from None
        await self._gate.let_pass(len(data))
        self.last_received_ms = int(self._clock.now_ms())
        return data

    def abort(self) -> None:
        """Drops the socket at once, without a word; may be called again."""
        self._websocket.abort()

    async def close(self) -> None:
        """Closes the socket, within 0.5 s; aborts it if that takes longer."""
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                await self._websocket.close()
        except TimeoutError:
            return
        finally:
            self._websocket.abort()
