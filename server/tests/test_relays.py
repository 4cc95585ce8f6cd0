"""TURN servers that are asked at intervals: what is known of them, and when."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.clicks import make_bot
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.admin.relays import Relays, RelayWatch, asking
from voxwire_server.app import create_app
from voxwire_server.config import Settings
from voxwire_server.ice_servers import IceServers, IceServersError

GONE = ConnectionError("turn:b did not answer within 3 s")


class Servers:
    """Two TURN servers."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.errors: list[Exception | None] = [None, None]
        self.asked_ms: list[float] = []
        self.takes_s = 0.0
        self.raises: Exception | None = None

    async def ask(self) -> Sequence[tuple[str, Exception | None]]:
        self.asked_ms.append(self.time.now_ms())
        await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises
        return list(zip(("turn:a", "turn:b"), self.errors, strict=True))


@pytest.mark.parametrize(
    ("relays", "state"),
    [
        (Relays(), "unknown"),
        (Relays(2, 0), "ok"),
        (Relays(1, 1), "degraded"),
        (Relays(0, 2), "down"),
    ],
)
def test_what_was_found_has_a_name(relays: Relays, state: str) -> None:
    assert relays.state == state


@in_virtual_time
async def test_they_are_asked_at_intervals_and_more_often_while_one_gives_nothing(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    servers = Servers(time)
    watch = RelayWatch(servers.ask, every_s=60)
    watch.start()
    watch.start()
    await time.advance(1)
    assert watch.relays == Relays(2, 0)
    servers.errors[1] = GONE
    await time.advance(60_000)
    assert watch.relays.state == "degraded"
    await time.advance(30_000)
    servers.errors[1] = None
    await time.advance(10_000)
    assert watch.relays.state == "ok"
    await time.advance(50_000)
    since_ms = [round(at - servers.asked_ms[0]) for at in servers.asked_ms]
    assert since_ms == [0, 60_000, 70_000, 80_000, 90_000, 100_000]
    assert [record.getMessage() for record in caplog.records] == [
        str(GONE),
        "a TURN server gives allocations again",
    ]
    await watch.stop()


@in_virtual_time
async def test_one_that_takes_its_time_keeps_what_was_known(time: VirtualTime) -> None:
    servers = Servers(time)
    watch = RelayWatch(servers.ask, every_s=60)
    watch.start()
    await time.advance(1)
    servers.takes_s, servers.errors = 3.0, [GONE, GONE]
    await time.advance(62_000)
    assert watch.relays.state == "ok"
    await time.advance(2000)
    assert watch.relays.state == "down"
    await watch.stop()
    asked = len(servers.asked_ms)
    await time.advance(600_000)
    assert len(servers.asked_ms) == asked


@in_virtual_time
async def test_what_goes_wrong_in_the_asking_ends_nothing_and_an_extra_that_is_missing_does(
    time: VirtualTime,
) -> None:
    servers = Servers(time)
    watch = RelayWatch(servers.ask, every_s=60)
    watch.start()
    await time.advance(1)
    assert watch.relays.state == "ok"
    servers.raises = RuntimeError("by the way")
    await time.advance(60_500)
    assert watch.relays.state == "unknown"
    servers.raises = None
    await time.advance(10_000)
    assert watch.relays.state == "ok"
    servers.raises = ImportError("no aioice")
    await time.advance(600_000)
    assert len(servers.asked_ms) == 4
    assert watch.relays.state == "unknown"
    await watch.stop()


@in_virtual_time
@pytest.mark.parametrize("needed", [True, False])
async def test_that_none_can_be_asked_is_told_where_one_is_needed(
    time: VirtualTime, caplog: pytest.LogCaptureFixture, needed: bool
) -> None:
    caplog.set_level(logging.WARNING)
    servers = Servers(time)
    servers.raises = ImportError("no aioice")
    watch = RelayWatch(servers.ask, every_s=60, needed=needed)
    watch.start()
    await time.advance(1)
    said = ["TURN servers cannot be asked: no aioice"] if needed else []
    assert [record.getMessage() for record in caplog.records] == said
    await watch.stop()


@pytest.mark.parametrize(
    "more", [{}, {"turn_urls": "turn:a", "turn_secret": "s", "turn_check_s": 0}]
)
def test_a_server_that_could_never_be_ready_does_not_start(more: dict[str, Any]) -> None:
    with pytest.raises(IceServersError, match="could never be ready"):
        create_app(Settings(ready_needs_turn=True, **more), make_bot())


@in_virtual_time
async def test_without_turn_or_an_interval_nobody_is_asked(time: VirtualTime) -> None:
    servers = Servers(time)
    for watch in (RelayWatch(servers.ask, every_s=0), RelayWatch(None, every_s=60)):
        watch.start()
        assert not watch.watches
        await watch.stop()
    assert asking(IceServers.parse()) is None
    assert asking(IceServers.parse(ice_servers='[{"urls": "stun:127.0.0.1"}]')) is None
    await time.advance(1000)
    assert servers.asked_ms == []
