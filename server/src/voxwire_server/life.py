"""The life of an application: warmed up when it is first used, closed with its server."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, Final, Protocol

from voxwire_server.admin.relays import RelayWatch
from voxwire_server.admin.watchdog import Watchdog
from voxwire_server.bots.house import Bots

__all__ = ["Life", "lifespan"]

_log = logging.getLogger("voxwire.server")

_FAREWELL_MS: Final = 500
"""What a session is given to say goodbye and be gone once its bot was waited for."""
_LETTING_GO_S: Final = 0.25
"""What bots have to let go of what is theirs."""


def _import_pipeline() -> None:
    """Import Pipecat, which takes a second, before the first session needs it."""
    import_module("voxwire_server.pipeline.bot")
    for module in ("voxwire_server.media.webrtc", "voxwire_server.pipeline.vad.analyzer"):
        try:
            import_module(module)
        except ImportError as error:  # an extra that is not installed: said when it is asked for
            _log.debug("not available: %s", error)


async def _preload_vad() -> None:
    try:
        from voxwire_server.pipeline.vad.model import preload
    except ImportError:
        return
    await preload()


async def _close_door(close: Callable[[], Awaitable[None]]) -> None:
    """Close it; that it fails, or takes its time, is no other's trouble."""
    try:
        async with asyncio.timeout(_FAREWELL_MS / 1000):
            await close()
    except Exception:
        _log.exception("a front door could not be closed")


class Sessions(Protocol):
    """The sessions of an application."""

    @property
    def leaving(self) -> bool:
        """True when no session is begun any more."""
        ...

    def begin(self) -> None:
        """The application runs. Idempotent; needs a running event loop."""
        ...

    async def drain(self, within_ms: int) -> None:
        """Begin no session any more, tell every client, and wait until they have all ended."""
        ...

    async def close(self, timeout_ms: int) -> None:
        """End every session and wait until nothing of them remains. Idempotent."""
        ...


class Life:
    """Begins and ends what an application needs while it runs.

    Args:
        sessions: The sessions.
        bots: The bots.
        end_timeout_ms: How long the sessions have to end.
        watchdog: Watches the event loop meanwhile.
        relays: Watches the TURN servers meanwhile.
    """

    def __init__(
        self,
        sessions: Sessions,
        bots: Bots,
        *,
        end_timeout_ms: int,
        watchdog: Watchdog | None = None,
        relays: RelayWatch | None = None,
    ) -> None:
        self._sessions = sessions
        self._bots = bots
        self._end_timeout_ms = end_timeout_ms
        self._task: asyncio.Task[None] | None = None
        self._warm = asyncio.Event()
        self._first: list[Callable[[], object]] = []
        self._doors: list[Callable[[], Awaitable[None]]] = []
        self._last: list[Callable[[], Awaitable[None]]] = []
        self._watchdog = watchdog
        self._relays = relays
        self._ended = False

    def when_begun(self, begin: Callable[[], object]) -> None:
        """Have something begun with it."""
        self._first.append(begin)

    def when_ending(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have a front door closed, which keeps something of its own, before the sessions end."""
        self._doors.append(close)

    def when_ended(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have something closed that the sessions need until their end."""
        self._last.append(close)

    @property
    def started(self) -> bool:
        """True once it is warm."""
        return self._warm.is_set()

    @property
    def ready(self) -> bool:
        """True while new sessions are taken without a wait."""
        return self._warm.is_set() and not self._sessions.leaving

    async def warmed(self) -> None:
        """Wait until sessions are taken without a wait."""
        await self._warm.wait()

    def begin(self) -> None:
        """Warm up, unless that has begun. Needs a running event loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._warm_up())
            self._sessions.begin()
            for begin in self._first:
                begin()
            if self._watchdog is not None:
                self._watchdog.start()
            if self._relays is not None:
                self._relays.start()

    async def _warm_up(self) -> None:
        try:
            await asyncio.to_thread(_import_pipeline)
            await _preload_vad()
            for bot in self._bots.all:
                await bot.warm()
        except Exception:
            _log.exception("the bot could not be warmed up")
        self._warm.set()

    @asynccontextmanager
    async def run(self, _: Any) -> AsyncGenerator[None]:
        """The lifespan of an application."""
        self.begin()
        try:
            yield
        finally:
            await self.close()

    async def drain(self, within_ms: int) -> None:
        """Let the sessions end by themselves: none is begun any more, and `ready` is over at once.

        Args:
            within_ms: How long they have; whoever is left then is not ended here.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self._sessions.drain(within_ms)

    async def end_sessions(self) -> None:
        """End every session and tell their clients; none is begun any more. Idempotent."""
        if self._ended:
            return
        self._ended = True
        loop = asyncio.get_running_loop()
        until_s = loop.time() + (self._end_timeout_ms + _FAREWELL_MS) / 1000
        await asyncio.gather(*map(_close_door, self._doors))
        await self._sessions.close(round((until_s - loop.time()) * 1000))
        await asyncio.gather(*map(_close_door, self._last))

    async def close(self) -> None:
        """End every session, tell their clients, and let the bots go."""
        if self._task is not None:
            self._task.cancel()
        await self.end_sessions()
        if self._relays is not None:
            await self._relays.stop()
        try:
            async with asyncio.timeout(_LETTING_GO_S):
                await asyncio.gather(*(bot.close() for bot in self._bots.all))
        except Exception:
            _log.exception("a bot did not let go")
        if self._watchdog is not None:
            self._watchdog.stop()


def lifespan(app: Any) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """The lifespan for an application that ``app`` is mounted in.

    ASGI servers run the lifespan of the outermost application only. Without this one ``app`` warms
    up at its first request, and at the end its bots are cut off.

    Args:
        app: What :func:`~voxwire_server.app.create_app` made.

    Returns:
        For ``FastAPI(lifespan=...)`` or ``Starlette(lifespan=...)``; in a lifespan of your own,
        ``async with lifespan(app)(outer): ...``.
    """
    life: Life = app.state.life
    return life.run
