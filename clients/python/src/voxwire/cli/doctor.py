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

__all__ = ["run_doctor"]

JSON_VERSION: Final = 1
"""Of what ``--json`` prints; a member that is added changes nothing of it."""

_COLOURS: Final = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}


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
