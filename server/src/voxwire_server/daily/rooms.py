"""The rooms of this process: made for sessions, some of them ahead, and deleted behind them."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from voxwire_protocol.daily import DailyCall, MakeRoom, load_daily
from voxwire_protocol.errors import VoxwireError
from voxwire_server.config import Settings
from voxwire_server.daily.rest import DailyRest

__all__ = ["BOT_NAME", "USER_NAME", "DailyRooms", "PreparedRoom", "rooms_of"]

_log = logging.getLogger("voxwire.daily")

BOT_NAME: Final = "bot"
"""How the bot is called in a room."""
USER_NAME: Final = "user"
"""How the other is."""
_AHEAD_S: Final = 3600
"""How long a room that was made ahead waits for a session."""
_NAME_BYTES: Final = 15
_AGAIN_S: Final = (1.0, 5.0, 20.0)
"""Waits before a room is deleted once more, where Daily did not do it."""
_CLOSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class PreparedRoom:
    """A room that is there, and what lets its two in.

    Attributes:
        name: Its name.
        url: Where to enter it.
        bot_token: Lets the bot in.
        user_token: Lets the other in.
        exp_s: When it ends, seconds since the epoch.
    """

    name: str
    url: str
    bot_token: str = field(repr=False)
    user_token: str = field(repr=False)
    exp_s: float = 0.0


class DailyRooms:
    """Makes rooms and deletes them. Owned by a process; what it does goes on beside sessions.

    Args:
        rest: Asks Daily.
        life_s: How long a session may last that has no limit of its own, seconds.
        ahead: How many rooms are kept ready.
        make: Makes the bot's side of a room.
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        rest: DailyRest,
        *,
        life_s: int,
        ahead: int = 0,
        make: MakeRoom = DailyCall,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.make = make
        self._rest = rest
        self._life_s = life_s
        self._ahead = ahead
        self._now_s = now_s
        self._ready: deque[PreparedRoom] = deque()
        self._making = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = self._over = self._loaded = False

    @property
    def ready(self) -> int:
        """How many rooms wait for a session."""
        return len(self._ready)

    def begin(self) -> None:
        """Make the rooms that are to be ready, and load the SDK beside that."""
        if self.make is DailyCall and not self._loaded:
            self._loaded = True
            self._spawn(_load())
        while not self._closed and len(self._ready) + self._making < self._ahead:
            self._making += 1
            self._spawn(self._prepare())

    async def take(self, life_s: float | None = None) -> PreparedRoom:
        """A room for one session; :meth:`give_up` follows. Cancel-safe: what was made is deleted.

        Args:
            life_s: How long it may be needed, seconds; None = as long as rooms are.

        Raises:
            VoxwireError: SERVICE_FAILED, RATE_LIMITED.
        """
        life_s = self._life_s if life_s is None else min(life_s, self._life_s)
        try:
            while self._ready:
                room = self._ready.popleft()
                if room.exp_s - self._now_s() >= life_s:
                    return room
                self.give_up(room.name)
            return await self._make(life_s)
        finally:
            self.begin()

    def give_up(self, name: str) -> None:
        """Delete a room, whoever is in it."""
        self._spawn(self._delete(name))

    async def close(self) -> None:
        """Delete what waits for a session, and wait for all that is under way, 5 s at most."""
        self._closed = True
        for room in self._ready:
            self.give_up(room.name)
        self._ready.clear()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _CLOSE_S
        while self._tasks and (left_s := until_s - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        self._over = True
        for task in self._tasks:
            task.cancel()

    async def _prepare(self) -> None:
        try:
            room = await self._make(self._life_s + _AHEAD_S)
        except VoxwireError as error:
            _log.warning("no Daily room could be made ahead", extra={"reason": error.reason})
            return
        finally:
            self._making -= 1
        if self._closed:
            self.give_up(room.name)
        else:
            self._ready.append(room)

    async def _make(self, life_s: float) -> PreparedRoom:
        name = f"voxwire-{secrets.token_hex(_NAME_BYTES)}"
        exp_s = int(self._now_s() + life_s)
        try:
            url = await self._rest.create(name, exp_s=exp_s)
            bot, user = await asyncio.gather(
                self._rest.token(name, exp_s=exp_s, user_name=BOT_NAME, owner=True),
                self._rest.token(name, exp_s=exp_s, user_name=USER_NAME),
            )
        except BaseException:
            self.give_up(name)
            raise
        return PreparedRoom(name, url, bot, user, float(exp_s))

    async def _delete(self, name: str) -> None:
        for again_s in (*_AGAIN_S, None):
            try:
                await self._rest.delete(name)
                return
            except VoxwireError as error:
                if again_s is None or self._closed:
                    fields = {"room": name, "reason": error.reason}
                    _log.warning("a Daily room could not be deleted", extra=fields)
                    return
            await asyncio.sleep(again_s)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._over:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, name="daily room")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _load() -> None:
    try:
        await asyncio.to_thread(load_daily)
    except ImportError as error:
        _log.warning("Daily rooms need: pip install 'voxwire-server[daily]'", exc_info=error)


def rooms_of(settings: Settings) -> DailyRooms | None:
    """The rooms that the settings describe; None = there is no key."""
    key = settings.daily_api_key.strip()
    if not key:
        return None
    return DailyRooms(
        DailyRest(key, url=settings.daily_url, geo=settings.daily_geo),
        life_s=settings.max_duration_s or settings.daily_room_s,
        ahead=settings.daily_rooms_ahead,
    )
