"""Servers and loads as pinned processes of their own."""

import asyncio
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench.contenders import Contender

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0] if len(CORES) > 1 else None
LOAD_CORE = CORES[1] if len(CORES) > 1 else None


class BenchError(Exception):
    """A server or a load did not do its part."""


def pin(core: int | None) -> Callable[[], None] | None:
    """For a child process: stay on one core."""
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ends a process group that was started here."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)


@asynccontextmanager
async def serving(contender: Contender) -> AsyncIterator[tuple[int, int]]:
    """Runs a server; yields its process id and its port."""
    OUT.mkdir(exist_ok=True)
    log_path = OUT / f"bench-{re.sub(r'[^a-z0-9]+', '-', contender.name.lower())}.log"
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *contender.command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **contender.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            preexec_fn=pin(SERVER_CORE),
        )
        drain: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(30):
                port = await read_port(process, contender)
            drain = asyncio.create_task(discard(process))
            if contender.ready_path:
                async with asyncio.timeout(60):
                    await asyncio.to_thread(wait_ready, f"http://127.0.0.1:{port}", contender)
            yield process.pid, port
        except (BenchError, TimeoutError) as error:
            lines = log_path.read_text("utf-8", errors="replace").strip().splitlines()[-10:]
            tail = "\n".join("    " + line for line in lines)
            raise BenchError(f"{contender.name}: {error or 'no port in 30 s'}\n{tail}") from error
        finally:
            await stop(process)
            if drain is not None:
                await drain


def wait_ready(url: str, contender: Contender) -> None:
    """Asks until the server says that it is ready; blocks, for at most 50 s."""
    deadline_s = time.monotonic() + 50
    while time.monotonic() < deadline_s:
        with suppress(OSError), urllib.request.urlopen(url + contender.ready_path, timeout=5):
            return
        time.sleep(0.1)


async def read_port(process: asyncio.subprocess.Process, contender: Contender) -> int:
    """Waits for the line that names the port."""
    assert process.stdout is not None
    async for line in process.stdout:
        if match := re.search(contender.port_pattern, line.decode(errors="replace")):
            return int(match[1])
    raise BenchError("ended without naming a port")


async def discard(process: asyncio.subprocess.Process) -> None:
    """Keeps a server's stdout from filling up."""
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


@asynccontextmanager
async def loading(
    contender: Contender, port: int, options: dict[str, Any]
) -> AsyncIterator[tuple[int, AsyncIterator[dict[str, Any]]]]:
    """Runs a load generator; yields its process id and its events."""
    words = [contender.kind, "--dialect", contender.dialect, "--port", str(port)]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not False:
            words += [f"--{name}", str(value)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.load",
        *words,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=pin(LOAD_CORE),
    )

    async def events() -> AsyncIterator[dict[str, Any]]:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                yield json.loads(line)

    try:
        yield process.pid, events()
    finally:
        await stop(process)
