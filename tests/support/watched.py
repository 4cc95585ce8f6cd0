"""A server in a process of its own, counted from outside and from within."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Count", "Watched", "cpu_s", "rss_kb", "watched"]


@dataclass(frozen=True)
class Count:
    """What a server holds: descriptors and threads as ``/proc`` says, the rest as it says."""

    descriptors: int
    threads: int
    tasks: int
    sessions: int

    def above(self, other: "Count") -> bool:
        """True when more of anything is held than in ``other``."""
        return (
            self.descriptors > other.descriptors
            or self.threads > other.threads
            or self.tasks > other.tasks
            or self.sessions > other.sessions
        )


def rss_kb(pid: int) -> int:
    """Memory of a process, KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watched:
    """A server made by ``watched_server.py``."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"
        self._asking = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the server."""
        return self.process.pid

    async def ask(self, question: str) -> Any:
        """What the server answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self._asking, asyncio.timeout(60):
            self.process.stdin.write(f"{question}\n".encode())
            return json.loads(await self.process.stdout.readline())

    async def count(self) -> Count:
        """What it holds now."""
        said = await self.ask("count")
        return Count(
            descriptors=len(os.listdir(f"/proc/{self.pid}/fd")),
            threads=len(os.listdir(f"/proc/{self.pid}/task")),
            tasks=said["tasks"],
            sessions=said["sessions"],
        )

    async def settled(self, within: Count | None = None, *, timeout_s: float = 60) -> Count:
        """Count once nothing changes for a second and no session is left, or once it is
        ``within`` an earlier count; in any case after ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        last, since = await self.count(), time.monotonic()
        while time.monotonic() < deadline:
            if within is not None and not last.above(within):
                break
            await asyncio.sleep(0.2)
            now = await self.count()
            if now != last:
                last, since = now, time.monotonic()
            if within is None and now.sessions == 0 and time.monotonic() - since > 1:
                break
        return last

    async def sessions(self, number: int, *, timeout_s: float = 60) -> None:
        """Wait until it has so many sessions."""
        async with asyncio.timeout(timeout_s):
            while (await self.ask("count"))["sessions"] != number:
                await asyncio.sleep(0.05)

    async def terminate(self, *, timeout_s: float = 60) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), timeout_s)


@asynccontextmanager
async def watched(
    *, environment: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[Watched]:
    """Run a server until the block ends; SIGTERM ends its sessions at once, and nobody is refused
    for the load, unless `drain_ms` and `max_lag_ms` say otherwise.
    """
    settings.setdefault("drain_ms", 0)
    settings.setdefault("max_lag_ms", 0)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.watched_server",
        json.dumps(settings),
        env=inherited | (environment or {}),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            server = Watched(process, json.loads(await process.stdout.readline())["port"])
            await server.ask("count")
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        await asyncio.sleep(0)  # asyncio closes a pipe in the turn after the process ended
