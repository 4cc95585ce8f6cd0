"""A session with a stock bot on a line that a test holds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxwire import VoxwireError
from voxwire._attach import lost
from voxwire._environment import Environment
from voxwire._path import Capture
from voxwire._tap import TappedMessage, Taps
from voxwire.rtvi._control import StockControl
from voxwire.rtvi._frames import Interruption
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._line import LineLost
from voxwire_protocol import wire
from voxwire_protocol.rtvi import RtviMessage, decode
from voxwire_protocol.virtual_time import VirtualTime

__all__ = ["READY", "RTC", "SOCKET", "TRUSTED_S", "FakeLine", "Held", "running"]

RTC, SOCKET = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET
READY = RtviMessage("bot-ready", {"version": "2.2.0"}, "1")
TRUSTED_S = 3.0


class FakeLine:
    """A line whose bot is the test.

    Attributes:
        holds: Until it is set nothing is written.
    """

    def __init__(self, carrier: wire.Carrier.ValueType) -> None:
        self.carrier = carrier
        self.name = "s-1"
        self.bad_messages = 0
        self.is_lost = False
        self.trusted_s = TRUSTED_S
        self.written: list[RtviMessage] = []
        self.muted: list[bool] = []
        self.closed = False
        self.holds: asyncio.Event | None = None
        self._said: asyncio.Queue[RtviMessage | Interruption | LineLost] = asyncio.Queue()

    def say(self, *said: RtviMessage | Interruption) -> None:
        for each in said:
            self._said.put_nowait(each)

    def lose(self, error: VoxwireError | None = None, *, ended: bool = False) -> None:
        self.is_lost = True
        self._said.put_nowait(LineLost(error or lost("it broke"), ended=ended))

    async def send(self, text: str) -> None:
        if self.holds is not None:
            await self.holds.wait()
        self.written.append(decode(text, max_bytes=1 << 20))

    async def receive(self) -> RtviMessage | Interruption:
        said = await self._said.get()
        if isinstance(said, LineLost):
            raise said
        return said

    async def carry(self, capture: Capture) -> None:
        await asyncio.Event().wait()

    def arrived(self) -> None:
        return None

    def mute(self, muted: bool) -> None:
        self.muted.append(muted)

    def drop(self) -> None:
        self.is_lost = True

    async def close(self) -> None:
        self.closed = True

    @property
    def kinds(self) -> list[str]:
        return [message.type for message in self.written]


class FakeDialling:
    """Opens the lines that a test has, or fails as it says."""

    def __init__(self, time: VirtualTime, *lines: FakeLine | VoxwireError) -> None:
        self.asked_ms: list[float] = []
        self.muted: list[bool] = []
        self._time = time
        self._lines = list(lines)

    async def open(self, timeout_ms: int) -> FakeLine:
        return self._next()

    async def reopen(self, timeout_ms: int, *, muted: bool) -> FakeLine:
        self.asked_ms.append(self._time.now_ms())
        self.muted.append(muted)
        return self._next()

    def _next(self) -> FakeLine:
        line = self._lines.pop(0)
        if isinstance(line, VoxwireError):
            raise line
        return line


class FakeHandler:
    """Notes what its session is told."""

    def __init__(self) -> None:
        self.position_ms = 0
        self.quiet = True
        self.envelopes: list[wire.Envelope] = []
        self.told: list[str] = []
        self.welcome = wire.Welcome()

    def handle(self, envelope: wire.Envelope) -> None:
        self.envelopes.append(envelope)

    def lost(self, attempt: int) -> None:
        self.told.append(f"lost {attempt}")

    def attached(self, welcome: wire.Welcome, *, attempt: int, after_ms: int, unsent: int) -> None:
        self.told.append(f"attached {attempt} {after_ms}")
        self.welcome.CopyFrom(welcome)

    def skipped(self) -> None:
        self.told.append("skipped")

    def of(self, payload: str) -> list[Any]:
        return [getattr(e, payload) for e in self.envelopes if e.WhichOneof("payload") == payload]


class Held:
    """A control channel that runs."""

    def __init__(
        self,
        time: VirtualTime,
        *lines: FakeLine | VoxwireError,
        max_bytes: int = 65_536,
        resume_ms: int | None = None,
    ) -> None:
        self.handler = FakeHandler()
        self.inflow = Inflow()
        self.dialling = FakeDialling(time, *lines)
        self.tapped: list[TappedMessage] = []
        self.control = StockControl(
            self.dialling,  # type: ignore[arg-type]
            tools=frozenset({"show"}),
            inflow=self.inflow,
            max_bytes=max_bytes,
            resume_ms=resume_ms,
            environment=Environment(clock=time),
            taps=Taps(self.tapped.append),
        )
        self.running: asyncio.Task[None] | None = None

    async def failure(self) -> VoxwireError:
        """Waits until it is over; why."""
        assert self.running is not None
        with pytest.raises(VoxwireError) as failed:
            await self.running
        return failed.value

    def send(self, **payload: Any) -> None:
        self.control.send(wire.Envelope(**payload))


@asynccontextmanager
async def running(held: Held, time: VirtualTime, *, ready: bool = True) -> AsyncIterator[FakeLine]:
    """Runs it on its first line until the block ends."""
    await held.control.dial(1000)
    line = held.control.line
    assert isinstance(line, FakeLine)
    held.running = asyncio.create_task(held.control.run(held.handler))
    if ready:
        line.say(READY)
    await time.settle()
    try:
        yield line
    finally:
        held.running.cancel()
        await asyncio.gather(held.running, return_exceptions=True)
        await held.control.close()
