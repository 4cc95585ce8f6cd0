"""A control channel's wire: events first, at most one audio block behind them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ["ControlLink"]

Send = Callable[[dict[str, Any]], Awaitable[None]]

_MAX_EVENT_BYTES: Final = 1_048_576


class ControlLink:
    """Writes to one WebSocket. Events overtake audio, so a flush is never stuck behind sound.

    Args:
        send: ASGI ``send`` of an accepted WebSocket.

    The owner runs :meth:`write`; everything else is synchronous and never blocks.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._events: deque[bytes] = deque()
        self._audio: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._queued_bytes = 0
        self._closing: tuple[int, str] | None = None
        self.closing = asyncio.Event()
        """Set when the socket is to be closed."""
        self.closed = False
        self.on_drained: Callable[[], None] | None = None
        """Called when the last audio block was taken by the socket."""

    @property
    def takes_audio(self) -> bool:
        """True when no audio block waits."""
        return not self._audio and not self.closed

    @property
    def overflowing(self) -> bool:
        """True when the peer has stopped reading: more than 1 MiB of events wait."""
        return self._queued_bytes > _MAX_EVENT_BYTES

    def send_event(self, data: bytes) -> None:
        """Queue an event."""
        if self.closed:
            return
        self._events.append(data)
        self._queued_bytes += len(data)
        self._wake.set()

    def send_audio(self, data: bytes) -> None:
        """Queue an audio block; the caller asks :attr:`takes_audio` first."""
        if self.closed:
            return
        self._audio.append(data)
        self._wake.set()

    def drop_audio(self) -> None:
        """Forget queued audio (a flush)."""
        self._audio.clear()

    def close(self, code: int, reason: str) -> None:
        """Close the socket after the queued events; ``reason`` is at most 120 bytes."""
        if self._closing is None:
            self._closing = (code, reason[:120])
            self.closing.set()
            self._wake.set()

    async def write(self) -> None:
        """Write until the link is closed. Cancel-safe: an unsent message is lost with the link."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._drain()
                if self._closing is not None:
                    code, reason = self._closing
                    await self._send({"type": "websocket.close", "code": code, "reason": reason})
                    return
        finally:
            self.closed = True
            self._events.clear()
            self._audio.clear()

    async def _drain(self) -> None:
        while self._events or self._audio:
            if self._events:
                data = self._events.popleft()
                self._queued_bytes -= len(data)
            else:
                data = self._audio.popleft()
            await self._send({"type": "websocket.send", "bytes": data})
            if not self._audio and self.on_drained is not None:
                self.on_drained()
