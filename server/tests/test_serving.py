"""A server ends, whatever fails on the way."""

import asyncio

import pytest

from tests.support.clicks import make_bot
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
