"""A TCP proxy in front of a server that fails as networks do: it cuts, holds back, refuses."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

__all__ = ["Proxy", "proxied"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing resets


class _Stream:
    """One direction of a connection."""

    def __init__(self, proxy: "Proxy", reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._held: list[bytes] = []
        self._ended = False
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, *, up: bool, link: "_Link") -> None:
        """Pass bytes on; what comes while it is held, its end included, is passed on later."""
        while True:
            data = b""
            with contextlib.suppress(OSError):
                data = await self._reader.read(65536)
            if not data:
                break
            passed = self._proxy.upstream(data) if up else self._proxy.downstream(data, link)
            if not passed:
                return
            self._held.append(passed)
            if self.open.is_set():
                await self.release()
        await self.open.wait()
        await self.release()

    async def release(self) -> None:
        """Pass on what was held."""
        held, self._held = self._held, []
        with contextlib.suppress(OSError):
            for data in held:
                self._writer.write(data)
            await self._writer.drain()


class _Link:
    """A connection of a client, and the one to the server that belongs to it."""

    def __init__(
        self,
        proxy: "Proxy",
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._writers = near[1], far[1]
        self.up = _Stream(proxy, near[0], far[1])
        self.down = _Stream(proxy, far[0], near[1])
        self.upgraded = False

    async def run(self) -> None:
        """Pass on until one side ends."""
        streams = [
            asyncio.create_task(self.up.run(up=True, link=self)),
            asyncio.create_task(self.down.run(up=False, link=self)),
        ]
        try:
            await asyncio.wait(streams, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    def cut(self) -> None:
        """Reset both connections, as they stand."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Passes TCP on to a port of this machine until it is told otherwise.

    Args:
        port: Where the server listens on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.to_port = port
        """Where connections are passed on to."""
        self._links: list[_Link] = []
        self._asleep: list[_Link] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        """Where it listens itself."""
        self.away = False
        """True: connections are reset as soon as they are made."""
        self.accepted = 0
        """Connections that were passed on."""
        self.killed = 0
        """Sockets that :attr:`welcomes_to_kill` has cost."""
        self.welcomes_to_kill = 0
        """So many connections are cut when the server's first message comes: it is not read."""

    @property
    def url(self) -> str:
        """What a client dials."""
        return f"ws://127.0.0.1:{self.port}"

    def upstream(self, data: bytes) -> bytes:
        """What the server gets of what the client says; it wants to be called by its own name."""
        here, there = (f"\r\nHost: 127.0.0.1:{port}\r\n" for port in (self.port, self.to_port))
        return data.replace(here.encode(), there.encode(), 1)

    def downstream(self, data: bytes, link: _Link) -> bytes:
        """What the client gets of what the server says; nothing when that was cut off."""
        said = data
        if not link.upgraded and b"\r\n\r\n" in data:
            link.upgraded = True
            said = data.partition(b"\r\n\r\n")[2]
        if link.upgraded and said and self.welcomes_to_kill:
            self.welcomes_to_kill -= 1
            self.killed += 1
            link.cut()
            return b""
        return data

    def cut(self) -> None:
        """Reset every connection."""
        for link in self._links:
            link.cut()

    def sleep(self) -> None:
        """Hold back what comes on the connections that there are; new ones work."""
        for link in self._links:
            link.up.open.clear()
            link.down.open.clear()
        self._asleep += self._links

    async def wake(self) -> None:
        """Pass on, late, what was held back, as if the old path worked again."""
        asleep, self._asleep = self._asleep, []
        for link in asleep:
            await link.up.release()
            await link.down.release()
            link.up.open.set()
            link.down.open.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(
            self, (reader, writer), await asyncio.open_connection("127.0.0.1", self.to_port)
        )
        if self.away:
            link.cut()
            return
        self.accepted += 1
        self._links.append(link)
        try:
            await link.run()
        finally:
            self._links.remove(link)

    async def close(self) -> None:
        """Cut what is left and wait for it."""
        self.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a server, until the block ends."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
