"""One conversation of a client with a server, each a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.contenders import Contender
from tests.bench.measure import Meter, Usage
from tests.bench.processes import LOAD_CORE, ROOT, BenchError, pin, serving, stop

TIMEOUT_S = 300


@dataclass(frozen=True)
class Talk:
    """What a conversation came to: lists of milliseconds, and counts."""

    figures: dict[str, Any]
    usage: Usage

    def ms(self, name: str) -> list[float]:
        """One of the lists."""
        return self.figures.get(name, [])

    def count(self, name: str) -> int:
        """One of the counts."""
        return int(self.figures.get(name, 0))

    def as_dict(self) -> dict[str, Any]:
        """For bench.json."""
        return {**self.figures, "usage": asdict(self.usage), "noisy": self.usage.noisy}


async def measure_talk(contender: Contender, *, what: str, client: str, rounds: int) -> Talk:
    """Starts the server, has the client talk to it."""
    async with serving(contender) as (server, port):
        words = [what, "--client", client, "--port", str(port), "--rounds", str(rounds)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.talk",
            *words,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=pin(LOAD_CORE),
        )
        meter = Meter(server, [process.pid, os.getpid()])
        meter.start()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                figures = await read_result(process)
            return Talk(figures, meter.stop())
        finally:
            await stop(process)


async def read_result(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The line that holds the figures."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b'{"event": "result"'):
            figures: dict[str, Any] = json.loads(line)
            return figures
    raise BenchError("the conversation ended without a result")
