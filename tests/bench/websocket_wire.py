"""A WebSocket client (RFC 6455) that costs next to nothing: the load is not what is measured.

Client frames carry the mask key 0: valid on the wire, and no XOR in Python. No compression.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Callable

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame from a client."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


class WebSocketWire(asyncio.Protocol):
    """One connection; `on_message` gets each binary message."""

    def __init__(
        self, *, host: str, path: str, subprotocol: str | None, on_message: Callable[[bytes], None]
    ) -> None:
        self._host = host
        self._path = path
        self._subprotocol = subprotocol
        self._on_message = on_message
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        if self._subprotocol:
            lines.append(f"Sec-WebSocket-Protocol: {self._subprotocol}")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._handshake():
            return
        while self._frame():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"no WebSocket: {exc}"))

    def send(self, message: bytes) -> None:
        """Sends one binary message."""
        if self._transport is not None and not self.closed:
            self._transport.write(client_frame(BINARY, message))

    def close(self) -> None:
        """Says goodbye and closes."""
        if self._transport is not None and not self.closed:
            self._transport.write(client_frame(CLOSE, struct.pack("!H", 1000)))
            self._transport.close()

    def _handshake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        if " 101 " not in head.splitlines()[0] + " ":
            self.opened.set_exception(ConnectionError(head.splitlines()[0]))
            return False
        self.opened.set_result(None)
        return True

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            if len(buffer) < 4:
                return False
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            if len(buffer) < 10:
                return False
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return False
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        self._dispatch(first & 0x0F, bool(first & 0x80), payload)
        return True

    def _dispatch(self, opcode: int, final: bool, payload: bytes) -> None:
        if opcode == PING:
            assert self._transport is not None
            self._transport.write(client_frame(PONG, payload))
        elif opcode in (TEXT, BINARY, 0):
            if final and not self._parts:
                if opcode == BINARY:
                    self._on_message(payload)
                return
            self._parts.append(payload)
            if final:
                message, self._parts = b"".join(self._parts), []
                self._on_message(message)
