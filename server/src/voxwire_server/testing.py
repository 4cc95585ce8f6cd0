"""A server inside a test: the real one, on a free loopback port.

async with running_server(bot) as server:
    async with voxwire.connect(server.url) as session: ...

Beside it stands the clock of `voxwire.testing`, for tests of what takes a `Clock`: `VirtualTime`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sized
from dataclasses import dataclass
from typing import Any

from voxwire_protocol.clocks import Clock
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.bots.house import Bots, Servable
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.gate import is_loopback
from voxwire_server.serving import bind, make_server, port_of, registry_of, where

__all__ = ["Clock", "RunningServer", "VirtualTime", "in_virtual_time", "running_server"]


@dataclass(frozen=True)
class RunningServer:
    """A server that runs in this event loop."""

    url: str
    port: int
    registry: Sized


def _url(settings: Settings, port: int) -> str:
    """Where a client of this machine reaches it, whatever it listens on."""
    return where(settings, port) if is_loopback(settings.host) else f"ws://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def running_server(bot: Servable, **settings: Any) -> AsyncGenerator[RunningServer]:
    """Run a server until the block ends; then every session is over.

    Args:
        bot: The bot, as ``serve`` takes it; one that is given without a name is ``test``.
        **settings: Fields of :class:`~voxwire_server.config.Settings`.
    """
    given = bot if isinstance(bot, Bots) or not callable(bot) else LoadedBot(name="test", run=bot)
    fields: dict[str, Any] = {"host": "127.0.0.1", "port": 0, **settings}
    chosen = Settings(**fields)
    listener = bind(chosen)
    port = port_of(listener)
    try:
        server = make_server(chosen, given, port=port)
    except BaseException:
        listener.close()
        raise
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the server ended before it had started")
            await asyncio.sleep(0.005)
        yield RunningServer(_url(chosen, port), port, registry_of(server))
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=10)
        listener.close()
