"""One session of the lifecycle matrix: a program in virtual time, and what may happen to it.

`STATES` (`lifecycle_states.py`) bring a `Bench` into a state, `TROUBLES` (`lifecycle_troubles.py`)
happen to it then, `ACTS` (`lifecycle_acts.py`) are what the program does about it.
"""

import asyncio
import dataclasses
import gc
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import voxwire
from voxwire._options import Options
from voxwire._path import PLAYOUT_RATE
from voxwire._voxwire_server import VoxwireServer
from voxwire._websocket_path import WebSocketPath
from voxwire.testing import (
    FakeDevice,
    FakeDevices,
    FakeMicrophone,
    FakeServer,
    FakeSession,
    FakeSpeaker,
)
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, SignalingError, VoxwireError
from voxwire_protocol.virtual_time import VirtualTime

LATENCY_MS: Final = 20
CONNECT_MS: Final = 2000
WAIT_MS: Final = 300
GRACE_MS: Final = 600
CLOSING_MS: Final = 2500
"""Bye is waited for 1 s, what is queued 1 s, the closing handshake 0.5 s: then all is over."""


class BugOfTheProgram(Exception):
    """What the program itself raises."""


class Mic(FakeMicrophone):
    """A microphone that knows whether it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = False
        self.failure: Exception | None = None

    async def run(self) -> None:
        self.open = True
        try:
            await asyncio.Event().wait()
        finally:
            self.open = False

    def read(self, num_samples: int) -> Any:
        if self.failure is not None:
            raise self.failure
        return super().read(num_samples)


class Ear(FakeSpeaker):
    """A speaker that knows whether it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open_now = False
        self.failure: Exception | None = None

    def open(self, sample_rate: int) -> None:
        if self.failure is not None:
            raise self.failure
        super().open(sample_rate)
        self.open_now = True

    def write(self, block: Any, at: float) -> None:
        if self.failure is not None:
            raise self.failure
        super().write(block, at)

    def close(self) -> None:
        super().close()
        self.open_now = False


class WebRtc(WebSocketPath):
    """Takes the place of a peer connection, whose ICE goes as the bench says. The server takes it
    for a WebSocket path."""

    carrier = wire.Carrier.CARRIER_WEBRTC

    def __init__(self, bench: "Bench", path_id: int, **options: Any) -> None:
        super().__init__(path_id, **options)
        self._bench = bench
        self._lost = asyncio.Event()
        bench.rtc_paths.add(self)

    async def offer(self) -> wire.PathOpen:
        asked = await super().offer()
        asked.carrier = wire.Carrier.CARRIER_WEBSOCKET
        return asked

    async def wait_ready(self) -> int:
        if self._bench.ice_fails:
            await asyncio.sleep(0.05)
            raise SignalingError(ErrorCode.ICE_FAILED, "no pair of candidates works")
        await self._ready.wait()
        return PLAYOUT_RATE

    async def run(self, sink: Any) -> None:
        carrying = asyncio.create_task(super().run(sink))
        try:
            await self._lost.wait()
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
        raise voxwire.TransportError(ErrorCode.CONNECTION_LOST, "the peer connection broke")

    def lose(self) -> None:
        self._lost.set()

    async def close(self) -> None:
        await super().close()
        self._bench.rtc_paths.discard(self)


class RtcPeer(VoxwireServer):
    """Our server, with `WebRtc` for its WebRTC."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench

    def link(self, url: str, options: Options, **more: Any) -> Any:
        link = super().link(url, options, **more)

        def path(carrier: Any, path_id: int, *, capture: Any, ice: Any) -> Any:
            kind = WebRtc if carrier == wire.Carrier.CARRIER_WEBRTC else None
            if kind is None:
                return WebSocketPath(path_id, capture=capture, send=link.control.send)
            return kind(self._bench, path_id, capture=capture, send=link.control.send)

        link.path = path
        return link


@dataclasses.dataclass
class Running:
    """Something that the program does: the task, since when, and when and how it ended."""

    task: "asyncio.Task[Any]"
    began_ms: float
    limit_ms: float | None = None
    """Its own deadline; None = it may last as long as the session."""
    took_ms: float | None = None
    cancelled: bool = False

    @property
    def outcome(self) -> str:
        """In a word; what should never come of it begins with a `!`."""
        if not self.task.done():
            return "!waits"
        if self.task.cancelled():
            return "cancelled" if self.cancelled else "!cancelled"
        error = self.task.exception()
        if error is None:
            return "ok"
        if isinstance(error, VoxwireError):
            return error.code.name
        if isinstance(error, BugOfTheProgram):
            return "its own"
        return f"!{error!r}"


class Bench:
    """A server, a network, devices, and a program that has a session with them."""

    def __init__(self, time: VirtualTime, *, live: bool = False, rtc: bool = False) -> None:
        self.time = time
        self.server = FakeServer(self._bot, answers={"double": lambda n: 2 * n}, tokens=("good",))
        self.server.grace_ms = GRACE_MS
        self.server.heartbeat_ms = 500
        self.server.accepts = ("text/plain",)
        self.network = self.server.network
        self.network.latency_ms = LATENCY_MS
        self.script: Callable[[FakeSession], Awaitable[None]] = _listens
        self.dial_error: VoxwireError | None = None
        self.sockets: list[Any] = []
        self.told = True
        """Whether the server can learn that the program has left."""
        self.ice_fails = False
        self.rtc_paths: set[WebRtc] = set()
        self.token: Callable[[], Awaitable[str]] = _good
        self.tool: Callable[[], Awaitable[str]] = _done
        self.mic, self.ear = Mic(), Ear()
        self.devices = FakeDevices(
            FakeDevice("Mic", microphone=True), FakeDevice("Speaker", speaker=True)
        )
        self.session: voxwire.Session | None = None
        self.leave = asyncio.Event()
        self.raises = False
        self.running: dict[str, Running] = {}
        self.program: Running | None = None
        self.threads = set(threading.enumerate())
        self.noise: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.noise.append(str(context)))
        self.connection = self._connect(live=live, rtc=rtc)

    def _connect(self, *, live: bool, rtc: bool) -> voxwire.Connection:
        @voxwire.tool
        async def act() -> str:
            """Does something."""
            return await self.tool()

        around = dataclasses.replace(
            self.server.environment, dial=self._dial, devices=self.devices, webrtc=rtc
        )
        return voxwire.connect(
            self.server.url,
            environment=around,
            transport="webrtc" if rtc else "websocket",
            peer=RtcPeer(self) if rtc else None,
            microphone=True if live else self.mic,
            speaker=True if live else self.ear,
            echo="none",
            token=lambda _: self.token(),
            tools=[act],
            timeouts=voxwire.Timeouts(connect_ms=CONNECT_MS, wait_ms=WAIT_MS),
        )

    async def _dial(self, url: str, *, timeout_ms: int) -> Any:
        if self.dial_error is not None:
            await asyncio.sleep(LATENCY_MS / 1000)
            raise self.dial_error
        end = await self.network.dial(url, timeout_ms=timeout_ms)
        self.sockets.append(end)
        return end

    async def _bot(self, session: FakeSession) -> None:
        await self.script(session)

    def begin(self) -> None:
        """Starts the program."""
        self.program = self.do("program", self._program(), limit_ms=None)

    async def _program(self) -> None:
        async with self.connection as session:
            self.session = session
            await self.leave.wait()
            if self.raises:
                raise BugOfTheProgram

    def do(self, name: str, work: Any, *, limit_ms: float | None = 0) -> Running:
        """Has the program do something, in a task of its own."""
        task = asyncio.ensure_future(work)
        one = self.running[name] = Running(task, self.time.now_ms(), limit_ms)

        def ended(_: Any) -> None:
            one.took_ms = self.time.now_ms() - one.began_ms

        task.add_done_callback(ended)
        return one

    def cancel(self, one: Running) -> None:
        """Cancels that, unless it has ended."""
        one.cancelled = one.cancelled or not one.task.done()
        one.task.cancel()

    @property
    def fake(self) -> FakeSession:
        """The server's side of the session."""
        return self.server.session

    async def end(self, *, beside: Iterable["asyncio.Future[Any]"] = ()) -> list[str]:
        """The program ends, if it has not; what is wrong with how it all ended.

        Args:
            beside: What the bot does, which goes on until its session ends.
        """
        wrong: list[str] = []
        program = self.program
        if program is not None and not program.task.done():
            left_ms = self.time.now_ms()
            self.leave.set()
            limit_ms = CLOSING_MS if self.session else CONNECT_MS + CLOSING_MS
            while not program.task.done() and self.time.now_ms() < left_ms + limit_ms:
                await self.time.advance(10)
        for one in self.running.values():
            while one.limit_ms is not None and not one.task.done():
                if self.time.now_ms() > one.began_ms + one.limit_ms:
                    break
                await self.time.advance(10)
        await self.time.advance(1)
        for name, one in self.running.items():
            if one.outcome.startswith("!"):
                wrong.append(f"{name}: {one.outcome}")
            elif one.limit_ms is not None and one.took_ms > one.limit_ms:  # type: ignore[operator]
                wrong.append(f"{name} took {one.took_ms:g} ms, may take {one.limit_ms:g}")
        return wrong + await self.left(beside)

    async def left(self, beside: Iterable["asyncio.Future[Any]"]) -> list[str]:
        """What is left of the session."""
        self.dial_error = None
        self.network.state = voxwire.testing.NetworkState.UP
        await self.time.advance(3 * LATENCY_MS)
        open_sessions = [session.id for session in self.server.sessions if not session.over]
        await self.server.close()
        for one in beside:
            one.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        found = {
            "threads": [it.name for it in set(threading.enumerate()) - self.threads if _stays(it)],
            "tasks": [f"{task.get_name()} {task.get_coro()}" for task in tasks],
            "sockets": [end for end in self.sockets if end.open],
            "sessions of the server": open_sessions if self.told else [],
            "paths": list(self.rtc_paths),
            "the microphone": [self.mic] if self.mic.open else [],
            "the speaker": [self.ear] if self.ear.open_now else [],
            "devices": [device.name for device in self.devices.all if device.running],
            "failures of the server": self.server.failures,
        }
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in self.running.values():
            if one.task.done() and not one.task.cancelled():
                one.task.exception()
        gc.collect(1)  # a task whose exception nobody has asked for says so when it goes
        return [f"{what} left: {these}" for what, these in found.items() if these] + self.noise


def _stays(thread: threading.Thread) -> bool:
    """Whether it goes on; one whose caller was cancelled is left to itself for a moment."""
    thread.join(10)
    return thread.is_alive()


async def _listens(session: FakeSession) -> None:
    await asyncio.Event().wait()


async def _good() -> str:
    return "good"


async def _done() -> str:
    return "done"
