"""A stock WebSocket client by hand: Pipecat's own frames, or RTVI as JSON text."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets
from pipecat.frames.protobufs import frames_pb2

from tests.support.waiting import DEADLINE_S

__all__ = ["StockSocketClient", "dialled", "frame"]

_BLOCK_S = 0.032
_RATE = 16_000


def frame(**arm: Any) -> bytes:
    """One frame of Pipecat's schema."""
    return frames_pb2.Frame(**arm).SerializeToString()  # type: ignore[attr-defined]


class StockSocketClient:
    """What stands at the other end of ``/ws-client``.

    Attributes:
        socket: The WebSocket.
        messages: What was told, oldest first.
        audio: The bot's voice, int16 PCM at 24 kHz.
        cut_at: How much of it had come at each interruption that the server told of.
    """

    def __init__(self, socket: websockets.ClientConnection, *, as_text: bool) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.audio = bytearray()
        self.cut_at: list[int] = []
        self._as_text = as_text
        self._changed = asyncio.Event()
        self._ids = 0
        self._mouth = bytearray()

    async def say(self, kind: str, data: object = None) -> str:
        """Send a message; its id."""
        self._ids += 1
        message = {"label": "rtvi-ai", "type": kind, "id": f"m{self._ids}", "data": data}
        text = json.dumps(message)
        if not self._as_text:
            await self.socket.send(frame(message=frames_pb2.MessageFrame(data=text)))  # type: ignore[attr-defined]
        else:
            await self.socket.send(text)
        return str(message["id"])

    async def ready(self, version: str = "2.1.0") -> None:
        """Say so, and wait for the bot."""
        about = {"library": "@pipecat-ai/client-js", "library_version": "1.13.1"}
        await self.say("client-ready", {"version": version, "about": about})
        await self.until(lambda: self.of("bot-ready"))

    def speak(self, pcm: bytes) -> None:
        """Have the microphone bring that, int16 PCM at 16 kHz; silence before and behind it."""
        self._mouth += pcm

    async def microphone(self) -> None:
        """Send what the microphone brings, as real sound, until cancelled."""
        loop = asyncio.get_running_loop()
        due, size = loop.time(), int(_RATE * _BLOCK_S) * 2
        while True:
            pcm = bytes(self._mouth[:size]).ljust(size, b"\0")
            del self._mouth[:size]
            audio = frames_pb2.AudioRawFrame(  # type: ignore[attr-defined]
                name="audio", audio=pcm, sample_rate=_RATE, num_channels=1
            )
            await self.socket.send(frame(audio=audio))
            due += _BLOCK_S
            await asyncio.sleep(due - loop.time())  # real time: pace

    async def read(self) -> None:
        """Read until the socket is closed."""
        try:
            async for data in self.socket:
                self._take(data)
                self._changed.set()
        except websockets.ConnectionClosedError:
            pass
        self._changed.set()

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.messages.append(json.loads(data))
            return
        content = frames_pb2.Frame.FromString(data)  # type: ignore[attr-defined]
        match content.WhichOneof("frame"):
            case "message":
                self.messages.append(json.loads(content.message.data))
            case "audio":
                assert (content.audio.sample_rate, content.audio.num_channels) == (24_000, 1)
                self.audio += content.audio.audio
            case kind:
                assert kind == "interruption"
                self.cut_at.append(len(self.audio))

    def of(self, kind: str) -> list[Any]:
        """The data of every message of one type."""
        return [m.get("data") for m in self.messages if m["type"] == kind]

    @property
    def types(self) -> list[str]:
        """The types of all messages, oldest first."""
        return [str(message["type"]) for message in self.messages]

    @property
    def spoken(self) -> str:
        """The words that were told as they sounded."""
        return " ".join(data["text"] for data in self.of("bot-tts-text"))

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not true():
                assert self.socket.close_code is None, self.messages[-3:]
                self._changed.clear()
                await self._changed.wait()

    async def closed(self) -> int | None:
        """Wait until the socket is closed; the code."""
        async with asyncio.timeout(DEADLINE_S):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def dialled(
    url: str, *, as_text: bool = False, speaks: bool = False, **options: Any
) -> AsyncIterator[StockSocketClient]:
    """A client on an open socket that has said nothing yet.

    Args:
        url: Of the route.
        as_text: RTVI as JSON text, no frames.
        speaks: Whether its microphone is on.
        **options: For ``websockets.connect``.
    """
    async with websockets.connect(url, proxy=None, ping_interval=None, **options) as socket:
        client = StockSocketClient(socket, as_text=as_text)
        tasks = {asyncio.create_task(client.read())}
        if speaks:
            tasks.add(asyncio.create_task(client.microphone()))
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
