"""The two clients that hold a conversation: ours, and one for stock Pipecat's WebSocket.

The stock one plays what arrives the moment it arrives, which flatters it: it has no buffer that
would have to be bridged or flushed.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from pipecat.frames.protobufs import frames_pb2

import voxwire
from tests.bench.dialects.stock import StockWs
from tests.bench.sounds import CAPTURE_RATE, Heard, Mouth
from tests.bench.websocket_wire import WebSocketWire

BLOCK_S = 0.02
QUIET_S = 0.7


class Talker(ABC):
    """One conversation: a mouth, what was heard, and what the client was told and when."""

    def __init__(self) -> None:
        self.mouth = Mouth()
        self.heard = Heard()
        self.events: list[tuple[float, Any]] = []

    @abstractmethod
    async def hush(self) -> None:
        """Brings the bot to silence by whatever means this client has; returns once it is."""

    async def sound_after(self, moment_s: float, timeout_s: float = 6.0) -> float | None:
        """Moment of the first audible sample from a moment on; None when nothing comes."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if (found := self.heard.first(moment_s)) is not None:
                return found
            await asyncio.sleep(0.01)
        return None

    async def quiet(self, for_s: float = QUIET_S, timeout_s: float = 60.0) -> None:
        """Waits until nothing was heard for a while."""
        async with asyncio.timeout(timeout_s):
            while self.heard.last(time.monotonic() - for_s, time.monotonic() + 1) is not None:
                await asyncio.sleep(0.05)

    def first_event(self, kind: type[Any], after_s: float) -> float | None:
        """When the first event of a kind came from a moment on."""
        return next(
            (at for at, event in self.events if at >= after_s and isinstance(event, kind)), None
        )


class VoxwireTalker(Talker):
    """Our Python client; also its own `Speaker`."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = 1
        self.session: voxwire.Session

    def open(self, sample_rate: int) -> None:
        """Notes the rate."""
        self._rate = sample_rate

    def write(self, block: voxwire.Block, at: float) -> None:
        """Keeps a block; the loop's clock is the monotonic one."""
        self.heard.add(at, block.samples, self._rate)

    def close(self) -> None:
        """Nothing to do."""

    async def hush(self) -> None:
        await self.session.interrupt()
        await asyncio.sleep(0.1)
        await self.quiet(0.4)

    async def read(self) -> None:
        """Notes events as they fire."""
        async for event in self.session:
            self.events.append((time.monotonic(), event))


@asynccontextmanager
async def voxwire_talker(port: int, transport: str) -> AsyncIterator[VoxwireTalker]:
    """Our client in a conversation."""
    talker = VoxwireTalker()
    async with voxwire.connect(
        f"ws://127.0.0.1:{port}", microphone=talker.mouth, speaker=talker, transport=transport
    ) as session:
        talker.session = session
        reader = asyncio.create_task(talker.read())
        try:
            yield talker
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader


class StockTalker(Talker):
    """A client of stock Pipecat's protobuf WebSocket."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._dialect = StockWs()
        self._free_s = 0.0
        self.wire = WebSocketWire(
            host=f"127.0.0.1:{port}",
            path=self._dialect.path,
            subprotocol=None,
            on_message=self._on_message,
        )

    def _on_message(self, message: bytes) -> None:
        frame = frames_pb2.Frame.FromString(message)
        if frame.WhichOneof("frame") == "audio":
            samples = np.frombuffer(frame.audio.audio, np.int16)
            # behind what still sounds, as any player must
            at_s = max(time.monotonic(), self._free_s)
            self._free_s = at_s + len(samples) / frame.audio.sample_rate
            self.heard.add(at_s, samples, frame.audio.sample_rate)

    async def hush(self) -> None:
        await self.quiet()  # its wire has no message for it

    async def speak(self) -> None:
        """Sends the microphone in real time."""
        loop = asyncio.get_running_loop()
        due_s, number = loop.time(), 0
        size = int(CAPTURE_RATE * BLOCK_S)
        while True:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            piece = self.mouth.read(size)
            pcm = piece.tobytes() + bytes(2 * (size - len(piece)))
            self.wire.send(self._dialect.encode_block(number, pcm))
            due_s, number = due_s + BLOCK_S, number + 1


@asynccontextmanager
async def stock_talker(port: int) -> AsyncIterator[StockTalker]:
    """The stock client in a conversation."""
    talker = StockTalker(port)
    await asyncio.get_running_loop().create_connection(lambda: talker.wire, "127.0.0.1", port)
    await asyncio.wait_for(talker.wire.opened, 10)
    speaker = asyncio.create_task(talker.speak())
    try:
        yield talker
    finally:
        speaker.cancel()
        talker.wire.close()
