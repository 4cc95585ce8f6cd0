"""``voxwire doctor`` and ``voxwire devices``: what is there, and what is wrong."""

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from voxwire._live.audio import list_devices
from voxwire._live.portaudio import machine_devices
from voxwire.diagnosis import diagnose
from voxwire_protocol.events import DeviceKind

__all__ = ["add_devices", "add_doctor", "run_devices", "run_doctor"]

_DOCTOR: Final = """\
exit codes:
  0 nothing is wrong    1 something is    2 wrong usage    130 interrupted with Ctrl-C
"""


def add_doctor(commands: Any, token: str | None) -> None:
    """Adds the command ``doctor`` and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="find out why there is no conversation",
        description="Try what a conversation needs, step by step: the name, the server, the token,"
        " the round trip, the devices. A session is opened and ended again.",
        epilog=_DOCTOR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the server, for instance ws://127.0.0.1:7860")
    parser.add_argument("--token", default=token, help="connect token (default: VOXWIRE_TOKEN)")
    parser.add_argument("--bot", help="name of the bot, where the server has several")
    parser.add_argument("--devices", action="store_true", help="look for microphone and speaker")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_doctor(options: argparse.Namespace) -> int:
    """Runs ``voxwire doctor``; returns the exit code."""
    device = True if options.devices else None
    found = asyncio.run(
        diagnose(
            options.url,
            token=options.token,
            bot=options.bot,
            microphone=device,
            speaker=device,
        )
    )
    if options.json:
        checks = [
            {
                "name": check.name,
                "state": check.state,
                "detail": check.detail,
                "code": None if check.code is None else check.code.name.lower(),
                "duration_ms": check.duration_ms,
            }
            for check in found.checks
        ]
        print(json.dumps({"ok": found.ok, "checks": checks}))
    else:
        print(found)
    return 0 if found.ok else 1


def add_devices(commands: Any) -> None:
    """Adds the command ``devices``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "devices",
        help="list microphones and speakers",
        description="List the sound devices of this machine: their index, name and rate; * is the"
        " system's default.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run_devices(options: argparse.Namespace) -> int:
    """Runs ``voxwire devices``; returns the exit code."""
    devices = list_devices()
    backend = machine_devices()
    for kind in DeviceKind:
        default = backend.default(kind)
        for device in devices:
            channels = device.microphones if kind is DeviceKind.MICROPHONE else device.speakers
            if not channels:
                continue
            mark = "*" if device.index == default else " "
            if options.json:
                line = {
                    "kind": kind.value,
                    "index": device.index,
                    "name": device.name,
                    "default": device.index == default,
                }
                print(json.dumps(line, ensure_ascii=False))
            else:
                print(f"{mark} {kind.value:<10} {device.index:3}  {device.name}")
    if not devices:
        print("voxwire: there is no sound device", file=sys.stderr)
    return 0
