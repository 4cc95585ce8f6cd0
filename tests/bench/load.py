"""A load generator as a process: `python -m tests.bench.load ws|webrtc --dialect M:C --port N ...`.

It speaks JSON lines on stdout: `window` start and end (whoever started it reads the server's CPU
at these), `stall` (now stop the server for a moment), `result` last.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from tests.bench.dialects import load_dialect
from tests.bench.trips import Trips


def say(event: str, **fields: Any) -> None:
    """One line on stdout."""
    print(json.dumps({"event": event, **fields}), flush=True)


def own_cpu_s() -> float:
    """What this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Windows:
    """The course of a measurement: settle, silence, windows; perhaps a stall and as many again."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.results: list[dict[str, Any]] = []

    async def __call__(self, trips: Trips, pause: Callable[[float], Awaitable[None]]) -> None:
        """Runs on a connected load."""
        say("connected", sessions=self._options.sessions)
        await asyncio.sleep(self._options.settle)
        await pause(1.0)  # what piled up while sessions joined drains
        await asyncio.sleep(0.5)
        await self._windows(trips, "before")
        if self._options.stall:
            say("stall")
            await asyncio.sleep(2.5)  # no silence here: a backlog that stays is the point
            await self._windows(trips, "after stall")

    async def _windows(self, trips: Trips, name: str) -> None:
        for _ in range(self._options.windows):
            await self._window(trips, name)

    async def _window(self, trips: Trips, name: str) -> None:
        say("window", state="start", name=name)
        started_s, cpu_s = time.monotonic(), own_cpu_s()
        trips.open(started_s)
        await asyncio.sleep(self._options.window)
        ended_s = time.monotonic()
        trips.close(ended_s)
        say("window", state="end", name=name)
        load_percent = 100 * (own_cpu_s() - cpu_s) / (ended_s - started_s)
        await asyncio.sleep(self._options.linger)
        result = trips.collect().as_dict()
        self.results.append({"name": name, "load_cpu_percent": load_percent, **result})


async def run(options: argparse.Namespace) -> int:
    """Runs one load to its end."""
    # imported late: the WebSocket load needs no aiortc, the other no uvloop protocol
    if options.kind == "ws":
        from tests.bench.load_ws import run_ws_load as run_load
    else:
        from tests.bench.load_rtc import run_rtc_load as run_load
    windows = Windows(options)
    try:
        await run_load(
            dialect=load_dialect(options.dialect),
            host=options.host,
            port=options.port,
            count=options.sessions,
            measure=windows,
        )
    except (OSError, TimeoutError) as error:
        say("failed", reason=f"{type(error).__name__}: {error}")
        return 1
    say("result", windows=windows.results)
    return 0


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["ws", "webrtc"])
    parser.add_argument("--dialect", required=True, help="module:Class")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--settle", type=float, default=2.0)
    parser.add_argument("--window", type=float, default=6.0)
    parser.add_argument("--windows", type=int, default=1, help="of each kind")
    parser.add_argument("--linger", type=float, default=1.0)
    parser.add_argument("--stall", action="store_true")
    options = parser.parse_args()
    return uvloop.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
