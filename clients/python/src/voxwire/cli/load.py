"""``voxwire load``: many sessions at once, and how they fared."""

import argparse
import asyncio
import json
import logging
import sys
from dataclasses import replace
from typing import Any, Final

from voxwire._connect import connect
from voxwire._environment import Environment
from voxwire.cli.load_chart import chart
from voxwire.cli.load_figures import Load, told
from voxwire.cli.running import INTERRUPTED, run, written
from voxwire.cli.talk import connecting
from voxwire.cli.turns import NO_ANSWER_MS, TurnWatch
from voxwire.latency import waited_ms
from voxwire.session import Session
from voxwire_protocol import events
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import UsageError, VoxwireError

__all__ = ["hold", "run_load"]

_log = logging.getLogger("voxwire")

POLL_S: Final = 0.05
SHOW_S: Final = 5.0


def run_load(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    return run(_load(options))


async def _load(options: argparse.Namespace) -> int:
    load = Load()
    with written(options.chart) as chart_file:
        try:
            await hold(options, load)
            code = 1 if load.errors else 0
        except asyncio.CancelledError:  # Ctrl-C: what there is counts all the same
            code = INTERRUPTED
        print(json.dumps(load.as_json()) if options.json else load, flush=True)
        if chart_file is not None:
            chart_file.write(chart({"connecting": load.connect_ms, "answers": load.turn_ms}))
    return code


async def hold(
    options: argparse.Namespace, load: Load, environment: Environment | None = None
) -> None:
    """Holds the sessions; returns when the last has ended. Cancelled, it ends them in order."""
    around, number = environment or Environment(), options.sessions
    apart_s = options.ramp / max(1, number - 1)
    sessions = [
        asyncio.create_task(
            _session(options, load, around, after_s=apart_s * at), name="voxwire-load"
        )
        for at in range(number)
    ]
    teller = asyncio.create_task(_tell(load, number))
    try:
        await asyncio.gather(*sessions)
    finally:
        for task in (*sessions, teller):
            task.cancel()
        await asyncio.gather(*sessions, teller, return_exceptions=True)


async def _tell(load: Load, number: int) -> None:
    """Says on stderr how far it is."""
    while True:
        await asyncio.sleep(SHOW_S)
        far = f"{load.running} of {number} talk, {load.done} ended, {load.failed} failed"
        print(f"{far}; turns {told(load.turn_ms)}", file=sys.stderr, flush=True)


def _connecting(options: argparse.Namespace) -> dict[str, Any]:
    """Those of a client that is refused where there is no place: it would be counted late."""
    given = connecting(options)
    timeouts = replace(given["timeouts"], waiting_ms=0)
    return {**given, "timeouts": timeouts, "on_waiting": None}


async def _session(
    options: argparse.Namespace, load: Load, around: Environment, *, after_s: float
) -> None:
    """One conversation, which never raises but what it is cancelled with."""
    await asyncio.sleep(after_s)
    began_ms = around.clock.now_ms()
    try:
        async with connect(options.url, environment=around, **_connecting(options)) as session:
            load.connect_ms.append(around.clock.now_ms() - began_ms)
            load.running += 1
            try:
                await _Asking(session, load, around.clock).ask(options.text, options.duration)
            finally:
                load.running -= 1
                load.concealed_ms += session.concealed_ms
        load.done += 1
    except asyncio.CancelledError:
        load.stopped += 1
        raise
    except VoxwireError as error:
        load.errors[error.code.name] += 1
    except Exception as error:  # one that breaks must not take the others with it
        _log.exception("a session broke")
        load.errors[type(error).__name__] += 1


class _Asking:
    """Asks in one session whenever the bot has answered."""

    def __init__(self, session: Session, load: Load, clock: Clock) -> None:
        self._session = session
        self._load = load
        self._clock = clock
        self._watch = TurnWatch()
        self._asked_ms = 0

    async def ask(self, text: str, duration_s: float) -> None:
        """Asks for so long.

        Raises:
            VoxwireError: Why the session failed.
        """
        self._session.on(object, self._note)
        reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(duration_s):
                while not reading.done():
                    await self._ask_once(text, reading)
        except TimeoutError:
            self._count(self._now_ms())
            return
        except UsageError:  # it has ended just now: why is the reader's to say
            await reading
            raise
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await reading
        self._load.early += 1

    async def _ask_once(self, text: str, reading: asyncio.Task[None]) -> None:
        self._asked_ms = self._now_ms()
        self._watch.arm(self._asked_ms)
        await self._session.send_text(text)
        while not reading.done():
            if self._watch.ended(self._now_ms()):
                self._count(self._now_ms())
                return
            await asyncio.sleep(POLL_S)

    def _count(self, now_ms: int) -> None:
        """Counts the last question, if the bot has said nothing to it for long."""
        waited_ms = now_ms - self._asked_ms
        self._load.unanswered += not self._watch.spoke and waited_ms >= NO_ANSWER_MS

    async def _read(self) -> None:
        async for _ in self._session:
            pass

    def _now_ms(self) -> int:
        return round(self._clock.now_ms())

    def _note(self, event: Any) -> None:
        self._watch.feed(event, self._now_ms())
        if isinstance(event, events.TurnMetrics):
            self._load.turn_ms.append(waited_ms(event))
        elif isinstance(event, events.ConnectionChanged) and event.attempt == 1:
            self._load.lost += event.state == events.ConnectionState.RECONNECTING
