"""A door before an engine at which processes meet: nobody goes on before all have come so far."""

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["Gate", "gate"]


class Gate:
    """Passes on what processes ask an engine, and may have them meet at one script.

    Args:
        engine: The Unix socket of the engine.
        own: That which it listens at.
        script: Who asks for it has come so far.

    Attributes:
        url: For ``VOXWIRE_ENGINE``.
    """

    def __init__(self, engine: Path, own: Path, script: str) -> None:
        self.url = f"unix://{own}"
        self._engine = engine
        self._mark = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest().encode()
        self._awaited: set[int] = set()
        self._all_are_here = asyncio.Event()

    def meet(self, pids: Iterable[int]) -> None:
        """Have processes stand still, each when it asks for the script, until the last of them does
        so, too. To them no time passes meanwhile, so that the engine is not slow."""
        self._awaited = set(pids)
        self._all_are_here.clear()

    async def come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        there, back = await asyncio.open_unix_connection(self._engine)
        credentials = writer.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        pid, *_ = struct.unpack("3i", credentials)
        await asyncio.gather(self._ask(reader, back, pid), _copy(there, writer))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if pid in self._awaited and self._mark in data:
                    await self._wait(pid)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _wait(self, pid: int) -> None:
        self._awaited.discard(pid)
        os.kill(pid, signal.SIGSTOP)
        if not self._awaited:
            self._all_are_here.set()
        await self._all_are_here.wait()
        asyncio.get_running_loop().call_soon(os.kill, pid, signal.SIGCONT)  # behind what it asks


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def gate(url: str, folder: Path, script: str) -> AsyncIterator[Gate]:
    """Open one until the block ends.

    Args:
        url: Of the engine, ``unix://…``.
        folder: Where it listens.
        script: The text of the one at which processes may meet.
    """
    own = folder / "gate.sock"
    made = Gate(Path(url.removeprefix("unix://")), own, script)
    async with await asyncio.start_unix_server(made.come, own):
        yield made
