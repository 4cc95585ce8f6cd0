"""The command line of the client: ``voxwire talk URL``."""

import sys

from voxwire.cli.arguments import parser
from voxwire.cli.talk import run_talk

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None = those of the process.

    Returns:
        The exit code: 0 after a normal end, else as ``voxwire talk --help`` lists them.
    """
    commands = parser()
    options = commands.parse_args(argv)
    if options.command != "talk":
        commands.print_help(sys.stderr)
        return 2
    return run_talk(options)
