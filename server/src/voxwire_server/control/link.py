"""A control channel's wire: events first, at most one audio block behind them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock

__all__ = ["MAX_DEAF_MS", "MAX_EVENT_BYTES", "MAX_STUCK_MS", "ControlLink"]

Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_EVENT_BYTES: Final = 1_048_576
"""Events that may wait for a peer that reads slowly, bytes; they are never dropped one by one."""
MAX_STUCK_MS: Final = 5000
"""How long one write may wait for a peer that does not read, milliseconds."""

MAX_DEAF_MS: Final = 8000
"""How long a ping may stay unanswered by a peer that goes on sending, milliseconds."""

_WATCH_SECS: Final = 0.5
_TRY_AGAIN_LATER: Final = 1013  # RFC 6455 §11.7


class ControlLink:
    """Writes to one WebSocket. Events overtake audio, so a flush is never stuck behind sound.

    Args:
        send: ASGI ``send`` of an accepted WebSocket.
        abort: Resets the connection: a peer that does not read takes no close frame either.
        clock: The clock to run by.

    The owner runs :meth:`write`; everything else is synchronous and never blocks.
    """

    def __init__(
        self,
        send: Send,
        *,
        abort: Callable[[], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._send = send
        self._clock = clock
        self._abort = abort
        self._events: deque[bytes | str] = deque()
        self._audio: deque[bytes | str] = deque()
        self._wake = asyncio.Event()
        self._queued_bytes = 0
        self._write_began_ms: float | None = None
        self._pinged_ms: float | None = None
        self._full = False
        self._closing: tuple[int, str] | None = None
        self.closing = asyncio.Event()
        """Set when the socket is to be closed."""
        self.closed = False
        self.given_up = False
        """True when the other side is taken for gone: no closing handshake is waited for."""
        self.on_drained: Callable[[], None] | None = None
        """Called when the last audio block was taken by the socket."""

    @property
    def takes_audio(self) -> bool:
        """True when no audio block waits."""
        return not self._audio and not self.closed

    @property
    def overflowing(self) -> bool:
        """True when the peer has stopped reading: too much waits, or a ping has for too long."""
        now_ms = self._clock.now_ms()
        deaf = self._pinged_ms is not None and now_ms - self._pinged_ms > MAX_DEAF_MS
        return self._full or deaf or self.stuck_ms(now_ms) > MAX_STUCK_MS

    def pinged(self, now_ms: float) -> None:
        """A ping was sent."""
        if self._pinged_ms is None:
            self._pinged_ms = now_ms

    def held_back(self, now_ms: float) -> None:
        """This side reads the peer slowly: its answer may be here, unread."""
        if self._pinged_ms is not None:
            self._pinged_ms = now_ms

    def answered(self) -> None:
        """A ping was answered."""
        self._pinged_ms = None

    def stuck_ms(self, now_ms: float) -> float:
        """How long the write that waits for the peer has waited, monotonic milliseconds."""
        return 0.0 if self._write_began_ms is None else now_ms - self._write_began_ms

    def send_event(self, data: bytes | str) -> None:
        """Queue an event; a text is sent as a text message.

        One that would exceed 1 MiB closes the link: none is left out alone.
        """
        if self.closed or self._full:
            return
        if self._queued_bytes + len(data) > MAX_EVENT_BYTES:
            self._full = True
            self.close(_TRY_AGAIN_LATER, "the client reads too slowly")
            return
        self._events.append(data)
        self._queued_bytes += len(data)
        self._wake.set()

    def send_audio(self, data: bytes | str) -> None:
        """Queue an audio block, or what belongs in its place.

        The caller asks :attr:`takes_audio` first.
        """
        if self.closed:
            return
        self._audio.append(data)
        self._wake.set()

    def drop_audio(self) -> int:
        """Forget queued audio (a flush).

        Returns:
            How many blocks there were.
        """
        dropped = len(self._audio)
        self._audio.clear()
        return dropped

    def close(self, code: int, reason: str) -> None:
        """Close the socket after the queued events; ``reason`` is at most 120 bytes."""
        if self._closing is None:
            self._closing = (code, reason[:120])
            self.closing.set()
            self._wake.set()

    def give_up(self, code: int, reason: str) -> None:
        """Close the socket of a peer that is gone; it is freed as soon as that is said."""
        self.given_up = True
        self.close(code, reason)

    def release(self) -> None:
        """Free the socket of a peer that was given up; the owner has ended :meth:`write`."""
        self.closed = True
        if self.given_up and self._abort is not None:
            self._abort()

    async def write(self) -> None:
        """Write until the link is closed, or stuck: then the connection is reset.

        Cancel-safe: an unsent message is lost with the link.
        """
        watching = asyncio.get_running_loop().create_task(self._watch())
        try:
            await self._write()
        finally:
            watching.cancel()
            self.closed = True
            self._events.clear()
            self._audio.clear()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECS)
            if self.stuck_ms(self._clock.now_ms()) > MAX_STUCK_MS and self._abort is not None:
                self._abort()
                return

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._drain()
            if self._closing is not None:
                code, reason = self._closing
                self._write_began_ms = self._clock.now_ms()
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
                return

    async def _drain(self) -> None:
        while self._events or self._audio:
            if self._events:
                data = self._events.popleft()
                self._queued_bytes -= len(data)
            else:
                data = self._audio.popleft()
            self._write_began_ms = self._clock.now_ms()
            kind = "text" if isinstance(data, str) else "bytes"
            await self._send({"type": "websocket.send", kind: data})
            self._write_began_ms = None
            if not self._audio and self.on_drained is not None:
                self.on_drained()
