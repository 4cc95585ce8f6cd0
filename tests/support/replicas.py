"""Several processes of one service, a Redis between them, and a door that knows no affinity."""

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from tests.support.programs import environment
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import Limits, TokenIssuer

__all__ = ["KEY", "Door", "Replica", "Service", "service", "token"]

KEY: Final = "a secret that all processes of this service share"
_STARTS_S: Final = 120.0


def token(user: str = "ada", *, max_sessions: int | None = None) -> str:
    """A token of the service."""
    issuer = TokenIssuer(KeyRing.parse(key=KEY))
    return issuer.issue(user, now_s=time.time(), limits=Limits(max_sessions=max_sessions))


class Replica:
    """One process.

    Attributes:
        port: Where it listens.
        log: What it has said.
    """

    def __init__(self, folder: Path, bot: str, *options: str, **settings: str) -> None:
        self._folder = folder
        program = Path(sys.executable).parent / "voxwire-server"
        self._command = [str(program), "run", bot, *options]
        self._settings = {"VOXWIRE_PORT": "0", "VOXWIRE_KEY": KEY, **settings}
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.log = folder / "server.log"

    async def start(self) -> None:
        """Start it, and wait until it listens; a further time on the port that it had."""
        self._folder.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env=environment(**self._settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(_STARTS_S):
            async for line in self._process.stdout:
                if found := re.search(rb"ws://127\.0\.0\.1:(\d+)", line):
                    self.port = int(found[1])
                    self._settings["VOXWIRE_PORT"] = str(self.port)
                    return
        raise AssertionError(f"a process did not start: {self.log.read_text()}")

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def kill(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)
        await self.ended()


class Door:
    """A TCP balancer: each connection goes to the next process that takes it, whoever comes.

    Attributes:
        url: Where it listens.
        replicas: The processes that it knows, which may be changed.
        went: The port to which each connection went.
        live: The same of those that are open.
    """

    def __init__(self, replicas: list[Replica]) -> None:
        self.replicas = list(replicas)
        self._writers: set[asyncio.StreamWriter] = set()
        self._next = 0
        self.url = ""
        self.went: list[int] = []
        self.live: list[int] = []

    async def open(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self.replicas:
            port = self.replicas[self._next % len(self.replicas)].port
            self._next += 1
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.close()
            return
        self.went.append(port)
        self.live.append(port)
        self._writers |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._writers -= {writer, back}
        self.live.remove(port)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class HasUrl(Protocol):
    """Where processes agree: an engine that runs."""

    @property
    def url(self) -> str:
        """For ``VOXWIRE_ENGINE``."""
        ...


class Service:
    """What a test has of them.

    Attributes:
        replicas: The processes.
        door: The way in.
    """

    def __init__(self, replicas: list[Replica], door: Door) -> None:
        self.replicas = replicas
        self.door = door

    def home(self, session_id: str) -> Replica:
        """The process that began a session: the newest connection may have been carried there."""
        return next(
            it for it in self.replicas if f"session started session={session_id}" in it.said
        )


@contextlib.asynccontextmanager
async def service(
    redis: "HasUrl", folder: Path, num: int = 2, *, bot: str = "offline", **settings: str
) -> AsyncIterator[Service]:
    """Run a service until the block ends.

    Args:
        redis: Where its processes agree.
        folder: For their logs.
        num: How many.
        bot: What they run.
        settings: Further ones, ``VOXWIRE_*``.
    """
    settings = {
        "VOXWIRE_ENGINE": redis.url,
        "VOXWIRE_LOG_LEVEL": "INFO",
        "VOXWIRE_MAX_LAG_MS": "0",
        **settings,
    }
    replicas = [Replica(folder / str(number), bot, **settings) for number in range(num)]
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        door = Door(replicas)
        async with await door.open():
            yield Service(replicas, door)
        for replica in replicas:
            replica.send(signal.SIGINT)
        await asyncio.gather(*(replica.ended() for replica in replicas))
    finally:
        await asyncio.gather(*(replica.kill() for replica in replicas if replica.port))
