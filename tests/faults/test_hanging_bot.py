"""A server that is told to leave is gone in time, even when a bot of it does not end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import websockets

from voxwire_protocol import wire

DRAIN_S = 0.2
REST_S = 5.0
SLACK_S = 2.0
BOT = """
import asyncio

async def bot(session):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
"""
IN_A_THREAD = """
import asyncio, time

async def bot(session):
    await asyncio.to_thread(time.sleep, 3600)
"""


@pytest.mark.parametrize("program", [BOT, IN_A_THREAD], ids=["task", "thread"])
async def test_a_bot_that_does_not_end_does_not_keep_the_process(
    tmp_path: Path, program: str
) -> None:
    (tmp_path / "bot.py").write_text(program)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire_server.cli", "run", "bot.py", "--port", "0"),
        env={**kept, "VOXWIRE_DRAIN_MS": str(round(DRAIN_S * 1000))},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            line = (await process.stdout.readline()).decode()
            url = line.split()[-1]
            ours = [websockets.Subprotocol(wire.SUBPROTOCOL)]
            async with websockets.connect(f"{url}/v1/session", subprotocols=ours) as socket:
                hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16))
                await socket.send(wire.Envelope(hello=hello).SerializeToString())
                await socket.recv()
                await asyncio.sleep(0.2)  # real time: moment
                process.send_signal(signal.SIGTERM)
                longest_s = DRAIN_S + REST_S + SLACK_S
                assert await asyncio.wait_for(process.wait(), longest_s) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
