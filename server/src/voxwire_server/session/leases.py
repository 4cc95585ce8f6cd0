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
_UNKNOWN_MS: Final = 200
"""How old the list of processes is when it is heard anew since somebody names one that is not in
it: anybody may. He waits until then."""
_MISSING_MS: Final = 2 * BEAT_MS
"""How long a process may live that the store has not heard of, milliseconds: it beats meanwhile."""


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
        self._missing: dict[str, tuple[Replica, float]] = {}
        self._heard_ms = -math.inf
        self._next_beat: Timer | None = None
        self._beating = asyncio.Lock()
        self._unsure: set[str] = set()
        """Of beats that were not answered: the store may have entered them, and said so once."""
        self._begun = False

    @property
    def known(self) -> list[Replica]:
        """The processes that may live: one that the store has not heard of for two beats' time does
        not. A store that was away itself has not heard of anybody when it comes back.
        """
        return [*self.replicas, *(replica for replica, _ in self._missing.values())]

    def _hear(self, replicas: tuple[Replica, ...]) -> None:
        now_ms = self._clock.now_ms()
        before = {it.name: (it, now_ms) for it in self.replicas} | self._missing
        names = {it.name for it in replicas}
        self._missing = {
            name: (replica, since_ms)
            for name, (replica, since_ms) in before.items()
            if name not in names and now_ms - since_ms < _MISSING_MS
        }
        self.replicas, self._heard_ms = replicas, now_ms

    @property
    def others_stay(self) -> bool:
        """True when there is another process that takes sessions."""
        return any(it.name != self.me.name and not it.leaving for it in self.replicas)

    async def other(self, name: str) -> Replica | None:
        """Another process that lives and can be reached, by name; None = there is none."""
        if name == self.me.name:
            return None
        if not any(it.name == name for it in self.replicas):  # it may have begun a moment ago
            await self._wait(_UNKNOWN_MS - (self._clock.now_ms() - self._heard_ms))
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

    async def _wait(self, wait_ms: float) -> None:
        if wait_ms > 0:
            over = asyncio.Event()
            self._clock.call_later(wait_ms, over.set)
            await over.wait()

    async def _look_again(self, age_ms: float) -> bool:
        """Hear anew who lives, unless that is younger; False = the store does not say."""
        try:
            async with self._beating:
                if self._clock.now_ms() - self._heard_ms >= age_ms:
                    await self._renew()
        except StoreUnreachableError:
            return False
        return True

    def begin(self) -> None:
        """Tell the store that this process lives, now and from now on. Idempotent."""
        if not self._begun:
            self._begun = True
            self._store.when_lost(self._enter_again)
            self._spawn(self._beat())

    def stop(self) -> None:
        """The process ends. Idempotent."""
        if self._next_beat is not None:
            self._next_beat.cancel()

    def _enter_again(self) -> None:
        """The store may have forgotten all of it."""
        for session in self._registry:
            session.changed()
        if self._begun and not self._registry.closing:
            self._spawn(self._beat())

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
        self.stop()
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
        terms = {it.session_id: it.term for it in mine}
        before, self._unsure = self._unsure, set(terms)
        heard = await self._store.beat(self._who(), mine)
        self._unsure = set()
        self._hear(heard.replicas)
        for session_id in heard.lost:
            session = self._registry.get(session_id)
            if session is not None and session.term == terms.get(session_id):  # else it is back
                session.leave_to_others()
        for session_id in heard.entered | before:  # what was kept of it is forgotten, too
            session = self._registry.get(session_id)
            if session is not None:
                session.changed()
