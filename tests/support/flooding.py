"""A client that sends as fast as its socket takes it, from a thread of its own."""

import asyncio
import os
import selectors
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from voxwire_protocol import wire

PATH_OPEN = wire.PathOpen(path_id=1, carrier=wire.Carrier.CARRIER_WEBSOCKET)

BINARY, TEXT, PING = 0x82, 0x81, 0x89


def frame(data: bytes, opcode: int = BINARY) -> bytes:
    """A masked WebSocket frame (RFC 6455 §5.2), its key zero."""
    if len(data) < 126:
        length = struct.pack("!B", 0x80 | len(data))
    elif len(data) < 65_536:
        length = struct.pack("!BH", 0x80 | 126, len(data))
    else:
        length = struct.pack("!BQ", 0x80 | 127, len(data))
    return bytes([opcode]) + length + bytes(4) + data


def envelope(**payload: object) -> bytes:
    """An encoded envelope."""
    return wire.Envelope(**payload).SerializeToString()  # type: ignore[arg-type]


def dial(port: int) -> socket.socket:
    """An open TCP connection."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def upgrade(port: int) -> bytes:
    """The request that opens a control channel."""
    return (
        f"GET /v1/session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}\r\n\r\n"
    ).encode()


def hello() -> bytes:
    """The frames of a client's Hello and of its first path."""
    first = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16))
    return frame(envelope(hello=first)) + frame(envelope(seq=1, path_open=PATH_OPEN))


@dataclass
class Flooded:
    """What became of a flood."""

    sent_bytes: int = 0
    received_bytes: int = 0
    closed: int = 0


def _flood(port: int, blob: bytes, seconds: float, paced_bytes: float, reads: bool) -> Flooded:
    result = Flooded()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), dial(port) as sock:
            sock.sendall(upgrade(port))
            sock.recv(4096)
            sock.sendall(hello())
            time.sleep(0.1)
            _pour(sock, blob, deadline, paced_bytes, reads, result)
        result.closed += 1
        time.sleep(0.05)
    result.closed -= 1
    return result


def _pour(
    sock: socket.socket,
    blob: bytes,
    deadline: float,
    paced_bytes: float,
    reads: bool,
    result: Flooded,
) -> None:
    sock.setblocking(False)
    started, offset, mine = time.monotonic(), 0, 0
    with selectors.DefaultSelector() as selector:
        mask = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
        selector.register(sock, mask)
        while (now := time.monotonic()) < deadline:
            ready = selector.select(0.2)
            if any(event & selectors.EVENT_READ for _, event in ready):
                got = sock.recv(65_536)
                if not got:
                    return
                result.received_bytes += len(got)
            if paced_bytes and mine >= (now - started) * paced_bytes:
                time.sleep(0.002)
            elif any(event & selectors.EVENT_WRITE for _, event in ready):
                sent = sock.send(memoryview(blob)[offset : offset + 262_144])
                offset = (offset + sent) % len(blob)
                mine += sent
                result.sent_bytes += sent


async def flood(
    port: int, blob: bytes, *, seconds: float, paced_bytes: float = 0.0, reads: bool = True
) -> Flooded:
    """Open a session and pour frames into it; one that is closed is opened again.

    Args:
        port: The server's.
        blob: Whole frames, sent again and again.
        seconds: How long.
        paced_bytes: Bytes a second; 0 = as many as the socket takes.
        reads: False = nothing is read.
    """
    return await asyncio.to_thread(_flood, port, blob, seconds, paced_bytes, reads)
