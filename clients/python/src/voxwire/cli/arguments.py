"""The arguments of ``voxwire``."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, Final

from voxwire._choices import CODECS, ICE_POLICIES, TRANSPORTS
from voxwire.cli.completion import SHELLS
from voxwire.cli.numbers import seconds, seconds_from_zero
from voxwire.cli.steps import DEFAULT_TIMEOUT_S, Step
from voxwire.cli.trying_arguments import add_devices, add_doctor, add_eval, add_load

__all__ = ["parser", "parsers"]

_EPILOG: Final = """\
examples:
  voxwire talk ws://127.0.0.1:7860 --record talk.wav
  voxwire talk ws://127.0.0.1:7860 --in question.wav --out bot.wav --events events.jsonl
  voxwire talk ws://127.0.0.1:7860 --in story.wav --in stop.wav@1500 --in goodbye.wav
  voxwire talk ws://127.0.0.1:7860 --text "What is the weather in Paris?"
  voxwire talk http://localhost:7860 --peer pipecat --text "Hello!"

exit codes:
  0 the conversation ended normally    1 unexpected failure    2 wrong usage
  3 refused (token, capacity)          4 no media path         5 network or timeout
  6 audio file or format               7 protocol mismatch     8 the bot failed
  130 interrupted with Ctrl-C
Any failure is one line on stderr: voxwire: CODE: reason
"""


class _AddStep(argparse.Action):
    """Collects --in and --text in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        steps = list(namespace.steps)
        if option_string == "--text":
            steps.append(Step("text", str(values)))
        else:
            steps.append(_input_step(str(values)))
        namespace.steps = steps


class _Version(argparse.Action):
    """Prints the version, which is looked up where it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from voxwire._version import library_version

        print(f"voxwire {library_version()}")
        parser.exit()


def _input_step(value: str) -> Step:
    """``a.wav`` or ``a.wav@1500``; an @ that no number follows belongs to the name."""
    path, at, delay = value.rpartition("@")
    if at and path and delay.isdecimal():
        return Step("in", path, int(delay))
    return Step("in", value)


def parser() -> argparse.ArgumentParser:
    """The parser of ``voxwire``."""
    return _made()[0]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parsers of its commands, by name."""
    return _made()[1]


def _made() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    commands = argparse.ArgumentParser(prog="voxwire", description="Talk to a voice bot.")
    commands.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="show program's version number and exit",
    )
    group = commands.add_subparsers(dest="command", metavar="COMMAND")
    talk = group.add_parser(
        "talk",
        help="hold a conversation with a bot",
        description="Hold a conversation with a bot: live, from WAV files, from text, and on the"
        " record.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_talk(talk)
    _add_say(
        group.add_parser(
            "say",
            help="ask one thing and print the answer",
            description="Speak a WAV or type a text, and print the words of the answer as they are"
            " heard. Exits with 1 when the bot answers nothing.",
        )
    )
    _add_events(
        group.add_parser(
            "events",
            help="print the events of a session as JSON",
            description="Open a session and print each event as one JSON object a line, until it"
            " ends or Ctrl-C.",
        )
    )
    add_eval(group)
    add_load(group, _add_connection)
    add_doctor(group, os.environ.get("VOXWIRE_TOKEN"))
    add_devices(group)
    shell = group.add_parser(
        "completion",
        help="print what makes a shell complete these commands",
        description='For bash and zsh: eval "$(voxwire completion bash)"; for fish: voxwire'
        " completion fish | source",
    )
    shell.add_argument("shell", choices=SHELLS)
    return commands, dict(group.choices)


def _add_talk(talk: argparse.ArgumentParser) -> None:
    talk.set_defaults(steps=[])
    talk.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    _add_connection(talk)
    talk.add_argument(
        "--in",
        action=_AddStep,
        dest="inputs",
        metavar="WAV[@MS]",
        help="speak this file, any rate, then wait for the bot's turn to end; may be repeated."
        " With @MS it starts MS milliseconds after the bot's next first played word (a barge-in),"
        " or when a turn of the bot has ended without one",
    )
    talk.add_argument(
        "--text",
        action=_AddStep,
        dest="texts",
        metavar="TEXT",
        help="type this, then wait for the bot's turn to end; may be repeated and mixed with --in",
    )
    talk.add_argument(
        "--out",
        metavar="WAV",
        help="write the bot's media timeline: 16-bit mono, sample 0 is 0 ms; what was played"
        " stands at its position, what was flushed or never played is silence",
    )
    talk.add_argument(
        "--events",
        metavar="JSONL",
        help="write every event as one JSON object a line: t_ms (since connect started), type,"
        " fields; playout {t_ms, media_ms} every 100 ms and where the position jumps",
    )
    talk.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help=f"longest conversation, seconds (default {DEFAULT_TIMEOUT_S:g} and the length of the"
        " files)",
    )
    live = talk.add_argument_group("live, where neither --in nor --text is given")
    live.add_argument(
        "--microphone",
        metavar="DEVICE",
        help="index or part of the name; it is remembered for the next time (default: the one"
        " chosen last, else the system's; \"\" = the system's again)",
    )
    live.add_argument("--speaker", metavar="DEVICE", help="the same (voxwire devices lists them)")
    live.add_argument("--no-microphone", action="store_true", help="only what is typed is said")
    live.add_argument("--no-speaker", action="store_true", help="the bot is shown and not heard")
    live.add_argument(
        "--echo",
        choices=["auto", "cancel", "gate", "none"],
        default="auto",
        help="what keeps the bot from hearing itself; none = headphones (default auto)",
    )


def _add_say(say: argparse.ArgumentParser) -> None:
    say.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    say.add_argument("what", metavar="FILE|TEXT", help="a WAV that is spoken, or what is typed")
    say.add_argument("--out", metavar="WAV", help="write what the bot said")
    say.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help=f"longest conversation, seconds (default {DEFAULT_TIMEOUT_S:g} and the file's length)",
    )
    _add_connection(say)


def _add_events(tail: argparse.ArgumentParser) -> None:
    tail.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    tail.add_argument("--text", metavar="TEXT", help="type this first")
    _add_connection(tail)


def _add_connection(talk: argparse.ArgumentParser, *, record: bool = True) -> None:
    """How the session is opened: the same for every command that opens one."""
    talk.add_argument(
        "--transport",
        choices=[*TRANSPORTS, "daily"],
        default="auto",
        help="what carries the audio (default auto: WebRTC if it works, else WebSocket)",
    )
    talk.add_argument(
        "--codec",
        choices=CODECS,
        default="auto",
        help="of audio over WebSocket (default auto: pcm to this machine, else opus where it is"
        " installed on both sides)",
    )
    talk.add_argument(
        "--ice-policy",
        choices=ICE_POLICIES,
        default="all",
        help="relay: WebRTC goes through the server's TURN or not at all (default all)",
    )
    talk.add_argument(
        "--resume-timeout",
        type=seconds_from_zero,
        metavar="S",
        help="when the connection is lost, try for so long to come back (default: as long as the"
        " server keeps the session)",
    )
    talk.add_argument(
        "--token",
        default=os.environ.get("VOXWIRE_TOKEN"),
        help="connect token (default: the environment variable VOXWIRE_TOKEN)",
    )
    talk.add_argument(
        "--peer",
        choices=["voxwire", "pipecat"],
        default="voxwire",
        help="who is there: a Voxwire server, or a bot of Pipecat's own runner (default voxwire)",
    )
    talk.add_argument("--bot", help="name of the bot, where the server has several")
    if not record:
        talk.set_defaults(record=None)
        return
    talk.add_argument(
        "--record",
        metavar="WAV",
        help="write the conversation: the user left, what is heard of the bot right",
    )
