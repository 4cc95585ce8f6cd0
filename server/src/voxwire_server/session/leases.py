"""What a process keeps in the store: its leases, renewed as long as it lives."""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any, Final

from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.store import Held, Replica, SessionStore, StoreUnreachableError

__all__ = ["BEAT_MS", "Leases"]

_log = logging.getLogger("voxwire.session")

BEAT_MS: Final = 2000
"""How often the store is told that this process lives, milliseconds."""
_FRESH_MS: Final = 100
_UNKNOWN_MS: Final = 500
"""How old the list of processes may be when somebody names one that is not in it: anybody may."""
_MISSING_BEATS: Final = 3


class Leases:
    """Renews the leases of one process.

    Args:
        registry: The sessions of this process.
        store: Where processes agree.
        me: This process.
        clock: The clock to run by.
        spawn: Runs what asks the store.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        store: SessionStore,
        me: Replica,
        *,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._registry = registry
        self._store = store
        self.me = me
        """This process, as it was when it began."""
        self._clock = clock
        self._spawn = spawn
        self.replicas: tuple[Replica, ...] = ()
        """The processes that lived when the store answered last, this one included."""
        self._missing: dict[str, tuple[Replica, int]] = {}
        self._heard_ms = -math.inf
        self._next_beat: Timer | None = None
        self._beating = asyncio.Lock()
        self._begun = False

    @property
    def known(self) -> list[Replica]:
        """The processes that may live: one that the store has not heard of for three beats does
        not. A store that was away itself has not heard of anybody when it comes back.
        """
        return [*self.replicas, *(replica for replica, _ in self._missing.values())]

    def _hear(self, replicas: tuple[Replica, ...]) -> None:
        before = {it.name: (it, 0) for it in self.replicas} | self._missing
        names = {it.name for it in replicas}
        self._missing = {
            name: (replica, num + 1)
            for name, (replica, num) in before.items()
            if name not in names and num + 1 < _MISSING_BEATS
        }
        self.replicas, self._heard_ms = replicas, self._clock.now_ms()

    @property
    def others_stay(self) -> bool:
        """True when there is another process that takes sessions."""
        return any(it.name != self.me.name and not it.leaving for it in self.replicas)

    async def other(self, name: str) -> Replica | None:
        """Another process that lives and can be reached, by name; None = there is none."""
        if name == self.me.name:
            return None
        if not any(it.name == name for it in self.replicas):  # it may have begun a moment ago
            await self._look_again(_UNKNOWN_MS)
        return next((it for it in self.replicas if it.name == name and it.peer_url), None)

    def roomiest(self, unreachable: Collection[str]) -> Replica | None:
        """Another process that takes sessions and has the most room, as it said last; None = none.

        Args:
            unreachable: Names of those to which nobody can be brought.
        """
        others = [
            it
            for it in self.replicas
            if it.name not in (self.me.name, *unreachable)
            and it.peer_url
            and not it.leaving
            and it.num_sessions < it.max_sessions
        ]
        return min(others, key=lambda it: it.num_sessions / it.max_sessions, default=None)

    async def see_others(self) -> bool:
        """Whether another process takes sessions, as of a moment ago; False without the store."""
        return await self._look_again(_FRESH_MS) and self.others_stay

    async def _look_again(self, age_ms: float) -> bool:
        """Hear anew who lives, unless that is younger; False = the store does not say."""
        try:
            async with self._beating:
                if self._clock.now_ms() - self._heard_ms > age_ms:
                    await self._renew()
        except StoreUnreachableError:
            return False
        return True

    def begin(self) -> None:
        """Tell the store that this process lives, now and from now on. Idempotent."""
        if not self._begun:
            self._begun = True
            self._spawn(self._beat())

    def stop(self) -> None:
        """The process ends. Idempotent."""
        if self._next_beat is not None:
            self._next_beat.cancel()

    async def gone(self) -> None:
        """The process has ended its sessions: what it has still may be taken. Idempotent."""
        if self._begun:
            self._begun = False
            try:
                async with self._beating:
                    await self._store.beat(self._who(), gone=True)
            except StoreUnreachableError:  # its leases run out
                _log.warning("the store could not be told that this process ends")
            except Exception:  # whoever ends a process does so whatever the store does
                _log.exception("the store failed")

    async def settled(self) -> None:
        """Wait until the store has done what it was told last of the sessions that there are.

        For whoever takes a session out: a beat that is still on its way would enter it again.
        """
        async with self._beating:
            pass

    def _beat_later(self) -> None:
        self._next_beat = self._clock.call_later(BEAT_MS, lambda: self._spawn(self._beat()))

    async def _beat(self) -> None:
        try:
            await self.beat()
        except StoreUnreachableError:
            _log.warning("the store of sessions cannot be reached")
        finally:  # whatever went wrong: a process that is not heard of loses its sessions
            if not self._registry.closing:
                self._beat_later()

    def _who(self) -> Replica:
        return replace(
            self.me,
            num_sessions=len(self._registry),
            max_sessions=self._registry.max_sessions,
            leaving=self._registry.leaving,
        )

    async def beat(self) -> None:
        """Renew the leases of this process, and end the sessions that another one has taken.

        Raises:
            StoreUnreachableError: Nothing has changed.
        """
        async with self._beating:
            await self._renew()

    async def _renew(self) -> None:
        mine = [
            Held(session.id, session.term, session.facts.user)
            for session in self._registry
            if not session.over
        ]
        heard = await self._store.beat(self._who(), mine)
        self._hear(heard.replicas)
        for session_id in heard.lost:
            session = self._registry.get(session_id)
            if session is not None:
                session.leave_to_others()
        for session_id in heard.entered:  # what was kept of it is forgotten, too
            session = self._registry.get(session_id)
            if session is not None:
                session.changed()
