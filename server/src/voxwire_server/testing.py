"""A server inside a test: the real one, on a free loopback port.

async with running_server(bot) as server:
    async with voxwire.connect(server.url) as session: ...
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.serving import bind, make_server, registry_of
from voxwire_server.session.registry import SessionRegistry

if TYPE_CHECKING:
    from voxwire_server.pipeline.bot import Bot

__all__ = ["RunningServer", "running_server"]


@dataclass(frozen=True)
class RunningServer:
    """A server that runs in this event loop."""

    url: str
    port: int
    registry: SessionRegistry


@contextlib.asynccontextmanager
async def running_server(bot: "Bot | LoadedBot", **settings: Any) -> AsyncGenerator[RunningServer]:
    """Run a server until the block ends; then every session is over.

    Args:
        bot: The bot, as ``serve`` takes it.
        **settings: Fields of :class:`~voxwire_server.config.Settings`.
    """
    loaded = bot if isinstance(bot, LoadedBot) else LoadedBot(name="test", run=bot)
    fields: dict[str, Any] = {"host": "127.0.0.1", "port": 0, **settings}
    chosen = Settings(**fields)
    listener = bind(chosen)
    port = listener.getsockname()[1]
    server = make_server(chosen, loaded, port=port)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the server ended before it had started")
            await asyncio.sleep(0.005)
        yield RunningServer(f"ws://127.0.0.1:{port}", port, registry_of(server))
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=10)
        listener.close()
