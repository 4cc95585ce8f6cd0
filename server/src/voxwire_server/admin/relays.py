"""Whether the TURN servers give allocations: asked at intervals, never while somebody waits."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from voxwire_server.ice_servers import IceServers

__all__ = ["RelayWatch", "Relays", "asking", "never_ready_message"]

_log = logging.getLogger("voxwire.turn")

_TTL_S: Final = 60
_SOON_S: Final = 10.0
"""While one gives nothing it is asked again so soon."""

Ask = Callable[[], Awaitable[Sequence[tuple[str, Exception | None]]]]
"""Asks each server for an allocation: its URL, and why it gave none."""


class Relays(NamedTuple):
    """What was found last.

    Attributes:
        up: How many TURN servers gave an allocation.
        down: How many did not.
    """

    up: int = 0
    down: int = 0

    @property
    def state(self) -> str:
        """``ok``, ``degraded`` (some give none), ``down`` (none does), ``unknown``."""
        if not self.down:
            return "ok" if self.up else "unknown"
        return "degraded" if self.up else "down"


class RelayWatch:
    """Asks the TURN servers again and again, from :meth:`start` to :meth:`stop`.

    Args:
        ask: Asks them.
        every_s: How often, seconds; 0 = never. While none is known to give, or one gives nothing,
            every 10 s at least.
        needed: The server is not ready without one.
    """

    def __init__(self, ask: Ask | None, *, every_s: float, needed: bool = False) -> None:
        self._ask = ask
        self._every_s = every_s
        self._needed = needed
        self._task: asyncio.Task[None] | None = None
        self._down: set[str] = set()
        self.relays = Relays()
        """What was found last; it costs nothing to look at."""

    @property
    def watches(self) -> bool:
        """True where there is a TURN server to ask."""
        return self._ask is not None and self._every_s > 0

    def start(self) -> None:
        """Begin; needs a running event loop. Idempotent."""
        if self.watches and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """End, and give back what was being asked for. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except ImportError as error:  # an extra that is not installed: WebRTC says so
                level = logging.WARNING if self._needed else logging.DEBUG
                _log.log(level, "TURN servers cannot be asked: %s", error)
                self.relays = Relays()
                return
            except Exception:
                _log.exception("the TURN servers could not be asked")
                self.relays = Relays()
            soon = self.relays.state != "ok"
            await asyncio.sleep(min(self._every_s, _SOON_S) if soon else self._every_s)

    async def _look(self) -> None:
        assert self._ask is not None
        said = await self._ask()
        down = {url: error for url, error in said if error is not None}
        for url in down.keys() - self._down:
            _log.warning("%s", down[url], extra={"server": url})
        for url in self._down - down.keys():
            _log.warning("a TURN server gives allocations again", extra={"server": url})
        self._down = set(down)
        self.relays = Relays(len(said) - len(down), len(down))


def never_ready_message() -> str:
    """What is wrong with a server that needs TURN to be ready, and asks none."""
    return (
        "the server could never be ready: VOXWIRE_READY_NEEDS_TURN needs a TURN server, and"
        " VOXWIRE_TURN_CHECK_S above 0"
    )


def asking(servers: IceServers) -> Ask | None:
    """What asks these servers, with credentials of its own each time; None = there is no TURN."""
    if not servers.has_turn:
        return None

    async def ask() -> Sequence[tuple[str, Exception | None]]:
        from voxwire_protocol.rtc import try_turn

        name = f"ready-{secrets.token_hex(4)}"
        return await try_turn(servers.mint(name, now_s=time.time(), ttl_s=_TTL_S))

    return ask
