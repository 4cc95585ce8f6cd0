"""``voxwire say`` and ``voxwire events``: one question, one stream of events."""

import argparse
import asyncio
import os
import sys
from contextlib import AbstractContextManager
from typing import IO, Any, Final

from voxwire._arguments import invalid
from voxwire._connect import connect
from voxwire.audio import as_speaker
from voxwire.cli.record import EventLog, LoggedSpeaker
from voxwire.cli.running import run
from voxwire.cli.script_microphone import ScriptMicrophone, duration_ms
from voxwire.cli.steps import DEFAULT_TIMEOUT_S, Step
from voxwire.cli.talk import Script, connecting, spoken_s
from voxwire_protocol import events
from voxwire_protocol.errors import ErrorCode, MediaError, TransportError

__all__ = ["run_events", "run_say"]


def run_say(options: argparse.Namespace) -> int:
    """Runs ``voxwire say``; returns the exit code."""
    spoken = os.path.isfile(options.what)
    if not spoken and options.what.lower().endswith(".wav"):
        raise MediaError(ErrorCode.DEVICE, f"there is no file {options.what}")
    if not options.what.strip():
        raise invalid("there is nothing to say")
    return run(_say(options, Step("in" if spoken else "text", options.what)))


async def _say(options: argparse.Namespace, step: Step) -> int:
    spoken = step.kind == "in"
    lengths = {step.value: duration_ms(step.value)} if spoken else {}
    microphone, log = ScriptMicrophone(), EventLog(None)
    connection = connect(
        options.url,
        microphone=microphone if spoken else None,
        speaker=LoggedSpeaker(as_speaker(options.out), log),
        **connecting(options),
    )
    timeout_s: float = options.timeout or DEFAULT_TIMEOUT_S + spoken_s([step], lengths)
    view = _Answer(sys.stdout)
    try:
        async with connection as session, asyncio.timeout(timeout_s):
            with view:
                await Script(session, microphone, log=log, view=view).hold([step], lengths)
    except TimeoutError:
        reason = f"the bot did not finish its answer within {timeout_s:g} s"
        raise TransportError(ErrorCode.TIMEOUT, reason) from None
    if not view.answered:
        print("voxwire: the bot answered nothing", file=sys.stderr)
    return 0 if view.answered else 1


class _Answer(AbstractContextManager["_Answer"]):
    """Prints the words of the answer as they are heard, an utterance a line.

    Attributes:
        answered: Whether there was a word.
    """

    def __init__(self, out: IO[str]) -> None:
        self.answered = False
        self._out = out
        self._asked = False
        self._line = False

    def __exit__(self, *_: object) -> None:
        self._end_line()

    def show(self, event: events.Event) -> None:
        """Takes the next event; what came before the question is no answer."""
        match event:
            case events.UserTranscript(final=True):
                self._asked = True
            case events.BotWord() if self._asked:
                self._out.write(f"{' ' if self._line else ''}{event.text}")
                self._out.flush()
                self.answered = self._line = True
            case events.UtteranceEnded():
                self._end_line()
            case _:
                pass

    def spoken(self, name: str, done_ms: int, length_ms: int | None) -> None:
        """Nothing: only the answer is printed."""

    def _end_line(self) -> None:
        if self._line:
            self._out.write("\n")
            self._out.flush()
        self._line = False


def run_events(options: argparse.Namespace) -> int:
    """Runs ``voxwire events``; returns the exit code."""
    return run(_events(options))


async def _events(options: argparse.Namespace) -> int:
    log = EventLog(sys.stdout)
    quiet: Final[dict[str, Any]] = connecting(options)
    async with connect(options.url, **quiet) as session:
        if options.text is not None:
            await session.send_text(options.text)
        async for event in session:
            log.event(event)
            sys.stdout.flush()
    return 0
