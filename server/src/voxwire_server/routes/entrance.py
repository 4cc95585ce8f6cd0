"""What every WebSocket passes before anything of it is read: gate, then the room for strangers."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from voxwire_server.gate import Gate, Refusal
from voxwire_server.routes.refusals import TOO_MANY, Refusals
from voxwire_server.routes.sockets import PendingSockets, SocketControl

__all__ = ["Entrance", "Receive", "Send"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Entrance:
    """Lets WebSockets in, whoever serves them then.

    Args:
        gate: Looks at the head of every WebSocket.
        refusals: Answers those that are turned away before they said anything.
        pending: Counts the sockets that have said nothing, on a server that is not ours (ours
            counts them itself, from the first byte).
        begin: Called for every WebSocket, before anything else.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        refusals: Refusals,
        pending: PendingSockets,
        begin: Callable[[], None],
    ) -> None:
        self.gate = gate
        self._refusals = refusals
        self._pending = pending
        self._begin = begin

    @asynccontextmanager
    async def let_in(
        self, scope: dict[str, Any], receive: Receive, send: Send, refusal: Refusal | None = None
    ) -> AsyncGenerator[SocketControl | None]:
        """Look at the head of a WebSocket.

        Args:
            scope: Its ASGI scope.
            receive: Of the same.
            send: Of the same.
            refusal: Why it is turned away even if the gate lets it through.

        Yields:
            What can be done to it, before it is accepted; None = it was turned away.
        """
        self._begin()
        await receive()  # websocket.connect
        refusal = self.gate.check(scope) or refusal
        if refusal is not None:
            await self._refusals.tell(scope, send, refusal)
            yield None
            return
        socket = SocketControl.of(scope)
        if socket is not None:
            yield socket
            return
        socket = self._pending.control_of(scope, time.monotonic() * 1000)
        if socket is None:
            await self._refusals.tell(scope, send, TOO_MANY)
            yield None
            return
        try:
            yield socket
        finally:
            socket.admitted()
