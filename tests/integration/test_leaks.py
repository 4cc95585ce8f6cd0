"""Sessions that end, however they end, leave nothing: counted in ``/proc``, and in the loop."""

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import websockets

import voxwire
from tests.support.clicks import make_bot
from tests.support.ungraceful import OFFER
from tests.support.waiting import LONG
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

WARM_UP = 6
SESSIONS = 50
SETTLE_S = 30.0

if not Path("/proc/self/fd").is_dir():
    pytest.skip("counts in /proc, which this system has not", allow_module_level=True)


@dataclass(frozen=True)
class Count:
    """What a process holds, seen from outside."""

    descriptors: int
    threads: int
    children: int
    sessions: int

    def above(self, other: "Count") -> bool:
        """True when more of anything is held than in ``other``."""
        return any(
            mine > theirs
            for mine, theirs in zip(
                (self.descriptors, self.threads, self.children, self.sessions),
                (other.descriptors, other.threads, other.children, other.sessions),
                strict=True,
            )
        )


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of a process is of."""
    found: list[str] = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the one of this very look, in this process
            found.append(str(link.readlink()))
    return sorted(found)


def children(pid: int) -> list[int]:
    """Every process below ``pid``."""
    direct = [
        int(child)
        for tasks in Path(f"/proc/{pid}/task").glob("*/children")
        for child in tasks.read_text().split()
    ]
    return direct + [below for child in direct for below in children(child)]


def rss_kb(pid: int) -> int:
    """Memory of a process, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"ws://127.0.0.1:{self.port}"

    async def ready(self) -> dict[str, Any]:
        """What ``/readyz`` says."""

        def ask() -> dict[str, Any]:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/readyz", timeout=60
            ) as reply:
                return dict(json.load(reply))

        return await asyncio.to_thread(ask)

    async def count(self) -> Count:
        """Count what the server holds, but for the descriptor of this very question."""
        sessions = int((await self.ready())["sessions"])
        return Count(
            descriptors=len(os.listdir(f"/proc/{self.pid}/fd")),
            threads=len(os.listdir(f"/proc/{self.pid}/task")),
            children=len(children(self.pid)),
            sessions=sessions,
        )

    async def settled(self, within: Count | None = None) -> Count:
        """Count once nothing changes for a second, or once it is ``within`` an earlier count."""
        deadline = time.monotonic() + SETTLE_S
        last, since = await self.count(), time.monotonic()
        while time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            now = await self.count()
            if now != last:
                last, since = now, time.monotonic()
            if within is not None and not now.above(within):
                return now
            if within is None and now.sessions == 0 and time.monotonic() - since > 1:
                return now
        return last


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """The command that a user types, with the offline bot, on any free port."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    environment["VOXWIRE_GRACE_MS"] = "5000"  # some of the clients here are gone without a Bye
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voxwire_server.cli",
        "run",
        "--port",
        "0",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        port = re.search(r"ws://127\.0\.0\.1:(\d+)", line)
        assert port is not None, line
        served = Served(process.pid, int(port[1]))
        await _until_ready(served)
        yield served
        below = children(process.pid)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)
        alive = [child for child in below if Path(f"/proc/{child}/exe").exists()]
        assert not alive, f"helper processes outlived the server: {alive}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # asyncio closes a pipe in the turn after the process ended
        await asyncio.sleep(0)


async def _until_ready(served: Served) -> None:
    deadline = time.monotonic() + 40
    while True:
        with suppress(OSError):  # 503 while the bot is being warmed up
            await served.ready()
            return
        if time.monotonic() > deadline:
            raise AssertionError("the server did not become ready")
        await asyncio.sleep(0.1)  # real time: poll


# the ways in which a session ends

Way = Callable[[str, str], Awaitable[None]]


async def says_goodbye(url: str, transport: str) -> None:
    """A whole turn, then ``async with`` is left."""
    async with voxwire.connect(url, transport=transport, timeouts=LONG) as session:
        await session.send_text("tell me a joke")
        await session.wait_for(voxwire.BotWord, timeout_ms=60_000)


async def leaves_at_once(url: str, transport: str) -> None:
    """Bye while the bot has hardly begun to speak."""
    async with voxwire.connect(url, transport=transport, timeouts=LONG):
        pass


async def leaves_while_the_bot_speaks(url: str, transport: str) -> None:
    """``close()`` in the middle of a story, an interruption on the way."""
    async with voxwire.connect(url, transport=transport, timeouts=LONG) as session:
        await session.send_text("tell me a story")
        await session.wait_for(voxwire.BotWord, timeout_ms=60_000)
        await session.interrupt()
        await session.send_text("tell me a story")
        await session.close()


async def gives_up_connecting(url: str, transport: str) -> None:
    """Cancelled somewhere in ``connect()``: the places differ from run to run."""

    async def connect() -> None:
        async with voxwire.connect(url, transport=transport, timeouts=LONG):
            pass

    task = asyncio.ensure_future(connect())
    await asyncio.sleep(next(MOMENTS))  # real time: moment
    task.cancel()
    await asyncio.wait({task})


async def drops_the_socket(url: str, transport: str) -> None:
    """The client's process is gone: a reset instead of a goodbye, with a path half open."""
    carrier = (
        wire.Carrier.CARRIER_WEBRTC if transport == "webrtc" else wire.Carrier.CARRIER_WEBSOCKET
    )
    offer = OFFER if transport == "webrtc" else ""
    async with hello(url) as socket:
        opening = wire.Envelope(
            seq=1, path_open=wire.PathOpen(path_id=1, carrier=carrier, sdp_offer=offer)
        )
        await socket.send(opening.SerializeToString())
        await socket.recv()
        await asyncio.sleep(0.05)  # real time: moment
        socket.transport.abort()


async def says_bye_first(url: str, transport: str) -> None:
    """Hello and Bye in one breath: the bot has not even started."""
    async with hello(url) as socket:
        await socket.send(wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString())
        with suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 60)


@asynccontextmanager
async def hello(url: str) -> AsyncIterator[websockets.ClientConnection]:
    """A raw control channel on which Hello was said."""
    async with websockets.connect(
        f"{url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        compression=None,
        open_timeout=30,
        close_timeout=5,
    ) as socket:
        greeting = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16))
        await socket.send(wire.Envelope(hello=greeting).SerializeToString())
        yield socket


# Seconds into connect(): before the upgrade, after Hello, while ICE, DTLS and the bot start
MOMENTS = itertools.cycle((0.002, 0.03, 0.08, 0.15, 0.3, 0.6))

WAYS: list[Way] = [
    says_goodbye,
    leaves_at_once,
    leaves_while_the_bot_speaks,
    gives_up_connecting,
    drops_the_socket,
    says_bye_first,
]


async def end_sessions(url: str, number: int) -> None:
    """Open and end sessions in parallel, in every way over both paths."""
    transports = ("websocket", "webrtc")
    runs = [
        WAYS[i % len(WAYS)](url, transports[i // len(WAYS) % len(transports)])
        for i in range(number)
    ]
    results = await asyncio.gather(*runs, return_exceptions=True)
    failures = [repr(result) for result in results if isinstance(result, BaseException)]
    assert not failures, failures


async def test_fifty_sessions_leave_no_descriptor_thread_or_process() -> None:
    async with serving() as served, asyncio.timeout(110):
        await end_sessions(served.url, WARM_UP * 2)
        before, before_kb = await served.settled(), rss_kb(served.pid)
        held = descriptors(served.pid)
        started = time.monotonic()
        await end_sessions(served.url, SESSIONS)
        ended = time.monotonic()
        after = await served.settled(within=before)
        slope = (rss_kb(served.pid) - before_kb) / SESSIONS
        print(f"before {before}\nafter  {after}")
        took, settling = ended - started, time.monotonic() - ended
        print(f"{SESSIONS} sessions in {took:.1f} s, settled {settling:.1f} s later")
        print(f"memory {before_kb} KiB, {slope:+.0f} KiB a session")
        new = [link for link in descriptors(served.pid) if link not in held]
        assert not after.above(before), (before, after, new)
        assert (await served.ready())["sessions"] == 0


async def test_twenty_sessions_leave_no_task() -> None:
    async with running_server(make_bot(), grace_ms=5000) as server, asyncio.timeout(90):
        await end_sessions(server.url, WARM_UP)
        await _sessions_over(server)
        before = {task for task in asyncio.all_tasks() if not task.done()}
        await end_sessions(server.url, 20)
        await _sessions_over(server)
        deadline = time.monotonic() + SETTLE_S
        left = await _new_tasks(before)
        while left and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            left = await _new_tasks(before)
        assert not left, [str(task.get_coro()) for task in left]


async def _sessions_over(server: RunningServer) -> None:
    deadline = time.monotonic() + SETTLE_S
    while len(server.registry) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert len(server.registry) == 0


async def _new_tasks(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    await asyncio.sleep(0)
    return asyncio.all_tasks() - before
