"""``voxwire doctor``: what stands between this machine and a conversation."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from voxwire._diagnosis.checks import ORDER
from voxwire._threads import DaemonExecutor
from voxwire.diagnosis import Check, Diagnosis, diagnose

__all__ = ["add_doctor", "run_doctor"]

JSON_VERSION: Final = 1
"""Of what ``--json`` prints; a member that is added changes nothing of it."""

_EPILOG: Final = """\
One cause is one failed check, with what to do behind ->; what needs it is skipped (–).
It takes 20 s at most, and the token, where it is good once, is used up.
What it prints holds this machine's public address and the server's: read it before you paste it.

exit codes:
  0 nothing is wrong    1 something is    2 wrong usage    130 interrupted with Ctrl-C
"""
_COLOURS: Final = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}


def add_doctor(commands: Any, token: str | None) -> None:
    """Adds the command ``doctor`` and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="find out why there is no conversation",
        description="Try what a conversation needs, step by step: name, TLS, the WebSocket through"
        " proxies, clock, token, room, STUN and TURN by protocol, UDP, three seconds of packets,"
        " the devices. A session is opened and ended again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    parser.add_argument("--token", default=token, help="connect token (default: VOXWIRE_TOKEN)")
    parser.add_argument("--bot", help="name of the bot, where the server has several")
    parser.add_argument(
        "--no-devices",
        dest="devices",
        action="store_false",
        help="leave out microphone and speaker",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_doctor(options: argparse.Namespace) -> int:
    """Runs ``voxwire doctor``; returns the exit code."""
    device = True if options.devices else None
    told = None if options.json else _Told(sys.stdout, sys.stderr)
    if told is not None:
        told.trying(ORDER[0])
    try:
        found = asyncio.run(_examine(options, device, None if told is None else told.show))
    finally:
        if told is not None:
            told.clear()
    if options.json:
        print(json.dumps(as_json(found), ensure_ascii=False))
    return 0 if found.ok else 1


async def _examine(
    options: argparse.Namespace, device: bool | None, on_check: Callable[[Check], object] | None
) -> Diagnosis:
    """The diagnosis, where nothing is waited for at the end: a look-up may hang for minutes."""
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    return await diagnose(
        options.url,
        token=options.token,
        bot=options.bot,
        microphone=device,
        speaker=device,
        on_check=on_check,
    )


def as_json(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis as ``--json`` prints it."""
    checks = [
        {
            "name": check.name,
            "state": check.state,
            "detail": check.detail,
            "advice": check.advice,
            "needs": check.needs,
            "code": None if check.code is None else check.code.name.lower(),
            "duration_ms": check.duration_ms,
        }
        for check in found.checks
    ]
    return {"version": JSON_VERSION, "ok": found.ok, "checks": checks}


class _Told:
    """Prints checks as they are made; on a terminal, what is being tried as well."""

    def __init__(self, out: TextIO, progress: TextIO) -> None:
        self._out, self._progress = out, progress
        self._coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._shows_progress = progress.isatty() and out.isatty()

    def show(self, check: Check) -> None:
        self.clear()
        line = str(check)
        if self._coloured:
            line = f"\x1b[{_COLOURS[check.state]}m{line}\x1b[0m"
        print(line, file=self._out, flush=True)
        if check.name != ORDER[-1]:
            self.trying(ORDER[ORDER.index(check.name) + 1])

    def trying(self, name: str) -> None:
        if self._shows_progress:
            print(f"{name:<11} ...", end="", file=self._progress, flush=True)

    def clear(self) -> None:
        if self._shows_progress:
            print("\r\x1b[K", end="", file=self._progress, flush=True)
