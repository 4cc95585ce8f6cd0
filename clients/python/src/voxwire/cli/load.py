"""``voxwire load``: many sessions at once, and how they fared."""

import argparse
import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from voxwire._connect import connect
from voxwire._threads import in_thread
from voxwire.cli.load_chart import chart
from voxwire.cli.running import run
from voxwire.cli.talk import connecting
from voxwire.cli.turns import TurnWatch
from voxwire.latency import waited_ms
from voxwire.session import Session
from voxwire_protocol import events
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_protocol.errors import VoxwireError

__all__ = ["Load", "add_load", "percentile", "run_load"]

POLL_S: Final = 0.05
SHOW_S: Final = 5.0


@dataclass
class Load:
    """What came of the sessions so far.

    Attributes:
        connect_ms: How long each took until it was ready.
        turn_ms: How long a user waited for each answer.
        errors: Why sessions failed, by code.
        running: Sessions that are up.
        done: Sessions that ended in order.
        lost: How often a connection was lost.
        concealed_ms: Audio made up, over all sessions.
    """

    connect_ms: list[float] = field(default_factory=list[float])
    turn_ms: list[float] = field(default_factory=list[float])
    errors: Counter[str] = field(default_factory=Counter[str])
    running: int = 0
    done: int = 0
    lost: int = 0
    concealed_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """The figures, for a machine."""
        return {
            "sessions": self.done + sum(self.errors.values()),
            "failed": sum(self.errors.values()),
            "errors": dict(self.errors),
            "connections_lost": self.lost,
            "concealed_ms": self.concealed_ms,
            "turns": len(self.turn_ms),
            "connect_ms": _figures(self.connect_ms),
            "turn_ms": _figures(self.turn_ms),
        }

    def __str__(self) -> str:
        """The figures, for people."""
        failed = sum(self.errors.values())
        lines = [
            f"sessions  {self.done + failed} ended, {failed} failed"
            + "".join(f"; {count} {code}" for code, count in self.errors.most_common()),
            f"connect   {_line(self.connect_ms)}",
            f"turns     {_line(self.turn_ms)}",
            f"network   {self.lost} connections lost, {self.concealed_ms} ms concealed",
        ]
        return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that so many of 100 do not exceed; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = -(-share * len(ordered) // 100)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def _figures(values: Sequence[float]) -> dict[str, float | None]:
    shares = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {
        name: round(percentile(values, share), 1) if values else None
        for name, share in shares.items()
    }


def _line(values: Sequence[float]) -> str:
    if not values:
        return "none"
    figures = ", ".join(f"{name} {value:.0f}" for name, value in _figures(values).items())
    return f"{len(values)}: {figures} ms"


def add_load(commands: Any, add_connection: Any) -> None:
    """Adds the command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "load",
        help="hold many conversations at once",
        description="Open sessions, have each ask again and again, and print how long connecting"
        " and answers took. Exits with 1 when a session failed.",
    )
    parser.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    parser.add_argument("-n", "--sessions", type=_count, default=10, help="how many (default 10)")
    parser.add_argument(
        "--ramp",
        type=_seconds,
        default=5.0,
        metavar="S",
        help="the first and the last begin so far apart, seconds (default 5)",
    )
    parser.add_argument(
        "--duration",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="how long each goes on asking, seconds (default 30)",
    )
    parser.add_argument(
        "--text", default="what time is it", help="what each asks (default: what time is it)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--chart", metavar="SVG", help="draw how long answers and connecting took")
    add_connection(parser)


def _count(value: str) -> int:
    number = int(value)
    if not 0 < number <= 10_000:
        raise argparse.ArgumentTypeError("must be 1 to 10000")
    return number


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("must be at most 86400 seconds")
    return seconds


def run_load(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    return run(_load(options))


async def _load(options: argparse.Namespace) -> int:
    load, number = Load(), options.sessions
    options.record = None
    apart_s = options.ramp / max(1, number - 1)
    sessions = [
        asyncio.create_task(_session(options, load, after_s=apart_s * at), name="voxwire-load")
        for at in range(number)
    ]
    teller = asyncio.create_task(_tell(load, number))
    try:
        await asyncio.gather(*sessions)
    except asyncio.CancelledError:  # Ctrl-C: what there is counts all the same
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)
    print(json.dumps(load.as_json()) if options.json else load, flush=True)
    if options.chart is not None:
        drawn = chart({"connecting": load.connect_ms, "answers": load.turn_ms})
        await in_thread(lambda: Path(options.chart).write_text(drawn, "utf-8"))
    return 1 if load.errors else 0


async def _tell(load: Load, number: int) -> None:
    """Says on stderr how far it is."""
    while True:
        await asyncio.sleep(SHOW_S)
        failed = sum(load.errors.values())
        told = f"{load.running} of {number} talk, {load.done} ended, {failed} failed"
        print(f"{told}; turns {_line(load.turn_ms)}", file=sys.stderr, flush=True)


async def _session(options: argparse.Namespace, load: Load, *, after_s: float) -> None:
    """One conversation, which never raises but what it is cancelled with."""
    await asyncio.sleep(after_s)
    began_ms = SYSTEM_CLOCK.now_ms()
    try:
        async with connect(options.url, **connecting(options)) as session:
            load.connect_ms.append(SYSTEM_CLOCK.now_ms() - began_ms)
            load.running += 1
            try:
                await _ask(session, options, load)
            finally:
                load.running -= 1
                load.concealed_ms += session.concealed_ms
        load.done += 1
    except VoxwireError as error:
        load.errors[error.code.name] += 1


async def _ask(session: Session, options: argparse.Namespace, load: Load) -> None:
    """Asks whenever the bot has answered, for as long as it was asked to."""
    watch = TurnWatch()

    def note(event: Any) -> None:
        watch.feed(event, round(SYSTEM_CLOCK.now_ms()))
        if isinstance(event, events.TurnMetrics):
            load.turn_ms.append(waited_ms(event))
        elif isinstance(event, events.ConnectionChanged) and event.attempt == 1:
            load.lost += event.state == events.ConnectionState.RECONNECTING

    session.on(object, note)
    reading = asyncio.create_task(_read(session))
    try:
        async with asyncio.timeout(options.duration):
            while not reading.done():
                watch.arm(round(SYSTEM_CLOCK.now_ms()))
                await session.send_text(options.text, interrupt=False)
                while not (  # noqa: ASYNC110 - no event says it
                    watch.ended(round(SYSTEM_CLOCK.now_ms())) or reading.done()
                ):
                    await asyncio.sleep(POLL_S)
            reading.result()
    except TimeoutError:
        return
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, VoxwireError):
            await reading


async def _read(session: Session) -> None:
    async for _ in session:
        pass
