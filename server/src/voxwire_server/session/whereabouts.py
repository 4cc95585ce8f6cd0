"""In which process a session is, and which attach has opened it.

Whoever comes to one process may have his session in another one, or be on the way into one there:
the same attach nonce within 60 s is the same attach, wherever it comes
(protocol/spec/session.md, "Opening"). The store keeps which session a nonce is for, from the moment
that its session is entered; a little longer than that minute, since the session itself knows it
to the millisecond.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from voxwire_server.session.refusals import BusyError, ElsewhereError
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.store import (
    Located,
    Replica,
    SessionStore,
    StoreUnreachableError,
)

__all__ = ["Whereabouts"]

_NONCE_S: Final = 70
_TRIES: Final = 5
_MAX_FOUND: Final = 10_000


class Whereabouts:
    """Where sessions are.

    Args:
        registry: The sessions of this process.
        store: Where processes agree.
        me: Name of this process.
        wall_s: The wall clock, seconds since the epoch.
        replicas: The processes that may live, as far as is known here.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        store: SessionStore,
        me: str,
        *,
        wall_s: Callable[[], float],
        replicas: Callable[[], Iterable[Replica]] = tuple,
    ) -> None:
        self._registry = registry
        self._store = store
        self._me = me
        self._wall_s = wall_s
        self._replicas = replicas
        self._found: OrderedDict[str, str] = OrderedDict()

    async def find(
        self, session_id: str, *, unreachable: frozenset[str] = frozenset()
    ) -> Located | None:
        """A session that this process may have, or take; None = there is none.

        Without the store it is where it was last, or in the process that made its id. A process
        that may live is tried before what it owns is taken.

        Args:
            session_id: The session.
            unreachable: Names of processes that could not be reached just now: they are dead.

        Raises:
            ElsewhereError: Another process that lives owns it.
            StoreUnreachableError: It cannot be known.
        """
        try:
            located = await self._store.locate(session_id)
        except StoreUnreachableError:
            replica = self._last_known(session_id)
            if replica is None or replica.name in (self._me, *unreachable):
                raise
            raise ElsewhereError(replica) from None
        self._remember(session_id, located)
        if located is None or located.owner in (self._me, *unreachable):
            return located
        if located.replica is not None:
            raise ElsewhereError(located.replica)
        replica = self._known(located.owner)
        if replica is not None and replica.peer_url:
            raise ElsewhereError(replica)
        return located

    def _remember(self, session_id: str, located: Located | None) -> None:
        self._found.pop(session_id, None)
        if located is not None:
            self._found[session_id] = located.owner
            if len(self._found) > _MAX_FOUND:
                self._found.popitem(last=False)

    def _last_known(self, session_id: str) -> Replica | None:
        return self._known(self._found.get(session_id, session_id.partition(".")[0]))

    def _known(self, name: str) -> Replica | None:
        return next((it for it in self._replicas() if it.name == name), None)

    async def is_over(self, session_id: str) -> bool:
        """Whether a session is over.

        Raises:
            ElsewhereError: Another process that lives owns it.
            StoreUnreachableError: It cannot be known.
        """
        session = self._registry.get(session_id)
        if session is None:
            await self.find(session_id)
        return session is None or session.over

    async def opened_by(self, nonce: bytes) -> str:
        """The session that an attach has opened within the last minute, or is about to.

        Without the store only those of this process are known.

        Returns:
            Its id; it may be over. Empty = none.

        Raises:
            ElsewhereError: Another process that lives owns it.
            StoreUnreachableError: The store was reached, and then no more.
        """
        try:
            session_id = (await self._claim(nonce, "")).decode()
        except StoreUnreachableError:
            return self._opened_here(nonce)
        if session_id and self._registry.get(session_id) is None:
            await self.find(session_id)
        return session_id

    def _opened_here(self, nonce: bytes) -> str:
        for session in self._registry:
            if session.numbered is not None and session.numbered.knows(nonce):
                return session.id
        return ""

    async def open(self, nonce: bytes, session_id: str, *, after: str) -> None:
        """An attach opens a session; it is entered in the store.

        Args:
            nonce: The attach nonce.
            session_id: The session.
            after: What it had opened before, which is over; empty = nothing.

        Raises:
            ElsewhereError: It has come to another process as well, which was quicker.
            BusyError: Others come with the same nonce all the time.
            StoreUnreachableError: It cannot be known.
        """
        for _ in range(_TRIES):
            there = (await self._claim(nonce, session_id, instead_of=after)).decode()
            if there == session_id:
                return
            if there:
                await self.find(there)
            after = there
        raise BusyError

    async def _claim(self, nonce: bytes, session_id: str, *, instead_of: str = "") -> bytes:
        return await self._store.claim(
            f"nonce/{hashlib.sha256(nonce).hexdigest()}",
            session_id.encode(),
            instead_of=instead_of.encode(),
            until_s=self._wall_s() + _NONCE_S,
        )
