"""``voxwire talk`` without files: microphone, speaker, and what is typed meanwhile."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Final

from voxwire._connect import connect
from voxwire._live.backend import Device
from voxwire._live.memory import default_path
from voxwire._threads import in_thread
from voxwire.cli.lines import quality_line
from voxwire.cli.live import PlainView
from voxwire.cli.record import EventLog
from voxwire.cli.running import run, written
from voxwire.cli.talk import connecting, run_script
from voxwire.session import Session
from voxwire_protocol.errors import VoxwireError

__all__ = ["run_talk"]

_HELP: Final = """\
     Speak, or type a line. /interrupt cuts the bot off, /mute and /unmute close and open the
     microphone, /quit hangs up (Ctrl-C, too).
"""


def run_talk(options: argparse.Namespace) -> int:
    """Runs ``voxwire talk``; returns the exit code. Errors are one line on stderr."""
    return run_script(options) if options.steps else run(_talk(options))


async def _talk(options: argparse.Namespace) -> int:
    """Talks until somebody hangs up; returns the exit code."""
    with written(options.events) as file:
        log = EventLog(file)
        connection = connect(
            options.url,
            microphone=None if options.no_microphone else _device(options.microphone),
            speaker=_speaker(options),
            echo=options.echo,
            remember_devices=_has_home(),
            **connecting(options),
        )
        async with connection as session:
            over = asyncio.Event()
            with PlainView(sys.stdout) as view, _hang_up_on_ctrl_c(over):
                print(_HELP, end="", flush=True)
                tasks: list[asyncio.Task[Any]] = [
                    asyncio.create_task(_follow(session, log, view)),
                    asyncio.create_task(_type(session)),
                    asyncio.create_task(over.wait()),
                ]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    if not tasks[0].done():
                        await session.close()
                    for task in tasks[:2]:
                        if task is tasks[0] or task.done():
                            await task
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
            print(quality_line(session.quality), flush=True)
    return 0


def _device(asked: str | None) -> Any:
    """True for the one that was chosen last, else the system's default; a number is an index,
    nothing is the system's again, anything else part of a name.
    """
    if asked is None:
        return True
    return int(asked) if asked.isdecimal() else Device(asked or None)


def _has_home() -> bool:
    """Whether there is a folder for what this user has chosen."""
    try:
        default_path()
    except VoxwireError:
        return False
    return True


def _speaker(options: argparse.Namespace) -> Any:
    if options.out is not None:
        return options.out
    return None if options.no_speaker else _device(options.speaker)


@contextlib.contextmanager
def _hang_up_on_ctrl_c(over: asyncio.Event) -> Generator[None]:
    """Ctrl-C ends the conversation in order, where the loop can be told of it."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, over.set)
    except (NotImplementedError, RuntimeError):  # Windows; not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _follow(session: Session, log: EventLog, view: PlainView) -> None:
    async for event in session:
        log.event(event)
        view.show(event)


async def _lines() -> AsyncIterator[str]:
    """What is typed, a line at a time; ends with the input, or when there is none."""
    if sys.stdin is None:  # closed by whoever started the program
        return
    with contextlib.suppress(OSError):
        while line := await in_thread(sys.stdin.readline, name="voxwire-typed"):
            yield line.strip()


async def _type(session: Session) -> None:
    """Sends what is typed. Where nothing can be typed, or no more, it goes on by voice alone."""
    verbs: dict[str, Callable[[], Awaitable[Any]]] = {
        "/interrupt": session.interrupt,
        "/mute": session.mute,
        "/unmute": lambda: session.mute(False),
    }
    async for line in _lines():
        if line == "/quit":
            return
        try:
            if line in verbs:
                await verbs[line]()
            elif line.startswith("/"):
                print(_HELP, end="", flush=True)
            elif line:
                await session.send_text(line)
        except VoxwireError as error:
            print(f"     {error.reason}", flush=True)
    await asyncio.Event().wait()
