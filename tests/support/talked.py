"""`voxwire talk`, or that of another client, in a process of its own, and what its record says."""

import asyncio
import json
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.clients import TALK

__all__ = ["Talk", "firing_errors", "talk"]


@dataclass
class Talk:
    """What one run of the program brought."""

    code: int
    out: str
    err: str
    rows: list[dict[str, Any]]
    elapsed_s: float

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["type"] == kind]


async def talk(
    url: str,
    *arguments: str | Path,
    events: Path,
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> Talk:
    """Runs `… talk URL --events … arguments`; its time counts from the end of meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *(*TALK, url, "--events", str(events)),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    started = time.monotonic()
    try:
        async with asyncio.timeout(60):
            if meanwhile is not None:
                await meanwhile(process)
                started = time.monotonic()
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    rows = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    return Talk(process.returncode, out.decode(), err.decode(), rows, time.monotonic() - started)


def moment_ms(points: list[tuple[int, int]], media_ms: int) -> float | None:
    """When a position was played: linear between two playout lines while the position moves."""
    runs = [(t0, m0, t1, m1) for (t0, m0), (t1, m1) in pairwise(points) if m1 > m0 and t1 > t0]
    at = bisect_right([run[1] for run in runs], media_ms) - 1
    if at < 0 or media_ms > runs[at][3]:
        return None
    t0, m0, t1, m1 = runs[at]
    return t0 + (media_ms - m0) * (t1 - t0) / (m1 - m0)


def firing_errors(run: Talk) -> list[float]:
    """How far each word fired from the moment at which its start was played, milliseconds."""
    points = [(row["t_ms"], row["media_ms"]) for row in run.of("playout")]
    errors: list[float] = []
    for word in run.of("bot_word"):
        moment = moment_ms(points, word["start_ms"])
        assert moment is not None, f"{word['text']!r} fired, and its start was never played"
        errors.append(word["t_ms"] - moment)
    return errors
