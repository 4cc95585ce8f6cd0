"""Echo load over WebSockets: exact round trips of every block.

A block ends in a marker with its number, inside the PCM: it is back when its last sample is back,
whatever the server packed it into. Sessions send on absolute deadlines, spread over one block.
"""

import asyncio
import random
import struct
import time
from collections.abc import Awaitable, Callable

from tests.bench.dialects import Dialect
from tests.bench.trips import Trips
from tests.bench.websocket_wire import WebSocketWire

MAGIC = b"\x7e\x13\x81\x6d\xc4\x29\xb2\x5f"
MARKER = struct.Struct("<8sI")
SAMPLE_RATE = 16000


class Session:
    """One client: a microphone that never stops, and a stopwatch for each of its blocks."""

    def __init__(self, index: int, dialect: Dialect, trips: Trips) -> None:
        self._dialect = dialect
        self._trips = trips
        self._seq = 0
        self._tail = b""
        self._sent_at: dict[int, float] = {}
        self._wire: WebSocketWire | None = None
        noise = random.Random(index)
        samples = SAMPLE_RATE * dialect.block_ms // 1000
        pcm = struct.pack(f"<{samples}h", *(noise.randint(-3000, 3000) for _ in range(samples)))
        self._pcm = pcm[: -MARKER.size]
        self._period_s = dialect.block_ms / 1000
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.paused = False
        self.heard = asyncio.Event()

    async def connect(self, host: str, port: int) -> None:
        """Opens the socket, runs the dialect's handshake, starts sending."""
        loop = asyncio.get_running_loop()
        wire = WebSocketWire(
            host=f"{host}:{port}",
            path=self._dialect.path,
            subprotocol=self._dialect.subprotocol,
            on_message=self._on_message,
        )
        self._wire = wire
        await loop.create_connection(lambda: wire, host, port)
        await asyncio.wait_for(wire.opened, 10)
        for message in self._dialect.connect():
            wire.send(message)
        self._due_s = loop.time() + self._period_s
        self._timer = loop.call_at(self._due_s, self._tick)

    def close(self) -> None:
        """Stops sending and closes the socket."""
        if self._timer is not None:
            self._timer.cancel()
        if self._wire is not None:
            self._wire.close()

    @property
    def alive(self) -> bool:
        """Whether the server still holds the connection."""
        return self._wire is not None and not self._wire.closed

    def _tick(self) -> None:
        wire = self._wire
        assert wire is not None
        if wire.closed:
            return
        if self._dialect.ready and not self.paused:
            seq, self._seq = self._seq, self._seq + 1
            message = self._dialect.encode_block(seq, self._pcm + MARKER.pack(MAGIC, seq))
            self._sent_at[seq] = now_s = time.monotonic()
            self._trips.sent(now_s)
            wire.send(message)
        for reply in self._dialect.replies(int(time.monotonic() * 1000)):
            wire.send(reply)
        self._due_s += self._period_s
        self._timer = asyncio.get_running_loop().call_at(self._due_s, self._tick)

    def _on_message(self, message: bytes) -> None:
        now_s = time.monotonic()
        for pcm in self._dialect.decode(message):
            self._scan(pcm, now_s)
        assert self._wire is not None
        for reply in self._dialect.replies(int(now_s * 1000)):
            self._wire.send(reply)

    def _scan(self, pcm: bytes, now_s: float) -> None:
        data = self._tail + pcm
        at = data.find(MAGIC)
        while at >= 0 and at + MARKER.size <= len(data):
            _, seq = MARKER.unpack_from(data, at)
            sent_s = self._sent_at.pop(seq, None)
            if sent_s is not None:
                self._trips.returned(sent_s, now_s)
                self.heard.set()
            at = data.find(MAGIC, at + MARKER.size)
        self._tail = data[at:] if at >= 0 else data[-(MARKER.size - 1) :]


async def run_ws_load(
    *,
    dialect: Callable[[], Dialect],
    host: str,
    port: int,
    count: int,
    measure: Callable[[Trips, Callable[[float], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Connects `count` sessions, then lets `measure` run its windows; `pause(s)` is silence."""
    trips = Trips()
    sessions = [Session(index, dialect(), trips) for index in range(count)]

    async def pause(duration_s: float) -> None:
        for session in sessions:
            session.paused = True
        await asyncio.sleep(duration_s)
        for session in sessions:
            session.paused = False

    try:
        for session in sessions:
            await session.connect(host, port)
            # spread over a block, and joins one after the other
            await asyncio.sleep(0.05 + dialect().block_ms / 1000 / count)
        async with asyncio.timeout(20):
            for session in sessions:
                await session.heard.wait()
        await measure(trips, pause)
        dead = sum(not session.alive for session in sessions)
        if dead:
            raise ConnectionError(f"{dead} of {count} sessions were closed by the server")
    finally:
        for session in sessions:
            session.close()
