"""A server that is killed: every session ends with its error, and nothing of it is left.

What virtual time cannot show of the lifecycle matrix (`clients/python/tests/lifecycle.py`):
threads, descriptors, sockets of the machine, real peer connections.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import voxwire
from tests.conftest import TRANSPORTS
from tests.faults.test_dead_peers import program
from tests.support.waiting import DEADLINE_S, LONG, descriptors_at_most, until

WAITS = voxwire.Timeouts(connect_ms=DEADLINE_S * 1000, resume_ms=500, wait_ms=DEADLINE_S * 1000)
pytestmark = pytest.mark.filterwarnings("error")

State = Callable[[voxwire.Session], Awaitable[None]]


async def ready(session: voxwire.Session) -> None:
    """The bot waits."""


async def speaking(session: voxwire.Session) -> None:
    """The bot is heard."""
    await session.send_text("say 30")
    await session.wait_for(voxwire.BotWord)


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """What is open afterwards was open before, and the loop has nothing to complain of."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    await until(lambda: not asyncio.all_tasks() - tasks)
    await until(lambda: not set(threading.enumerate()) - threads)
    gc.collect()
    await descriptors_at_most(descriptors)
    assert not complaints


async def warm_up(url: str, transport: str) -> None:
    """What opens once is open."""
    async with voxwire.connect(url, transport=transport, timeouts=LONG) as session:
        await session.send_text("say 1")
        await session.wait_for(voxwire.BotWord)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_sessions_of_a_killed_server_end_and_leave_nothing(
    transport: str, tmp_path: Path
) -> None:
    options: dict[str, object] = {"ledger": str(tmp_path / "ledger")}
    async with program("fault_server.py", options, b"listening") as (process, line):
        url = f"ws://127.0.0.1:{int(line.split()[1])}"
        await warm_up(url, transport)
        async with nothing_left():
            up = [asyncio.Event() for _ in range(3)]

            async def talk(state: State, here: asyncio.Event) -> None:
                async with voxwire.connect(url, transport=transport, timeouts=WAITS) as session:
                    await state(session)
                    here.set()
                    async for _ in session:
                        pass

            async def hold_key() -> None:
                async with voxwire.connect(url, transport=transport, timeouts=WAITS) as session:
                    async with session.push_to_talk():
                        up[2].set()
                        await session.wait_for(voxwire.Interrupted)

            talks = [
                asyncio.create_task(talk(ready, up[0])),
                asyncio.create_task(talk(speaking, up[1])),
                asyncio.create_task(hold_key()),
            ]
            for here in up:
                await until(here.is_set)
            process.send_signal(signal.SIGKILL)
            ended = await asyncio.wait_for(
                asyncio.gather(*talks, return_exceptions=True), DEADLINE_S
            )
            codes = [it.code if isinstance(it, voxwire.VoxwireError) else it for it in ended]
            assert codes == [voxwire.ErrorCode.SESSION_EXPIRED] * 3
            await refused(url, transport)


async def refused(url: str, transport: str) -> None:
    """Nothing listens there any more."""
    with pytest.raises(voxwire.TransportError) as caught:
        async with voxwire.connect(url, transport=transport, timeouts=LONG):
            pytest.fail("it is in")
    assert caught.value.code == voxwire.ErrorCode.UNREACHABLE


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_sessions_that_are_opening_when_the_server_is_killed_end_and_leave_nothing(
    transport: str, tmp_path: Path
) -> None:
    options: dict[str, object] = {"ledger": str(tmp_path / "ledger")}
    async with program("fault_server.py", options, b"listening") as (process, line):
        url = f"ws://127.0.0.1:{int(line.split()[1])}"
        await warm_up(url, transport)
        async with nothing_left():
            waits = voxwire.Timeouts(connect_ms=2000, resume_ms=500)

            async def connect() -> None:
                async with voxwire.connect(url, transport=transport, timeouts=waits) as session:
                    async for _ in session:
                        pass

            opening: list[asyncio.Task[None]] = []
            for number in range(8):
                opening.append(asyncio.create_task(connect()))
                await asyncio.sleep(0.003 * number)  # real time: moment
            process.send_signal(signal.SIGKILL)
            ended = await asyncio.wait_for(
                asyncio.gather(*opening, return_exceptions=True), DEADLINE_S
            )
            assert all(isinstance(it, voxwire.VoxwireError) for it in ended), ended


async def test_a_program_that_ends_while_its_session_lives_leaves_no_complaint() -> None:
    """``asyncio.run`` cancels what is left: the session ends in order."""
    script = """
import asyncio, voxwire
from voxwire.testing import FakeServer

async def main():
    server = FakeServer()
    there = asyncio.Event()
    async def talk():
        async with voxwire.connect(server.url, environment=server.environment) as session:
            print(session.bot, flush=True)
            there.set()
            await asyncio.Event().wait()
    task = asyncio.create_task(talk())
    await there.wait()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert (out.decode(), process.returncode) == ("scripted\n", 0)
    assert b"Error" not in err and b"never" not in err and b"destroyed" not in err, err.decode()
