"""A peer that is there and does nothing, or is gone without a word, is noticed on both sides."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.clicks import make_bot
from tests.support.inside import sessions
from tests.support.ledger import Talk
from tests.support.listening import Ear
from tests.support.namespaces import ROOT
from voxwire_server.testing import running_server


@contextlib.asynccontextmanager
async def program(
    name: str, options: dict[str, object], said: bytes
) -> AsyncIterator[tuple[asyncio.subprocess.Process, bytes]]:
    """A program until the block ends, once it has said something; and the line that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "tests/support" / name, json.dumps(options)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (line := await process.stdout.readline()).startswith(said):
                assert line, "it ended"
        yield process, line
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def parked(how: signal.Signals) -> float:
    """Do that to a client with a session on each path; when its last socket was given up."""
    async with running_server(make_bot(), grace_ms=60_000) as server:
        options: dict[str, object] = {
            "url": server.url,
            "transports": TRANSPORTS,
            "tokens": ["", ""],
            "blackout_s": 60,
        }
        async with program("fault_client.py", options, b"speaking") as (process, _):
            held = sessions(server)
            assert len(held) == len(TRANSPORTS)
            began = time.monotonic()
            process.send_signal(how)
            async with asyncio.timeout(60):
                while any(session.link is not None for session in held):
                    await asyncio.sleep(0.01)
            took = time.monotonic() - began
            assert not any(session.over for session in held)  # they wait for their client
            return took


async def test_a_peer_that_is_gone_or_frozen_is_noticed(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:  # at once: most of it is waiting
        tasks = [group.create_task(parked(how)) for how in (signal.SIGKILL, signal.SIGSTOP)]
        group.create_task(freeze_and_thaw(tmp_path))
    killed, frozen = (task.result() for task in tasks)
    print(f"client killed: noticed after {killed:.2f} s, frozen: {frozen:.2f} s")


async def freeze_and_thaw(tmp_path: Path) -> None:
    """A server that is frozen is noticed, and resumed when it thaws."""
    async with contextlib.AsyncExitStack() as stack:
        options: dict[str, object] = {"ledger": str(tmp_path / "ledger")}
        process, line = await stack.enter_async_context(
            program("fault_server.py", options, b"listening")
        )
        talks: list[Talk] = []
        for transport in TRANSPORTS:
            ear, url = Ear(), f"ws://127.0.0.1:{int(line.split()[1])}"
            connection = voxwire.connect(url, transport=transport, speaker=ear)
            session = await stack.enter_async_context(connection)
            talks.append(await stack.enter_async_context(Talk(session, ear)))
        for talk in talks:
            await talk.session.send_text("say 20")
            await talk.sounding()
        process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for talk in talks:
                await talk.until(lambda it=talk: it.session.connection == "reconnecting")
            took = time.monotonic() - began
        finally:
            process.send_signal(signal.SIGCONT)
        print(f"server frozen: noticed after {took:.2f} s")
        for talk in talks:
            await talk.back(2)
            await talk.session.send_text("say 2")
        for talk in talks:
            await talk.until(lambda it=talk: it.of(voxwire.BotWord)[-1].text == "w21.")
