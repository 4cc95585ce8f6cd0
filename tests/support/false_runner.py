"""What else may be where a client looks for a stock bot: HTTP answers, another end of a socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import websockets
from pipecat.frames.protobufs import frames_pb2

from tests.support.stock_socket import frame

__all__ = ["INTERRUPTION", "answering", "audio", "message", "on_socket", "rtvi"]

INTERRUPTION = frame(interruption=frames_pb2.InterruptionFrame())  # type: ignore[attr-defined]
Handler = Callable[[websockets.ServerConnection], Awaitable[None]]


@asynccontextmanager
async def answering(status: int, body: bytes | Iterator[bytes] | None) -> AsyncIterator[str]:
    """An HTTP server that gives every request the same answer; its URL.

    Args:
        status: Of the answer.
        body: Of the answer; pieces until nobody reads; None = no answer at all.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            if body is None:
                await reader.read()
                return
            writer.write(f"HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n".encode())
            for piece in [body] if isinstance(body, bytes) else body:
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def on_socket(handler: Handler) -> AsyncIterator[str]:
    """A WebSocket server that does with every socket what the handler does; its URL."""
    async with websockets.serve(handler, "127.0.0.1", 0, ping_interval=None) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def message(text: str) -> bytes:
    """A frame with a message."""
    return frame(message=frames_pb2.MessageFrame(data=text))  # type: ignore[attr-defined]


def rtvi(kind: str, data: object = None, message_id: str | None = None) -> bytes:
    """A frame with a message of RTVI."""
    said = {"label": "rtvi-ai", "type": kind, "data": data}
    return message(json.dumps(said if message_id is None else {**said, "id": message_id}))


def audio(pcm: bytes, *, sample_rate: int = 24_000, num_channels: int = 1) -> bytes:
    """A frame with sound, int16 PCM."""
    raw = frames_pb2.AudioRawFrame(  # type: ignore[attr-defined]
        audio=pcm, sample_rate=sample_rate, num_channels=num_channels
    )
    return frame(audio=raw)
