"""Programs of READMEs and examples, each in a process of its own, as a user would start it."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["ADDRESS", "Ended", "environment", "furnish", "run", "serving"]

ROOT: Final = Path(__file__).resolve().parents[2]
ADDRESS: Final = "127.0.0.1:7860"
"""What READMEs and examples say; a test puts a port from the OS in its place."""

FOREIGN: Final = ("GOOGLE_", "GEMINI_", "OPENAI_", "AWS_", "SSL_", "VOXWIRE_")
TIMEOUT_S: Final = 90
"""For a program that hangs; none takes a third of it."""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    status: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """This one without keys and settings, and with the commands of our packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", **more}


def furnish(folder: Path) -> Path:
    """Puts what the READMEs' programs find in a clone into a folder: recording and `.venv`."""
    (folder / "examples").mkdir(parents=True)
    for place in (folder, folder / "examples"):
        shutil.copy(ROOT / "examples/question.wav", place)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


async def run(command: Sequence[str | Path], folder: Path, **env: str) -> Ended:
    """Runs a program to its end."""
    process = await _start(command, folder, env)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def serving(
    command: Sequence[str | Path], folder: Path, *, timeout_s: float = TIMEOUT_S, **env: str
) -> AsyncIterator[str]:
    """Runs a server on a port from the OS; gives its URL, and ends it as Ctrl-C does, in order.

    Args:
        command: What to run.
        folder: Where; its log is ``server.log`` there.
        timeout_s: For all of it, the block included.
        **env: Its environment, beside this one's.
    """
    log = folder / "server.log"
    with log.open("wb") as stderr:
        process = await _start(command, folder, {"VOXWIRE_PORT": "0", **env}, stderr)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            async for line in process.stdout:
                if found := re.search(rb"ws://127\.0\.0\.1:\d+", line):
                    break
            else:
                raise AssertionError(
                    f"{command} ended with {await process.wait()}: {log.read_text()}"
                )
            yield found[0].decode()
            process.send_signal(signal.SIGINT)
            await process.communicate()
        assert process.returncode == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _start(
    command: Sequence[str | Path],
    folder: Path,
    env: dict[str, str],
    stderr: int | BinaryIO = asyncio.subprocess.PIPE,
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        cwd=folder,
        env=environment(**env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )
