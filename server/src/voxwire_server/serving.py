"""Running a server in this process."""

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence, Sized
from contextlib import closing, contextmanager, nullcontext
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from voxwire_protocol import wire
from voxwire_server.admin.routes import AdminKeyError
from voxwire_server.app import create_app
from voxwire_server.authenticator import AuthenticatorSettingError
from voxwire_server.bots.house import Bots, BotsError, Servable, loaded
from voxwire_server.bots.providers import Providers
from voxwire_server.bots.registry import BotNotFoundError, load_bot
from voxwire_server.cluster import EngineError
from voxwire_server.config import Settings, check_names
from voxwire_server.gate import MissingKeyError
from voxwire_server.hangups import on_hangup
from voxwire_server.ice_servers import IceServersError
from voxwire_server.key_files import FileError, KeyFiles
from voxwire_server.keys import KeyRingError
from voxwire_server.life import Life
from voxwire_server.listeners import AdminAddressError, bind, bind_admin, forget, port_of
from voxwire_server.logs import configure_logging
from voxwire_server.phone.vendors import PhoneSettingError
from voxwire_server.proxies import ProxiesError, TrustedProxies
from voxwire_server.routes.sockets import PendingSockets
from voxwire_server.sockets import protocols
from voxwire_server.start_up import how_to_talk, log_as, stays, where

__all__ = [
    "AdminAddressError",
    "MissingKeyError",
    "NotStartedError",
    "Server",
    "bind",
    "configure_logging",
    "how_to_talk",
    "lines_of",
    "log_as",
    "make_server",
    "open_server",
    "port_of",
    "registry_of",
    "run_server",
    "serve",
    "serve_async",
    "where",
]

_log = logging.getLogger("voxwire.server")

_ADMIN_S: Final = 0.25
_LAST_S: Final = 0.5
"""What is left running when the server has ended has so long, seconds."""
_SOCKETS_S: Final = 1
"""How long sockets have to close once the sessions are over, seconds."""
_CLOSING_BYTES: Final = 2 * wire.DEFAULT_MAX_MESSAGE_BYTES
"""A larger message closes its socket (1009); above the protocol's limit it is refused."""


class NotStartedError(Exception):
    """The server does not start. The text is for the person who starts it."""


class Server(uvicorn.Server):
    """Ends the sessions before their sockets, so that clients are told why.

    SIGTERM lets them end by themselves first; a second one, and Ctrl-C, do not.

    Attributes:
        stays: SIGHUP does not end it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain_ms: int,
        stays: bool,
        admin: tuple[uvicorn.Server, socket.socket] | None,
    ) -> None:
        super().__init__(config)
        self.stays = stays
        self._drain_ms = drain_ms
        self._admin = admin
        self._serving_admin: asyncio.Task[None] | None = None
        self._leaves = False
        self._hung_up = False
        self._draining: asyncio.Task[None] | None = None
        self._on_started: Callable[[uvicorn.Server], None] | None = None

    def when_started(self, work: Callable[[uvicorn.Server], None]) -> None:
        """Have something done in the event loop, once it listens."""
        self._on_started = work

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, at the operator's address too."""
        await super().startup(sockets)
        if self._admin is not None and not self.should_exit:
            server, listener = self._admin
            serving = server.serve(sockets=[listener])
            self._serving_admin = asyncio.get_running_loop().create_task(serving)
        if self._on_started is not None and not self.should_exit:
            self._on_started(self)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if sig == signal.SIGTERM and self._drain_ms and not (self._leaves or self.should_exit):
            self._leaves = True  # a signal's handler does no more than note it
            self._captured_signals.append(sig)
        else:
            super().handle_exit(sig, frame)

    def hang_up(self) -> None:
        """SIGHUP came: files are read anew."""
        self._hung_up = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if self._leaves and self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())
        if self._hung_up:
            self._hung_up = False
            application: Any = self.config.app
            key_files: KeyFiles = application.state.key_files
            key_files.begin()
        return await super().on_tick(counter)

    async def _drain(self) -> None:
        application: Any = self.config.app
        life: Life = application.state.life
        try:
            await life.drain(self._drain_ms)
        except Exception:
            _log.exception("the sessions could not be waited for")
        finally:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the sessions, then the sockets; whatever fails, the rest is ended all the same."""
        application: Any = self.config.app
        life: Life = application.state.life
        if self._draining is not None:
            self._draining.cancel()
        if self._admin is not None:
            self._admin[0].should_exit = True
        try:
            await life.end_sessions()
            await self._end_admin()
        except Exception:
            _log.exception("the server does not end in order")
        finally:
            for listener in sockets or []:
                forget(listener)
            await super().shutdown(sockets)

    async def _end_admin(self) -> None:
        if self._admin is None:
            return
        _, listener = self._admin
        if self._serving_admin is not None:
            await asyncio.wait({self._serving_admin}, timeout=_ADMIN_S)
            if self._serving_admin.done():
                self._serving_admin.result()
        listener.close()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn does, but a signal, once obeyed, is an end in order.

        The exit code is 0 after SIGTERM, not -15; Ctrl-C ends in no traceback.
        """
        with super().capture_signals():
            yield
            obeyed = (signal.SIGTERM, signal.SIGINT)
            self._captured_signals[:] = [s for s in self._captured_signals if s not in obeyed]


def make_server(settings: Settings, bot: Servable, *, port: int) -> Server:
    """A uvicorn server for the application: no compression, capped messages, no access log.

    Raises:
        AdminAddressError: The operator's address is taken or not ours.
    """
    application = create_app(settings, bot, port=port)
    http, websocket = protocols(
        PendingSockets(
            per_address=settings.max_pending_per_address,
            total=settings.max_pending,
            proxies=TrustedProxies.parse(settings.trusted_proxies),
            peers=application.state.peers,
        ),
        head_timeout_ms=settings.hello_timeout_ms,
    )
    config = uvicorn.Config(
        application,
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
        proxy_headers=False,  # the application reads them, from the proxies that it trusts
        timeout_graceful_shutdown=_SOCKETS_S,
    )
    admin = _admin_server(settings, application.state.admin)
    return Server(config, drain_ms=settings.drain_ms, stays=stays(settings), admin=admin)


def open_server(settings: Settings, *, port: int) -> tuple[Server, Bots]:
    """A server for the bots that the settings name.

    Raises:
        NotStartedError: It cannot be.
    """
    try:
        providers = Providers(settings.stt, settings.llm, settings.tts)
        bots = Bots([load_bot(name.strip(), providers) for name in settings.bot.split(",")])
        return make_server(settings, bots, port=port), bots
    except AdminAddressError as error:
        raise NotStartedError(error.strerror) from error
    except (
        *(BotNotFoundError, BotsError, KeyRingError, IceServersError, MissingKeyError),
        *(ProxiesError, AdminKeyError, FileError, AuthenticatorSettingError, EngineError),
        PhoneSettingError,
    ) as error:
        raise NotStartedError(str(error)) from error


def lines_of(bots: Bots) -> list[str]:
    """What people are told of bots: what may be said to them, and what else there is to know."""
    return [
        line
        for bot in bots.all
        for line in (*(f'  say "{it}"' for it in bot.examples), *(f"  {it}" for it in bot.notes))
    ]


def _admin_server(
    settings: Settings, routes: Sequence[Route]
) -> tuple[uvicorn.Server, socket.socket] | None:
    """What listens at an address of the operator's own; None = there is none."""
    listener = bind_admin(settings) if routes else None
    if listener is None:
        return None
    config = uvicorn.Config(
        Starlette(routes=routes),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    return server, listener


def run_server(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run a server until it is asked to stop, on uvloop where that exists (not on Windows).

    A task that swallows its cancellation, or a thread that goes on, ends with the process.
    """
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    last = threading.Timer(_LAST_S, _leave)
    last.daemon = True
    if isinstance(server, Server) and server.stays:
        on_hangup(server.hang_up)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve_alone(server, listener))
            last.start()  # closing the loop waits for ever for a task that swallows its end
    finally:
        last.cancel()


def _leave() -> None:
    _log.warning("a bot does not end: the process ends without it")
    os._exit(0)


async def _serve_alone(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve in a process that does nothing else."""
    settling = asyncio.ensure_future(_settle_heap(server))
    try:
        await server.serve(sockets=[listener])
    finally:
        settling.cancel()


async def _settle_heap(server: uvicorn.Server) -> None:
    """Spare what was imported every later collection: looking through Pipecat and the models takes
    0.1 s, in which nobody is heard.
    """
    application: Any = server.config.app
    life: Life = application.state.life
    await life.warmed()
    gc.collect()
    gc.freeze()


def registry_of(server: uvicorn.Server) -> Sized:
    """The sessions of a server made by :func:`make_server`."""
    application: Any = server.config.app
    return application.state.registry


def _of_environment() -> Settings:
    check_names(os.environ)
    return Settings()


def _alone(settings: Settings) -> None:
    if settings.workers > 1:
        raise ValueError(
            "several workers are begun by voxwire-server run FILE --workers N: this is one process"
        )


def serve(bot: Servable, settings: Settings | None = None) -> None:
    """Serve until Ctrl-C: ``if __name__ == "__main__": serve(bot)``.

    Args:
        bot: A bot, which is named as its file, or several by name: ``{"ann": ann, "bob": bob}``.
        settings: How the server runs; None = as the environment says.

    Raises:
        MissingKeyError: ``VOXWIRE_HOST`` is not loopback and no ``VOXWIRE_KEY`` is set.
        BotsError: The bots cannot be served together.
        ValueError: The settings ask for several ``workers``.
        UnknownSettingError: The environment has a ``VOXWIRE_*`` that is no setting.
        OSError: The address, or the operator's, is taken or not ours.
    """
    settings, bots = settings or _of_environment(), loaded(bot)
    _alone(settings)
    log_as(settings)
    with closing(bind(settings)) as listener:
        port = port_of(listener)
        server = make_server(settings, bots, port=port)
        print(how_to_talk(settings, port, bots.names), flush=True)
        run_server(server, listener)


async def serve_async(
    bot: Servable,
    settings: Settings | None = None,
    *,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve in an event loop that runs already (a notebook, a program of your own).

    It takes over neither the signals nor the logging of the program. To end it, cancel it: the
    sessions are told, and it returns when nothing of the server remains.

    Args:
        bot: As for :func:`serve`.
        settings: How the server runs; None = as the environment says.
        on_ready: Called with the server's URL when it listens; None = the URL is printed.

    Raises:
        MissingKeyError: As for :func:`serve`.
        BotsError: As for :func:`serve`.
        UnknownSettingError: As for :func:`serve`.
        OSError: The address, or the operator's, is taken or not ours.
    """
    settings, bots = settings or _of_environment(), loaded(bot)
    _alone(settings)
    listener = bind(settings)
    try:
        port = port_of(listener)
        server = make_server(settings, bots, port=port)
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
        if on_ready is None:
            print(how_to_talk(settings, port, bots.names), flush=True)
        else:
            on_ready(where(settings, port))
        task = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            server.should_exit = True
            await task
            raise
    finally:
        listener.close()
