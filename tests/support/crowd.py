"""Many callers at once, as a process of its own: ``crowd.py JSON``.

Each speaks a phrase over and over, and notes when the bot's audio came. Who is refused with a time
comes again after it. One line of JSON says at the end how they fared; times are milliseconds.

``{"port", "number", "within_s", "for_s", "pcm": PATH}``; the PCM is the phrase and the
silence behind it, int16 mono at 16 kHz.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import uvloop

from tests.bench.websocket_wire import WebSocketWire
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel

BLOCK_MS: Final = 20
BLOCK_BYTES: Final = 640
RATE: Final = 24_000
AHEAD_MS: Final = 300
"""So much audio of a stretch comes at once; what comes behind it is due at a moment."""


class Lateness:
    """How late each block of the bot's audio came, against the earliest of its stretch."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._begin = self._end = -1
        self._offsets_ms: list[float] = []

    def came(self, index: int, samples: int, now_ms: float) -> None:
        """A block came; ``index`` is its first sample."""
        if index != self._end:
            self.close()
        if self._begin < 0:
            self._begin = index
        self._end = index + samples
        if (index - self._begin) * 1000 / RATE > AHEAD_MS:
            self._offsets_ms.append(now_ms - index * 1000 / RATE)

    def close(self) -> None:
        """A stretch is over: its blocks are judged."""
        if self._offsets_ms:
            soonest_ms = min(self._offsets_ms)
            self.late_ms += [offset_ms - soonest_ms for offset_ms in self._offsets_ms]
        self._offsets_ms, self._begin = [], -1


class Caller:
    """One of them.

    Args:
        port: Of the server.
        pcm: What it says, over and over.
        at_ms: Where in it it begins.
    """

    def __init__(self, port: int, pcm: bytes, at_ms: int) -> None:
        self._port = port
        self._pcm = pcm
        self._at = at_ms // BLOCK_MS * BLOCK_BYTES % len(pcm)
        self.lateness = Lateness()
        self.came_ms = now_ms()
        self.began_ms: float | None = None
        self.refused: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.answers = 0
        self._changed = asyncio.Event()

    async def call(self) -> None:
        """Come, and come again, until it is let in; then talk until it is cancelled."""
        while self.began_ms is None:
            retry_after_ms = await self._try()
            if retry_after_ms is not None:
                await asyncio.sleep(retry_after_ms / 1000)

    async def _try(self) -> int | None:
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self._ready, self._error, self._sent = False, None, 0
        self._wire = WebSocketWire(
            host=f"127.0.0.1:{self._port}",
            path="/v1/session",
            subprotocol=wire.SUBPROTOCOL,
            on_message=self._take,
        )
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self._wire, "127.0.0.1", self._port)
        await self._wire.opened
        features = [wire.Feature.FEATURE_SEQUENCE, wire.Feature.FEATURE_WEBSOCKET_AUDIO]
        hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), features=features)
        self._say(wire.Envelope(hello=hello))
        while self.began_ms is None and self._error is None:
            self._changed.clear()
            await self._changed.wait()
        if self.began_ms is None:
            assert self._error is not None
            code = wire.ErrorCode.Name(self._error.code).removeprefix("ERROR_CODE_")
            after_ms = self._error.retry_after_ms
            self.refused.append({"code": code, "retry_after_ms": after_ms, "at_ms": now_ms()})
            self._wire.close()
            return max(1, after_ms)
        path = wire.PathOpen(path_id=1, carrier=wire.Carrier.CARRIER_WEBSOCKET)
        self._say(wire.Envelope(path_open=path))
        await self._speak()
        return None

    async def _speak(self) -> None:
        due_s = time.monotonic()
        while not self._wire.closed:
            if self._ready:
                audio = wire.AudioChunk(path_id=1, sample_index=self._sent * BLOCK_BYTES // 2)
                audio.data = self._pcm[self._at : self._at + BLOCK_BYTES]
                self._wire.send(wire.Envelope(audio=audio).SerializeToString())
                self._at = (self._at + BLOCK_BYTES) % len(self._pcm)
                self._sent += 1
            self._answer()
            due_s += BLOCK_MS / 1000
            await asyncio.sleep(max(0, due_s - time.monotonic()))

    def _say(self, envelope: wire.Envelope) -> None:
        for message in self._channel.send(envelope, int(now_ms())):
            self._wire.send(message)

    def _answer(self) -> None:
        for message in self._channel.outgoing(int(now_ms())):
            self._wire.send(message)

    def _take(self, message: bytes) -> None:
        if message[0] == 0x1A:  # nothing but audio
            chunk = wire.Envelope.FromString(message).audio
            self.lateness.came(chunk.sample_index, len(chunk.data) // 2, now_ms())
            return
        for envelope in self._channel.receive(message, int(now_ms())):
            match envelope.WhichOneof("payload"):
                case "welcome":
                    self.began_ms = now_ms()
                case "ping":
                    self._say(wire.Envelope(pong=wire.Pong(number=envelope.ping.number)))
                case "path_ready":
                    self._ready = True
                case "utterance_started":
                    self.answers += 1
                    self.lateness.close()
                case "flush":
                    self.lateness.close()  # what comes next may have the very next number
                case "error":
                    self._error = envelope.error
                case "session_ended":
                    self.ended.append(wire.EndReason.Name(envelope.session_ended.reason))
                case _:
                    pass
        self._answer()
        self._changed.set()

    def result(self) -> dict[str, Any]:
        """How it fared."""
        self.lateness.close()
        return {
            "came_ms": self.came_ms,
            "began_ms": self.began_ms,
            "refused": self.refused,
            "ended": self.ended,
            "answers": self.answers,
            "late_ms": [round(late_ms, 1) for late_ms in self.lateness.late_ms],
        }


def now_ms() -> float:
    """Monotonic time."""
    return time.monotonic() * 1000


async def _lags(lags_ms: list[float]) -> None:
    """How late this process itself wakes up."""
    while True:
        due_ms = now_ms() + 10
        await asyncio.sleep(0.01)  # real time: pace
        lags_ms.append(max(0.0, now_ms() - due_ms))


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Hold the calls; returns what came of them."""
    pcm = Path(plan["pcm"]).read_bytes()
    pcm += bytes(-len(pcm) % BLOCK_BYTES)
    number, callers, tasks = int(plan["number"]), list[Caller](), list[asyncio.Task[None]]()
    lags_ms: list[float] = []
    lagging = asyncio.create_task(_lags(lags_ms))
    for at in range(number):
        caller = Caller(int(plan["port"]), pcm, at * 370)
        callers.append(caller)
        tasks.append(asyncio.create_task(caller.call()))
        await asyncio.sleep(plan["within_s"] / number)  # real time: pace
    await asyncio.sleep(plan["for_s"])  # real time: pace
    for task in (*tasks, lagging):
        task.cancel()
    failed = await asyncio.gather(*tasks, lagging, return_exceptions=True)
    errors = [repr(each) for each in failed if isinstance(each, Exception)]
    return {
        "callers": [caller.result() for caller in callers],
        "errors": errors,
        "own_lag_p99_ms": sorted(lags_ms)[int(len(lags_ms) * 0.99)],
    }


def main() -> None:
    """Run the plan of the command line."""
    plan = json.loads(sys.argv[1])
    with suppress(KeyboardInterrupt):
        print(json.dumps(uvloop.run(run(plan))), flush=True)


if __name__ == "__main__":
    main()
