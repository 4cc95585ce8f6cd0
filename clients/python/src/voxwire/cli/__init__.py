"""The command line of the client: ``voxwire talk URL``, ``eval``, ``doctor``, ``devices``."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final

from voxwire.cli.arguments import parser, parsers
from voxwire.cli.completion import completion

__all__ = ["main"]

_COMMANDS: Final = {
    "talk": ("live_talk", "run_talk"),
    "say": ("short", "run_say"),
    "events": ("short", "run_events"),
    "call": ("call", "run_call"),
    "eval": ("evaluate", "run_eval"),
    "load": ("load", "run_load"),
    "doctor": ("doctor", "run_doctor"),
    "devices": ("looking", "run_devices"),
}
"""Where a command is, and what runs it: it is loaded when it is asked for."""


def _run_completion(options: argparse.Namespace) -> int:
    """Runs ``voxwire completion``; returns the exit code."""
    print(completion(parsers(), options.shell))
    return 0


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    if name == "completion":
        return _run_completion
    module, function = _COMMANDS[name]
    return getattr(import_module(f"voxwire.cli.{module}"), function)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        The exit code: 0 after a normal end, else as ``--help`` of the command lists them.
    """
    commands = parser()
    options = commands.parse_args(argv)
    if options.command is None:
        commands.print_help(sys.stderr)
        return 2
    from voxwire.cli.running import guarded  # loads asyncio, which no help needs

    return guarded(lambda: _command(options.command)(options))
