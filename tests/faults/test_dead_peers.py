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
from tests.support.clicks import make_bot
from tests.support.ledger import Talk
from tests.support.listening import Ear
from tests.support.namespaces import ROOT
from voxwire_server.testing import RunningServer, running_server

NOTICED_S = 5.0
LOOK_S = 0.3
"""What this test and a busy machine may add."""


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
        async with asyncio.timeout(30):
            while not (line := await process.stdout.readline()).startswith(said):
                assert line, "it ended"
        yield process, line
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def parked(server: RunningServer, how: signal.Signals) -> float:
    """Do that to a client with a session on each path; when its last socket was given up."""
    before = set(server.registry._sessions.values())
    options: dict[str, object] = {
        "url": server.url,
        "transports": ["websocket", "webrtc"],
        "tokens": ["", ""],
        "blackout_s": 60,
    }
    async with program("fault_client.py", options, b"speaking") as (process, _):
        sessions = set(server.registry._sessions.values()) - before
        assert len(sessions) == 2
        began = time.monotonic()
        process.send_signal(how)
        async with asyncio.timeout(15):
            while any(session.link is not None for session in sessions):
                await asyncio.sleep(0.01)
        took = time.monotonic() - began
        assert not any(session.over for session in sessions)  # they wait for their client
        return took


async def test_a_client_that_is_gone_or_frozen_is_noticed() -> None:
    async with running_server(make_bot(), grace_ms=2000) as server:
        killed = await parked(server, signal.SIGKILL)
        frozen = await parked(server, signal.SIGSTOP)
    print(f"client killed: noticed after {killed:.2f} s, frozen: {frozen:.2f} s")
    assert killed <= NOTICED_S
    assert frozen <= NOTICED_S + LOOK_S


async def test_a_server_that_is_frozen_is_noticed_and_resumed_when_it_thaws(
    transport: str, tmp_path: Path
) -> None:
    options: dict[str, object] = {"ledger": str(tmp_path / "ledger")}
    async with program("fault_server.py", options, b"listening") as (process, line):
        ear, url = Ear(), f"ws://127.0.0.1:{int(line.split()[1])}"
        async with (
            voxwire.connect(url, transport=transport, speaker=ear) as session,
            Talk(session, ear) as talk,
        ):
            await session.send_text("say 20")
            await talk.sounding()
            process.send_signal(signal.SIGSTOP)
            try:
                took = await talk.until(lambda: talk.of(voxwire.ConnectionChanged))
                assert session.connection == "reconnecting"
            finally:
                process.send_signal(signal.SIGCONT)
            print(f"server frozen, {transport}: noticed after {took:.2f} s")
            assert took <= NOTICED_S
            await talk.back(2)
            await session.send_text("say 2")
            await talk.until(lambda: [w.text for w in talk.of(voxwire.BotWord)][-1:] == ["w21."])
