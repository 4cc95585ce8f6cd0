"""The ASGI application."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.gate import Gate, is_loopback
from voxwire_server.keys import KeyRing
from voxwire_server.routes.console import console_routes
from voxwire_server.routes.control import ControlRoute
from voxwire_server.routes.health import health_router
from voxwire_server.routes.tokens import secret_check, tokens_router
from voxwire_server.session.admission import Admission
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.tokens import TokenIssuer
from voxwire_server.turn import IceServers, IceServersError

__all__ = ["create_app", "server_version"]

_log = logging.getLogger("voxwire.server")


def server_version() -> str:
    """Version of the installed server."""
    try:
        return version("voxwire-server")
    except PackageNotFoundError:
        return "0"


class _GateMiddleware:
    """The gate in front of every HTTP route."""

    def __init__(self, app: Any, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            reads = scope["method"] in ("GET", "HEAD")
            refusal = self._gate.check(scope["headers"], reads=reads)
            if refusal is not None:
                body = refusal.reason.encode()
                headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
                await send(
                    {"type": "http.response.start", "status": refusal.status, "headers": headers}
                )
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)


def _bot_runner(bot: LoadedBot) -> Callable[[Session], Awaitable[None]]:
    async def run(session: Session) -> None:
        from voxwire_server.pipeline.bot import BotSession

        await bot.run(BotSession(session))

    return run


def _import_pipeline() -> None:
    """Import Pipecat, which takes a second, before the first session needs it."""
    import_module("voxwire_server.pipeline.bot")
    for module in ("voxwire_server.media.webrtc", "voxwire_server.pipeline.vad"):
        try:
            import_module(module)
        except ImportError as error:  # an extra that is not installed: said when it is asked for
            _log.debug("not available: %s", error)


async def _preload_vad() -> None:
    try:
        from voxwire_server.pipeline.vad import preload
    except ImportError:
        return
    await preload()


def _ice_servers(settings: Settings) -> IceServers:
    """The STUN and TURN servers of the settings.

    Raises:
        IceServersError: They cannot be used.
    """
    servers = IceServers.parse(
        ice_servers=settings.ice_servers,
        turn_urls=settings.turn_urls,
        turn_secret=settings.turn_secret,
        max_ttl_s=settings.turn_ttl_s,
    )
    if settings.server_ice != "host" and not servers.has_turn:
        raise IceServersError(
            f"VOXWIRE_SERVER_ICE={settings.server_ice} needs a TURN server: set VOXWIRE_TURN_URLS"
        )
    return servers


def create_app(settings: Settings, bot: LoadedBot, *, port: int | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: How the server runs.
        bot: The bot that it runs.
        port: Port that is listened on, when it is not ``settings.port``.

    Returns:
        The ASGI application; ``app.state.registry`` holds the sessions.
    """
    gate = Gate(
        port=port or settings.port,
        loopback=is_loopback(settings.host),
        has_key=settings.has_key,
        allowed_origins=frozenset(o.strip() for o in settings.allowed_origins.split(",") if o),
    )
    registry = SessionRegistry(settings, _bot_runner(bot))
    ring = KeyRing.parse(key=settings.key, keys=settings.keys)
    control = ControlRoute(
        registry,
        gate,
        admission=Admission(
            ring,
            loopback=is_loopback(settings.host),
            bot=bot.name,
            sessions_of=registry.sessions_of,
        ),
        ice=_ice_servers(settings),
        server=f"voxwire-server {server_version()}",
        bot=bot.name,
    )
    control.examples = list(bot.examples)
    warm = asyncio.Event()

    async def warm_up() -> None:
        try:
            await asyncio.to_thread(_import_pipeline)
            await _preload_vad()
            await bot.warm()
        except Exception:
            _log.exception("the bot could not be warmed up")
        warm.set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        task = asyncio.get_running_loop().create_task(warm_up())
        yield
        task.cancel()
        await registry.close(settings.end_timeout_ms)
        await bot.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_GateMiddleware, gate=gate)
    app.include_router(
        health_router(lambda: warm.is_set() and not registry.closing, lambda: len(registry))
    )
    app.include_router(
        tokens_router(
            TokenIssuer(ring) if ring.signer else None, secret_check(settings.key), now_s=time.time
        )
    )
    app.router.routes.append(WebSocketRoute("/v1/session", control))
    app.router.routes.extend(console_routes())
    app.state.registry = registry
    return app
