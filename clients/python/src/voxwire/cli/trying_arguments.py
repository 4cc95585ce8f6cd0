"""The arguments of ``eval``, ``load``, ``doctor`` and ``devices``.

They stand apart from what the commands do, so that a command loads nothing of the others.
"""

import argparse
from pathlib import Path
from typing import Any, Final

from voxwire.cli.numbers import count, milliseconds, seconds, seconds_from_zero

__all__ = ["add_devices", "add_doctor", "add_eval", "add_load"]

DEFAULT_URL: Final = "ws://127.0.0.1:7860"
DEFAULT_TIMEOUT_MS: Final = 60_000

_EVAL: Final = """\
examples:
  voxwire eval greeting.yaml
  voxwire eval scenarios/ --transport websocket --junit report.xml
  voxwire eval booking.yaml --url wss://bots.example --judge my_evals:judge

The files are those of `pipecat eval run`. `user: {modality: audio}` makes the user speak, `judge:
{modality: audio}` the bot; without them both write. What this client cannot run is not passed over:
it counts as not run, with the reason.

exit codes:
  0 every scenario passed              1 at least one failed
  2 wrong usage, or a file is wrong: one line on stderr with its line and what to do
  3 none failed, but some were not run (a judge is needed, a member that clients cannot do)
  130 interrupted with Ctrl-C
"""

_LOAD: Final = """\
exit codes:
  0 every session ended in order    1 one failed    2 wrong usage    6 the chart cannot be written
  130 interrupted with Ctrl-C; what there was until then is printed
"""

_DOCTOR: Final = """\
One cause is one failed check, with what to do behind ->; what needs it is skipped (–).
It takes 20 s at most, and the token, where it is good once, is used up.
What it prints holds this machine's public address and the server's: read it before you paste it.

exit codes:
  0 nothing is wrong    1 something is    2 wrong usage    130 interrupted with Ctrl-C
"""


def add_eval(commands: Any) -> None:
    """Adds the command and its arguments.

    Args:
        commands: What ``ArgumentParser.add_subparsers`` returned.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval",
        help="run Pipecat's evaluation scenarios against a bot",
        description="Run Pipecat's evaluation scenarios (YAML) against a bot, each in a session of"
        " its own.",
        epilog=_EVAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="a scenario file, or a folder of them"
    )
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    parser.add_argument(
        "--transport",
        choices=["webrtc", "websocket"],
        default="webrtc",
        help="what carries the audio (default webrtc)",
    )
    parser.add_argument("--bot", help="name of the bot, where the server has several")
    parser.add_argument(
        "--token",
        action="append",
        help="connect token; a one-time token serves one scenario: repeat it for each (default: the"
        " environment variable VOXWIRE_TOKEN)",
    )
    parser.add_argument(
        "--timeout-ms",
        type=milliseconds,
        default=DEFAULT_TIMEOUT_MS,
        metavar="MS",
        help=f"for expectations without within_ms (default {DEFAULT_TIMEOUT_MS})",
    )
    parser.add_argument(
        "--connect-timeout",
        type=seconds,
        default=10.0,
        metavar="S",
        help="longest wait for a session, seconds (default 10)",
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    parser.add_argument(
        "--voice",
        metavar="COMMAND",
        help="speaks for a user who speaks: a program that reads a text and writes a WAV (default:"
        " the voice of the offline bot if it is installed, else espeak-ng)",
    )
    parser.add_argument(
        "--judge",
        metavar="MODULE:FUNCTION",
        help="decides 'eval': a function (messages, criterion, config) that returns yes, no or"
        " continue; may be async",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show every event")


def add_load(commands: Any, add_connection: Any) -> None:
    """Adds the command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "load",
        help="hold many conversations at once",
        description="Open sessions, have each ask again and again, and print how long connecting"
        " and answers took.",
        epilog=_LOAD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    parser.add_argument("-n", "--sessions", type=count, default=10, help="how many (default 10)")
    parser.add_argument(
        "--ramp",
        type=seconds_from_zero,
        default=5.0,
        metavar="S",
        help="the first and the last begin so far apart, seconds (default 5)",
    )
    parser.add_argument(
        "--duration",
        type=seconds_from_zero,
        default=30.0,
        metavar="S",
        help="how long each goes on asking, seconds (default 30)",
    )
    parser.add_argument(
        "--text", default="what time is it", help="what each asks (default: what time is it)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--chart", metavar="SVG", help="draw how long answers and connecting took")
    add_connection(parser, record=False)


def add_doctor(commands: Any, token: str | None) -> None:
    """Adds the command ``doctor`` and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="find out why there is no conversation",
        description="Try what a conversation needs, step by step: name, TLS, the WebSocket through"
        " proxies, clock, token, room, STUN and TURN by protocol, UDP, three seconds of packets,"
        " the devices. A session is opened and ended again.",
        epilog=_DOCTOR,
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


def add_devices(commands: Any) -> None:
    """Adds the command ``devices``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "devices",
        help="list microphones and speakers",
        description="List the sound devices of this machine: their index, name and rate; * is the"
        " system's default.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
