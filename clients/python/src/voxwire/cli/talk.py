"""``voxwire talk``: a conversation from files and text, on the record."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from voxwire._connect import connect
from voxwire._timeouts import Timeouts
from voxwire.audio import as_speaker
from voxwire.cli.lines import quality_line
from voxwire.cli.live import View, make_view
from voxwire.cli.record import EventLog, LoggedSpeaker
from voxwire.cli.running import run, written
from voxwire.cli.script_microphone import ScriptMicrophone, duration_ms
from voxwire.cli.steps import DEFAULT_TIMEOUT_S, Step
from voxwire.cli.turns import TurnWatch
from voxwire.cli.waiting import say_place
from voxwire.rtvi import PipecatBot
from voxwire.session import Session
from voxwire_protocol.errors import ErrorCode, TransportError

__all__ = ["Script", "connecting", "run_script", "spoken_s"]

GREETING_MS: Final = 4000
"""How long the bot may take to begin a greeting; after it, it has none."""

POLL_S: Final = 0.01


def run_script(options: argparse.Namespace) -> int:
    """Runs the command with files and texts; returns the exit code."""
    return run(_talk(options))


async def _talk(options: argparse.Namespace) -> int:
    steps: list[Step] = options.steps
    lengths = {step.value: duration_ms(step.value) for step in steps if step.kind == "in"}
    timeout_s: float = options.timeout or DEFAULT_TIMEOUT_S + spoken_s(steps, lengths)
    with written(options.events) as file:
        log = EventLog(file)
        microphone = ScriptMicrophone()
        connection = connect(
            options.url,
            microphone=microphone if lengths else None,
            speaker=LoggedSpeaker(as_speaker(options.out), log),
            **connecting(options),
        )
        try:
            async with connection as session, asyncio.timeout(timeout_s):
                with make_view(sys.stdout) as view:
                    talk = Script(session, microphone, log=log, view=view)
                    await talk.hold(steps, lengths)
                print(quality_line(session.quality), flush=True)
        except TimeoutError:
            reason = f"the conversation did not end within {timeout_s:g} s"
            raise TransportError(ErrorCode.TIMEOUT, reason) from None
    return 0


def connecting(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `connect` that the options of a command say."""
    resume_s = options.resume_timeout
    resume_ms = None if resume_s is None else resume_s * 1000
    return {
        "transport": options.transport,
        "codec": options.codec,
        "ice_policy": options.ice_policy,
        "timeouts": Timeouts(resume_ms=resume_ms),
        "token": options.token,
        "bot": options.bot,
        "record": options.record,
        "on_waiting": say_place,
        "peer": PipecatBot() if options.peer == "pipecat" else None,
    }


def spoken_s(steps: list[Step], lengths: dict[str, int | None]) -> float:
    """How long the user speaks in all, as far as the files say, seconds."""
    return sum(lengths.get(step.value) or 0 for step in steps if step.kind == "in") / 1000


class Script:
    """Does the user's steps, one after the other, while the session's events are written."""

    def __init__(
        self, session: Session, microphone: ScriptMicrophone, *, log: EventLog, view: View
    ) -> None:
        self._session = session
        self._microphone = microphone
        self._log = log
        self._view = view
        self._watch = TurnWatch()
        self._over = asyncio.Event()

    async def hold(self, steps: list[Step], lengths: dict[str, int | None]) -> None:
        """Returns when the steps are done and the bot has answered, or the session is over."""
        script = asyncio.create_task(self._follow(steps, lengths))
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({script, reader}, return_when=asyncio.FIRST_COMPLETED)
            if script.done():
                script.result()
                await self._session.close()
            await reader
        finally:
            for task in (script, reader):
                task.cancel()
            await asyncio.gather(script, reader, return_exceptions=True)

    async def _read(self) -> None:
        """Writes every event down."""
        try:
            async for event in self._session:
                self._log.event(event)
                self._watch.feed(event, self._log.now_ms())
                self._view.show(event)
        finally:
            self._over.set()

    async def _follow(self, steps: list[Step], lengths: dict[str, int | None]) -> None:
        if steps[0].barge_in_ms is None:
            await self._wait_greeting()
        for number, step in enumerate(steps, 1):
            if (delay_ms := step.barge_in_ms) is not None:
                await self._until(partial(self._watch.barges_in, delay_ms))
            self._watch.arm(self._log.now_ms())
            await self._do(step, lengths)
            if number == len(steps) or steps[number].barge_in_ms is None:
                await self._until(self._watch.ended)

    async def _do(self, step: Step, lengths: dict[str, int | None]) -> None:
        if step.kind == "text":
            await self._session.send_text(step.value)
            return
        self._log.write(self._log.now_ms(), "input_started", {"path": step.value})
        name, length_ms = step.value, lengths[step.value]
        await self._microphone.play(
            name, lambda done_ms: self._view.spoken(name, done_ms, length_ms)
        )
        self._log.write(self._log.now_ms(), "input_ended", {"path": step.value})

    async def _wait_greeting(self) -> None:
        """Waits the greeting out, if one begins within 4 s."""
        until_ms = self._log.now_ms() + GREETING_MS

        def over(now_ms: int) -> bool:
            return self._watch.ended(now_ms) or (now_ms >= until_ms and not self._watch.spoke)

        await self._until(over)

    async def _until(self, condition: Callable[[int], bool]) -> None:
        """Waits for something that depends on time; --timeout bounds it."""
        while not condition(self._log.now_ms()):  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(POLL_S)
