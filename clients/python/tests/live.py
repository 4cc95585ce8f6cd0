"""Sessions of the fake server with live devices in memory."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import voxwire
from voxwire.testing import FakeDevice, FakeDevices, FakeServer, FakeSession
from voxwire_protocol.events import DeviceState


def microphone(name: str = "Built-in Mic", **options: Any) -> FakeDevice:
    return FakeDevice(name, microphone=True, **options)


def speaker(name: str = "Built-in Speaker", **options: Any) -> FakeDevice:
    return FakeDevice(name, speaker=True, **options)


def live(server: FakeServer, devices: FakeDevices, **options: Any) -> voxwire.Connection:
    """A session with both sides live, unless the options say otherwise."""
    environment = dataclasses.replace(server.environment, devices=devices)
    chosen = {"microphone": True, "speaker": True, "echo": "none", **options}
    return voxwire.connect(server.url, environment=environment, **chosen)


def changes(events: list[Any]) -> list[tuple[str, str, DeviceState]]:
    """What happened to devices."""
    return [
        (event.kind.value, event.name, event.state)
        for event in events
        if isinstance(event, voxwire.DeviceChanged)
    ]


def for_ever(turn: Callable[[FakeSession], Awaitable[Any]]) -> Callable[[FakeSession], Any]:
    """A bot that does the same again and again."""

    async def bot(session: FakeSession) -> None:
        while True:
            await turn(session)

    return bot
