"""examples/fastapi, of which server/README.md has pieces: both programs run as they say."""

import asyncio
import contextlib
import os
import re
import shlex
import sys
import textwrap
from collections.abc import AsyncGenerator
from pathlib import Path

import voxwire
from tests.support.asking import ask

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "fastapi"


@contextlib.asynccontextmanager
async def started(*command: str, **environment: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program in the example's folder; it is ended."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=EXAMPLE,
        env={**kept, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 60)


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"it ended and did not say {text!r}")


async def test_the_fastapi_example_is_talked_to_below_its_prefix() -> None:
    async with (
        asyncio.timeout(90),
        started("-m", "uvicorn", "main:app", "--port", "0") as process,
    ):
        running = await line_with(process, "running on http://")
        host = running.partition("http://")[2].split()[0]
        while (await ask(f"http://{host}/voice/readyz")).status != 200:
            await asyncio.sleep(0.1)
        assert (await ask(f"http://{host}/")).json() == {"talk": "/voice/"}
        assert (await ask(f"http://{host}/voice/")).status == 200
        async with voxwire.connect(f"ws://{host}/voice", bot="concierge") as session:
            assert (await session.wait_for(voxwire.BotWord)).text
        async with voxwire.connect(f"ws://{host}/voice", bot="echo") as session:
            assert session.bot == "echo"


async def test_the_server_is_a_task_beside_other_work() -> None:
    async with asyncio.timeout(90), started("task.py", VOXWIRE_PORT="0") as process:
        said = await line_with(process, "voxwire talk")
        async with voxwire.connect(shlex.split(said)[-3], transport="websocket") as session:
            assert (await session.wait_for(voxwire.BotWord)).text
        assert process.stdin is not None
        process.stdin.write(b"\n")
        assert await process.wait() == 0


def test_the_readme_s_pieces_are_those_of_the_programs() -> None:
    readme = (ROOT / "server" / "README.md").read_text("utf-8")
    pieces = re.findall(r"<!-- fragment of (\S+) -->\n```python\n(.*?)```", readme, re.DOTALL)
    assert {file for file, _ in pieces} >= {"examples/fastapi/main.py", "examples/fastapi/task.py"}
    for file, piece in pieces:
        assert piece.rstrip() in (ROOT / file).read_text("utf-8"), textwrap.dedent(piece)
