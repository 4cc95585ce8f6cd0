"""``voxwire devices``: which microphones and speakers there are."""

import argparse
import json
import sys

from voxwire._live.audio import list_devices
from voxwire._live.portaudio import machine_devices
from voxwire_protocol.events import DeviceKind

__all__ = ["run_devices"]


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
