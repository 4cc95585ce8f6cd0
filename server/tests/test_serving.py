"""A server ends, whatever fails on the way."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.clicks import make_bot
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.life import Life
from voxwire_server.serving import bind, make_server


async def failing(*_: object) -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize("part", ["drain", "end_sessions"])
async def test_it_ends_when_its_sessions_cannot_be(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Life, part, failing)
    settings = Settings(port=0)
    listener = bind(settings)
    server = make_server(settings, make_bot(), port=listener.getsockname()[1])
    async with asyncio.timeout(30):
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        if part == "drain":
            setattr(server, "_leaves", True)  # noqa: B010 - what the signal's handler notes
        else:
            server.should_exit = True
        await serving
    assert [record.levelname for record in caplog.records if record.name == "voxwire.server"]
    assert listener.fileno() == -1


@in_virtual_time
async def test_a_door_that_does_not_close_keeps_no_other_open(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[float] = []

    async def hanging() -> None:
        await asyncio.Event().wait()

    async def closing(*_: object) -> None:
        closed.append(time.now_ms())

    sessions: Any = SimpleNamespace(close=closing)
    bots: Any = SimpleNamespace(all=[])
    life = Life(sessions, bots, end_timeout_ms=2000)
    for door in (failing, hanging, closing):
        life.when_ending(door)
    began_ms = time.now_ms()
    ending = asyncio.ensure_future(life.end_sessions())
    await time.advance(1000)
    await ending
    assert [round(at - began_ms) for at in closed] == [0, 500]  # the door, then the sessions
    assert len(caplog.records) == 2
