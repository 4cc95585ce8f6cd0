"""Two processes of one service behind a door without affinity, and a real Redis between them."""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import voxwire
from tests.support.engines import MISSING, Engine, engine
from tests.support.programs import serving
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import Limits, TokenIssuer

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(120),
]

KEY = "a secret that all processes of this service share"


def token(user: str = "ada", *, max_sessions: int | None = None) -> str:
    import time

    issuer = TokenIssuer(KeyRing.parse(key=KEY))
    return issuer.issue(user, now_s=time.time(), limits=Limits(max_sessions=max_sessions))


class Door:
    """A TCP balancer: each connection goes to the next process, whoever comes.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, urls: list[str]) -> None:
        self._ports = itertools.cycle([int(url.rpartition(":")[2]) for url in urls])
        self._pairs: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", next(self._ports))
        self._pairs |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._pairs -= {writer, back}

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._pairs:
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def service(redis: Engine, folder: Path, num: int = 2) -> AsyncIterator[Door]:
    command = [Path(sys.executable).parent / "voxwire-server", "run", "offline"]
    settings = {"VOXWIRE_ENGINE": redis.url, "VOXWIRE_KEY": KEY}
    async with contextlib.AsyncExitStack() as stack:
        urls: list[str] = []
        for number in range(num):
            place = folder / str(number)
            place.mkdir()
            urls.append(await stack.enter_async_context(serving(command, place, **settings)))
        door = Door(urls)
        server = await door.open()
        stack.callback(server.close)
        yield door


async def test_a_client_that_comes_back_by_any_door_is_on_its_session(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path) as door:
            async with voxwire.connect(door.url, token=token()) as session:
                first = session.id
                for _ in range(3):
                    await session.send_text("hello", speak=False)
                    answer = ""
                    async with asyncio.timeout(20):
                        async for event in session:
                            if isinstance(event, voxwire.BotResponseText):
                                answer += event.text
                            if isinstance(event, voxwire.BotResponseEnded):
                                break
                    assert "help" in answer
                    door.cut()
                assert session.id == first
