"""The arguments of ``voxwire``."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, Final

from voxwire._choices import CODECS, ICE_POLICIES, PHONE_VENDORS, TRANSPORTS
from voxwire.cli.completion import SHELLS
from voxwire.cli.numbers import milliseconds_from_zero, percent, seconds, seconds_from_zero
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

_CALL: Final = """\
examples:
  voxwire call http://127.0.0.1:7860 --public-url https://bot.example --secret TOKEN --in hello.wav
  voxwire call http://127.0.0.1:7860 --vendor vonage --in story.wav --in stop.wav@1500 --keys 1#

The server needs VOXWIRE_PUBLIC_URL and the vendor's setting; the secret is the same as there. For
Telnyx it is any text, and the server's key what --show-key prints for it.

exit codes:
  0 the call ended as calls end    1 unexpected failure    2 wrong usage
  3 turned away                    5 network or timeout    6 audio file
  7 the server has sent what the vendor would end the call for
  130 interrupted with Ctrl-C
"""


class _AddStep(argparse.Action):
    """Collects --in, --text and --keys in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        steps = list(namespace.steps)
        if option_string in ("--text", "--keys"):
            steps.append(Step(option_string[2:], str(values)))
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
    _add_call(
        group.add_parser(
            "call",
            help="ring a bot as the vendor of a telephone number does",
            description="Ring a bot as Twilio, Telnyx, Plivo, Exotel or Vonage would: a fake caller"
            " who speaks files and presses keys, for tests and demonstrations. It hangs up when the"
            " last step was answered.",
            epilog=_CALL,
            formatter_class=argparse.RawDescriptionHelpFormatter,
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


def _add_call(call: argparse.ArgumentParser) -> None:
    call.set_defaults(steps=[])
    call.add_argument("url", metavar="URL", help="the server, for instance http://127.0.0.1:7860")
    call.add_argument("--vendor", choices=PHONE_VENDORS, default="twilio", help="(default twilio)")
    call.add_argument(
        "--secret",
        help="what the vendor signs with (default: the environment variable that the server reads)",
    )
    call.add_argument("--show-key", action="store_true", help="print Telnyx's key, and do nothing")
    call.add_argument(
        "--public-url", default="", metavar="URL", help="VOXWIRE_PUBLIC_URL of the server, if other"
    )
    call.add_argument("--bot", help="name of the bot, where the server has several")
    call.add_argument("--caller", default="+15550100", metavar="NUMBER", help="who calls")
    call.add_argument("--called", default="+15550199", metavar="NUMBER", help="who is called")
    call.add_argument(
        "--in",
        action=_AddStep,
        dest="inputs",
        metavar="WAV[@MS]",
        help="speak this file when what the bot says is over, or MS milliseconds after it next"
        " begins (a barge-in); may be repeated",
    )
    call.add_argument("--keys", action=_AddStep, metavar="KEYS", help="press 0-9, *, #, A-D")
    call.add_argument("--out", metavar="WAV", help="write what came out of the telephone")
    call.add_argument("--events", metavar="JSONL", help="write what happened, an object a line")
    call.add_argument("--timeout", type=seconds, metavar="S", help="longest call, seconds")
    for name, default, what in (
        ("delay", 0, "of the way to the server, and of the way back"),
        ("jitter", 0, "how much later everything may come"),
        ("buffer", 40, "how long the telephone's jitter buffer holds what begins"),
    ):
        call.add_argument(
            f"--{name}",
            dest=f"{name}_ms",
            type=milliseconds_from_zero,
            default=default,
            metavar="MS",
            help=f"{what} (default {default})",
        )
    call.add_argument(
        "--loss", type=percent, default=0.0, metavar="PERCENT", help="of what TCP has to send again"
    )


def _add_connection(talk: argparse.ArgumentParser, *, record: bool = True) -> None:
    """How the session is opened: the same for every command that opens one."""
    talk.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="auto",
        help="what carries the audio (default auto: WebRTC if it works, else WebSocket; daily: a"
        " Daily room, where the server has such)",
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
