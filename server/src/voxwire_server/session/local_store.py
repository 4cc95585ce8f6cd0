"""The store of a service that is one process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from voxwire_server.caps import NOTHING, Amounts, Payer, day_of
from voxwire_server.session.store import Claim, Located, Owner, Saved, Use
from voxwire_server.tokens import OneTimeUse

__all__ = ["MAX_PAYERS", "LocalStore"]

MAX_PAYERS: Final = 100_000
"""Most users and bots whose day it remembers; whoever has spent nothing for the longest time is
forgotten first."""


@dataclass(slots=True)
class _Record:
    owner: Owner
    nonce: bytes
    epoch: int = 1
    user: str = ""
    snapshot: bytes = b""


class LocalStore:
    """The store of a service that is one process: nothing of it outlives the process.

    Nobody's lease runs out, since whoever asks is alive.

    Args:
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(self, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._records: dict[str, _Record] = {}
        self._by_nonce: dict[bytes, str] = {}
        self._places: dict[str, set[str]] = {}
        self._tokens = OneTimeUse()
        self._day = 0
        self._spent: OrderedDict[Payer, Amounts] = OrderedDict()

    def __len__(self) -> int:
        """Number of the sessions that it knows."""
        return len(self._records)

    def places_of(self, user: str) -> int:
        """Number of places that a user's sessions have."""
        return len(self._places.get(user, ()))

    def is_used(self, token_id: str) -> bool:
        """True when a token is used up."""
        return self._tokens.session_of(token_id, now_s=self._now_s()) is not None

    async def beat(self, me: Owner, sessions: Collection[str]) -> frozenset[str]:
        """Say that a process lives (:meth:`SessionStore.beat`)."""
        return frozenset(
            session_id
            for session_id in sessions
            if (record := self._records.get(session_id)) is not None
            and record.owner.name != me.name
        )

    async def locate(self, session_id: str = "", *, nonce: bytes = b"") -> Located | None:
        """Find a session (:meth:`SessionStore.locate`)."""
        found = session_id or self._by_nonce.get(nonce, "")
        record = self._records.get(found)
        return None if record is None else Located(found, record.owner)

    async def take(
        self, session_id: str, *, of: Owner | None, by: Owner | None, nonce: bytes = b""
    ) -> Saved | None:
        """Change the owner of a session (:meth:`SessionStore.take`)."""
        record = self._records.get(session_id)
        if (record.owner.name if record else None) != (of.name if of else None):
            return None
        if record is None:
            if by is None:
                return None
            record = self._records[session_id] = _Record(by, nonce)
            if nonce:
                self._by_nonce[nonce] = session_id
        elif by is None:
            self._forget(session_id, record)
        else:
            record.owner = by
            record.epoch += 1
        return Saved(record.epoch, record.snapshot)

    def _forget(self, session_id: str, record: _Record) -> None:
        del self._records[session_id]
        if self._by_nonce.get(record.nonce) == session_id:
            del self._by_nonce[record.nonce]
        places = self._places.get(record.user)
        if places is not None:
            places.discard(session_id)
            if not places:
                del self._places[record.user]

    async def count(self, user: str, session_id: str, *, limit: int | None) -> bool:
        """Reserve a place for a session (:meth:`SessionStore.count`)."""
        record = self._records.get(session_id)
        places = self._places.get(user, set())
        if record is None or (limit is not None and len(places - {session_id}) >= limit):
            return False
        record.user = user
        self._places.setdefault(user, places).add(session_id)
        return True

    async def claim(
        self, use: Use, *, after: str = "", back: bool = False, look: bool = False
    ) -> Claim | None:
        """Use up a one-time token, or give it back (:meth:`SessionStore.claim`)."""
        now_s, token_id, session_id = self._now_s(), use.token_id, use.session_id
        opened = self._tokens.session_of(token_id, now_s=now_s)
        if back:
            if opened == session_id:
                self._tokens.give_back(token_id)
            return None
        if look:
            may = self._tokens.may_claim(token_id, use.nonce, exp_s=use.expires_at_s, now_s=now_s)
            return Claim(opened or session_id, first=opened is None) if may else None
        good = self._tokens.claim(
            token_id, use.nonce, exp_s=use.expires_at_s, now_s=now_s, session_id=session_id
        )
        if not good:
            return None
        if opened is None:
            return Claim(session_id, first=True)
        if after and opened == after:
            self._tokens.hand_on(token_id, session_id)
            return Claim(session_id, first=False)
        return Claim(opened, first=False)

    async def save(self, session_id: str, me: Owner, snapshot: bytes) -> bool:
        """Keep a snapshot (:meth:`SessionStore.save`)."""
        record = self._records.get(session_id)
        if record is None or record.owner.name != me.name:
            return False
        record.snapshot = snapshot
        return True

    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        """Add to what was spent on a day (:meth:`SessionStore.spend`)."""
        if (day := day_of(now_s)) > self._day:  # a clock that is set back begins no new one
            self._day = day
            self._spent.clear()
        total = self._spent.get(payer, NOTHING)
        if amounts != NOTHING:
            total = self._spent[payer] = total.plus(amounts)
            self._spent.move_to_end(payer)
            if len(self._spent) > MAX_PAYERS:
                self._spent.popitem(last=False)
        return total
