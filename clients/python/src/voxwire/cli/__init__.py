"""The command line of the client: ``voxwire talk URL``, ``eval``, ``doctor``, ``devices``."""

import sys

from voxwire.cli.arguments import parser
from voxwire.cli.evaluate import run_eval
from voxwire.cli.looking import run_devices, run_doctor
from voxwire.cli.talk import run_talk

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        The exit code: 0 after a normal end, else as ``--help`` of the command lists them.
    """
    commands = parser()
    options = commands.parse_args(argv)
    if options.command == "talk":
        return run_talk(options)
    if options.command == "eval":
        return run_eval(options)
    if options.command == "doctor":
        return run_doctor(options)
    if options.command == "devices":
        return run_devices(options)
    commands.print_help(sys.stderr)
    return 2
