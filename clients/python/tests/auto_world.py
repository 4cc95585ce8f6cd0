"""A server and the network to it, for tests of ``transport="auto"`` in virtual time."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fake_rtc import FakePeer, Udp
from virtual import Log

import voxwire
from voxwire.testing import FakeServer, VirtualTime
from voxwire_protocol import wire

RTC, WS = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET

Path = tuple[float, str, str | None]
"""When another path was in use, milliseconds; its carrier; why it is no better one."""


@dataclass
class World:
    """A server and the network to it."""

    server: FakeServer = field(default_factory=FakeServer)
    udp: Udp = field(default_factory=Udp)

    def __post_init__(self) -> None:
        self.udp.serve(self.server)
        FakePeer.udp = self.udp

    def connect(self, **options: Any) -> voxwire.Connection:
        around = replace(self.server.environment, webrtc=True)
        return voxwire.connect(self.server.url, environment=around, **options)

    @asynccontextmanager
    async def talk(self, time: VirtualTime, **options: Any) -> Any:
        """A session; its log begins with the connect."""
        start_ms = time.now_ms()
        async with self.server, self.connect(**options) as session:
            log = Log(session, time, start_ms=start_ms)
            await time.settle()
            yield session, log
            await session.close()
            await log.over()

    def asked(self) -> list[wire.Carrier.ValueType]:
        """What the newest session asked for, in order."""
        return [opened.carrier for opened in self.server.session.said("path_open")]


def paths(log: Log) -> list[Path]:
    """Every change of the path."""
    return [
        (at_ms, str(event.carrier), event.fallback and str(event.fallback))
        for at_ms, event in log.timed
        if isinstance(event, voxwire.PathChanged)
    ]


def fake_webrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `FakePeer` stand where the real connection does."""
    import voxwire_protocol.rtc

    monkeypatch.setattr(voxwire_protocol.rtc, "Peer", FakePeer)
    monkeypatch.setattr("voxwire._rtc_stack._loaded", True)
