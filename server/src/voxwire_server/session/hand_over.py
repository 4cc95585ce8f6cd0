"""A process that leaves hands its sessions over: each at a pause in speech, the rest in time.

A session is written once more, has no owner from then on, and ends here without a word. Its client
finds its socket closed (4027), comes by the door that it knows, and is on its session in whichever
process that leads to.
"""

import asyncio
import logging
from typing import Final

from voxwire_protocol.clocks import Clock
from voxwire_server.session.keeper import Keeper
from voxwire_server.session.leases import Leases
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.store import NO_OWNER, SessionStore, StoreUnreachableError

__all__ = ["HandOver"]

_log = logging.getLogger("voxwire.session")

_LOOK_MS: Final = 100
_QUIET_MS: Final = 300
"""For so long nobody speaks and nothing is owed before a session is handed over."""
_ALONE_MS: Final = 1000
"""How often it is looked again whether there is anybody to hand over to."""
_REST: Final = 0.5
"""In the last half of the time nobody waits for a pause any more."""


class HandOver:
    """Hands over the sessions of one process.

    Args:
        registry: They.
        store: Where processes agree.
        keeper: Writes them.
        leases: Those of this process; they say who else takes sessions.
        clock: The clock to run by.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        store: SessionStore,
        keeper: Keeper,
        leases: Leases,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._store = store
        self._keeper = keeper
        self._leases = leases
        self._clock = clock

    async def all(self, within_ms: float) -> None:
        """Hand over every session that can be resumed.

        Args:
            within_ms: When those that are left are ended.
        """
        now_ms = self._clock.now_ms()
        until_ms, end_ms = now_ms + within_ms * _REST, now_ms + within_ms - _ALONE_MS
        await asyncio.gather(*(self._one(session, until_ms, end_ms) for session in self._registry))

    async def _one(self, session: Session, until_ms: float, end_ms: float) -> None:
        """Hand one over at its next pause in which somebody takes it."""
        while not session.over:
            await self._pause(session, until_ms)
            answered = True
            try:
                if await self._leases.see_others():
                    if await self._given(session, until_ms):
                        return
                    continue
            except StoreUnreachableError:  # whether it was given is seen with the next beat
                answered = False
            if self._clock.now_ms() >= end_ms:  # it stays, and ends with the process
                if not answered:
                    _log.warning("a session was not handed over", extra={"session": session.id})
                return
            await asyncio.sleep(_ALONE_MS / 1000)

    async def _given(self, session: Session, until_ms: float) -> bool:
        """Hand one over now; False = the pause was over before."""
        if self._waits(session, until_ms):
            return False
        if session.over or not await self._keeper.write(session):
            return True
        if self._waits(session, until_ms):
            return False
        me = self._leases.me.name
        if await self._store.take(session.id, of=me, by=NO_OWNER) is not None:
            session.leave_to_others()
        return True

    def _waits(self, session: Session, until_ms: float) -> bool:
        return session.busy and self._clock.now_ms() < until_ms

    async def _pause(self, session: Session, until_ms: float) -> None:
        quiet_since_ms: float | None = None
        while not session.over and (now_ms := self._clock.now_ms()) < until_ms:
            if session.busy:
                quiet_since_ms = None
            elif quiet_since_ms is None:
                quiet_since_ms = now_ms
            elif now_ms - quiet_since_ms >= _QUIET_MS:
                return
            await asyncio.sleep(_LOOK_MS / 1000)
