"""Running a server in this process."""

import asyncio
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from voxwire_protocol import wire
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.gate import is_loopback, missing_key_message
from voxwire_server.logs import configure_logging
from voxwire_server.routes.sockets import PendingSockets
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.sockets import protocols

if TYPE_CHECKING:
    from voxwire_server.pipeline.bot import Bot

__all__ = [
    "MissingKeyError",
    "bind",
    "configure_logging",
    "make_server",
    "registry_of",
    "run_server",
    "serve",
]

_SOCKET_BUFFER_BYTES: Final = 65_536
_CLOSING_BYTES: Final = 2 * wire.DEFAULT_MAX_MESSAGE_BYTES
"""A larger message closes its socket (1009); above the protocol's limit it is refused."""


class MissingKeyError(Exception):
    """Listening beyond loopback needs a key."""


def bind(settings: Settings) -> socket.socket:
    """Open the listening socket.

    Raises:
        MissingKeyError: Beyond loopback without a key.
        OSError: The address is taken or not ours.
    """
    if not is_loopback(settings.host) and not settings.has_key:
        raise MissingKeyError(missing_key_message(settings.host))
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is spelt out; with it on, every
    # second small event waits 40 ms for the peer's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # accepted sockets inherit these too: what waits for a slow peer, or comes in a flood, is little
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        # A peer that is gone, or that never reads, leaves bytes that no close() gets rid of;
        # accepted sockets inherit this (RFC 5482).
        gone_ms = settings.dead_after_ms + settings.end_timeout_ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, gone_ms)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Ends the sessions before their sockets, so that clients are told why."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        registry = registry_of(self)
        await registry.close(registry.settings.end_timeout_ms)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn does, but SIGTERM, once obeyed, is an end in order: exit code 0, not -15."""
        with super().capture_signals():
            yield
            self._captured_signals[:] = [s for s in self._captured_signals if s != signal.SIGTERM]


def make_server(settings: Settings, bot: LoadedBot, *, port: int) -> uvicorn.Server:
    """A uvicorn server for the application: no compression, capped messages, no access log."""
    http, websocket = protocols(
        PendingSockets(per_address=settings.max_pending_per_address, total=settings.max_pending),
        head_timeout_ms=settings.hello_timeout_ms,
    )
    config = uvicorn.Config(
        create_app(settings, bot, port=port),
        host=settings.host,
        port=port,
        http=http,
        ws=websocket,
        ws_max_size=_CLOSING_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, settings.end_timeout_ms // 1000),
    )
    return _Server(config)


def run_server(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run a server until it is asked to stop, on uvloop where that exists (not on Windows)."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))


def registry_of(server: uvicorn.Server) -> SessionRegistry:
    """The sessions of a server made by :func:`make_server`."""
    application: Any = server.config.app
    return application.state.registry


def serve(bot: "Bot", settings: Settings | None = None) -> None:
    """Serve one bot until Ctrl-C: ``if __name__ == "__main__": serve(bot)``.

    Raises:
        MissingKeyError: ``VOXWIRE_HOST`` is not loopback and no ``VOXWIRE_KEY`` is set.
    """
    settings = settings or Settings()
    configure_logging(settings.log_level, settings.log_format)
    listener = bind(settings)
    port = listener.getsockname()[1]
    name = getattr(bot, "__module__", "bot")
    server = make_server(settings, LoadedBot(name=name, run=bot), port=port)
    print(f"Talk to it: voxwire talk ws://{settings.host}:{port}", flush=True)
    run_server(server, listener)
