"""Several workers behind one port, as ``voxwire-server run --workers`` starts them."""

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import voxwire
from tests.support.cluster import children, name_of
from tests.support.engines import MISSING
from tests.support.following import Following, following
from tests.support.programs import run
from tests.support.replicas import KEY, Replica, token

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

BOT = """
import ctypes, os, time
from voxwire_server.bots.offline.bot import bot as offline

def block(until):
    while not os.path.exists(until):
        time.sleep(0.01)

async def bot(session):
    session.on_request("who", lambda _: os.getpid())
    session.on_request("block", block)
    session.on_request("crash", lambda _: ctypes.string_at(0))
    await offline(session)
"""


def written(heard: Following) -> str:
    """What the bot has written."""
    return "".join(event.text for event in heard.of(voxwire.BotResponseText))


async def over(*pids: int) -> None:
    """Wait until none of these processes runs."""
    async with asyncio.timeout(60):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.05)  # real time: poll


@contextlib.asynccontextmanager
async def workers(folder: Path, num: int = 2) -> AsyncIterator[Replica]:
    """Run a server with so many workers until the block ends."""
    folder.joinpath("crasher.py").write_text(BOT)
    server = Replica(
        folder / "server",
        "../crasher.py",
        *("--workers", str(num)),
        VOXWIRE_MAX_LAG_MS="0",
        VOXWIRE_LOG_LEVEL="INFO",
    )
    try:
        await server.start()
        async with asyncio.timeout(60):
            while server.log.read_text().count("a worker takes connections") < num:
                await asyncio.sleep(0.05)  # real time: poll
        yield server
    finally:
        mine = children(server.pid)
        server.send(signal.SIGINT)
        try:
            async with asyncio.timeout(60):
                assert await server.ended() == 0, server.log.read_text()
            await over(*mine)
        finally:
            await server.kill()


@contextlib.asynccontextmanager
async def call(server: Replica) -> AsyncIterator[tuple[voxwire.Session, Following]]:
    """A session, followed."""
    connection = voxwire.connect(server.url, token=token())
    async with connection as session, following(session) as heard:
        yield session, heard


Call = tuple[voxwire.Session, Following]


async def on_two(server: Replica, stack: contextlib.AsyncExitStack) -> tuple[Call, Call]:
    """A session on each of two workers."""
    first, second = [await stack.enter_async_context(call(server)) for _ in range(2)]
    assert await first[0].call("who") != await second[0].call("who")
    return first, second


async def answers(session: voxwire.Session) -> int:
    """The process that answers a request of the session, as soon as one does."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(voxwire.VoxwireError):
                return await session.call("who", timeout_ms=5000)
            await asyncio.sleep(0.05)  # real time: poll


async def test_sessions_are_spread_evenly(tmp_path: Path) -> None:
    async with workers(tmp_path, 3) as server, contextlib.AsyncExitStack() as stack:
        sessions = [(await stack.enter_async_context(call(server)))[0] for _ in range(10)]
        spread = Counter([await session.call("who") for session in sessions])
        assert sorted(spread.values()) == [3, 3, 4]
        assert server.pid not in spread


async def test_a_worker_that_crashes_takes_no_other_s_call_along(tmp_path: Path) -> None:
    async with workers(tmp_path) as server, contextlib.AsyncExitStack() as stack:
        (doomed, lost), (other, kept) = await on_two(server, stack)
        gone, stays = await doomed.call("who"), await other.call("who")
        await doomed.send_text("my name is Alice", speak=False)
        await lost.until(lambda: "Alice" in written(lost))
        at = len(kept.events)
        with contextlib.suppress(voxwire.VoxwireError):
            await doomed.call("crash", timeout_ms=5000)
        await lost.until(lambda: lost.of(voxwire.EventsSkipped))
        assert await answers(doomed) == stays
        await other.send_text("what is the weather in Paris", speak=False)
        await kept.until(lambda: "Paris" in written(kept))
        assert not [it for it in kept.events[at:] if isinstance(it, voxwire.ConnectionChanged)]
        await over(gone)
        # another one comes in its place, and has the next session
        for _ in range(200):
            async with call(server) as (session, _heard):
                if await session.call("who") not in (gone, stays):
                    break
            await asyncio.sleep(0.1)  # real time: poll
        else:
            raise AssertionError("no worker was begun in its place")


async def test_a_bot_that_blocks_holds_up_its_own_worker_only(tmp_path: Path) -> None:
    async with workers(tmp_path) as server, contextlib.AsyncExitStack() as stack:
        (blocked, _), (other, _) = await on_two(server, stack)
        stays, until = await other.call("who"), tmp_path / "until"
        held = asyncio.create_task(blocked.call("block", str(until), timeout_ms=30_000))
        await asyncio.sleep(1)  # real time: slow
        for _ in range(3):  # who comes meanwhile comes to the other one
            session, _heard = await stack.enter_async_context(call(server))
            assert await session.call("who") == stays
        assert await other.call("who") == stays
        until.touch()
        assert await answers(blocked)
        held.cancel()


async def test_an_engine_that_ends_is_begun_anew(tmp_path: Path) -> None:
    async with workers(tmp_path) as server, contextlib.AsyncExitStack() as stack:
        (first, _), (second, _) = await on_two(server, stack)
        engine = next(pid for pid in children(server.pid) if "redis" in name_of(pid))
        os.kill(engine, signal.SIGKILL)
        assert await first.call("who") != await second.call("who")  # calls go on
        session, _heard = await stack.enter_async_context(call(server))
        assert await session.call("who")
        assert any("redis" in name_of(pid) for pid in children(server.pid))


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    server = Replica(tmp_path / "server", "offline", "--workers", "2")
    await server.start()
    mine = children(server.pid)
    assert len(mine) == 3
    await server.kill()
    await over(*mine)


async def test_what_workers_share_is_seen_by_nobody_else(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        for pid in children(server.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert KEY.encode() not in command
            if "redis" in name_of(pid):
                path = Path(Path(f"/proc/{pid}/cwd").readlink())
                assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        (["--workers", "2"], {"PATH": "/nowhere"}, "apt install redis-server"),
        (["--workers", "2"], {"VOXWIRE_ADMIN_KEY": KEY}, "VOXWIRE_ADMIN_ADDRESS"),
        (["--workers", "2"], {"VOXWIRE_ENGINE": "redis://127.0.0.1:1"}, "VOXWIRE_PEER_URL"),
        (["--workers", "2"], {"VOXWIRE_ENGINE": "unix:///nowhere"}, "VOXWIRE_ENGINE_KEY"),
        (["--workers", "2", "nobody.py"], {}, "nobody.py"),
        (["--workers", "0"], {}, "VOXWIRE_WORKERS"),
    ],
)
async def test_what_is_wrong_is_said_at_the_start(
    tmp_path: Path, options: list[str], settings: dict[str, str], said: str
) -> None:
    program = Path(sys.executable).parent / "voxwire-server"
    ended = await run([program, "run", "--port", "0", *options], tmp_path, **settings)
    assert ended.status in (1, 2)
    assert said in ended.err
    assert "Traceback" not in ended.err
