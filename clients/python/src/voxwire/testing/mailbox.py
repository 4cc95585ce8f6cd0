"""What has arrived at one end of a socket in memory, until it is read."""

import asyncio
from collections import deque

from voxwire._websocket import SocketClosed

__all__ = ["Mailbox"]


class Mailbox:
    """Messages in order, and that no more will come.

    Attributes:
        closed: Why no more will come; None while the socket is open.
    """

    def __init__(self) -> None:
        """Creates it empty and open."""
        self.closed: SocketClosed | None = None
        self._messages: deque[bytes] = deque()
        self._wake = asyncio.Event()

    def put(self, data: bytes) -> None:
        """A message has arrived."""
        self._messages.append(data)
        self._wake.set()

    def close(self, closed: SocketClosed) -> bool:
        """No more will come; False when that was known already."""
        if self.closed is not None:
            return False
        self.closed = closed
        self._wake.set()
        return True

    async def receive(self) -> bytes:
        """Returns the next message. Cancel-safe.

        Raises:
            SocketClosed: The socket is closed, and everything was read.
        """
        while not self._messages:
            if self.closed is not None:
                raise SocketClosed(self.closed.code, self.closed.reason)
            self._wake.clear()
            await self._wake.wait()
        return self._messages.popleft()

    async def wait_closed(self) -> None:
        """Waits until no more will come. Cancel-safe."""
        while self.closed is None:
            self._wake.clear()
            await self._wake.wait()
