"""The command line of the client: ``voxwire talk URL``, ``eval``, ``doctor``, ``devices``."""

import argparse
import sys
from collections.abc import Callable
from typing import Final

from voxwire.cli.arguments import parser, parsers
from voxwire.cli.completion import completion
from voxwire.cli.doctor import run_doctor
from voxwire.cli.evaluate import run_eval
from voxwire.cli.live_talk import run_talk
from voxwire.cli.load import run_load
from voxwire.cli.looking import run_devices
from voxwire.cli.running import guarded
from voxwire.cli.short import run_events, run_say

__all__ = ["main"]


def _run_completion(options: argparse.Namespace) -> int:
    """Runs ``voxwire completion``; returns the exit code."""
    print(completion(parsers(), options.shell))
    return 0


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "talk": run_talk,
    "say": run_say,
    "events": run_events,
    "eval": run_eval,
    "load": run_load,
    "doctor": run_doctor,
    "devices": run_devices,
    "completion": _run_completion,
}


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        The exit code: 0 after a normal end, else as ``--help`` of the command lists them.
    """
    commands = parser()
    options = commands.parse_args(argv)
    command = _COMMANDS.get(options.command)
    if command is None:
        commands.print_help(sys.stderr)
        return 2
    return guarded(lambda: command(options))
