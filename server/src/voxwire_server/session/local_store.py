"""The store of a service that is one process."""

import heapq
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from voxwire_server.caps import NOTHING, Amounts, Payer, day_of
from voxwire_server.session.store import NO_OWNER, Heard, Held, Located, Replica, Saved

__all__ = ["MAX_CLAIMS", "MAX_PAYERS", "LocalStore"]

MAX_CLAIMS: Final = 100_000
"""Most claims of one kind at once. None is dropped before its time: when there are as many, new
ones are refused rather than old ones let in again."""
MAX_PAYERS: Final = 100_000
"""Most users and bots whose day it remembers; whoever has spent nothing for the longest time is
forgotten first."""


@dataclass(slots=True)
class _Record:
    owner: str
    term: int = 1
    snapshot: bytes = b""


@dataclass(slots=True)
class _Claim:
    value: bytes
    until_s: float


class LocalStore:
    """The store of a service that is one process: nothing of it outlives the process.

    A process is dead when it has said that it is gone; nobody's lease runs out, since whoever asks
    is alive.

    Args:
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(self, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._replicas: dict[str, Replica] = {}
        self._gone: set[str] = set()
        self._records: dict[str, _Record] = {}
        self._places: dict[str, set[str]] = {}
        self._claims: dict[str, _Claim] = {}
        self._num_claims: Counter[str] = Counter()
        self._ends: list[tuple[float, str]] = []
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
        return bool(self._claimed(f"token/{token_id}"))

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Nothing to do: it forgets nothing."""

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        """Say that a process lives (:meth:`SessionStore.beat`)."""
        if gone:
            self._replicas.pop(me.name, None)
            self._gone.add(me.name)
            return Heard()
        self._replicas[me.name] = me
        lost, entered = set[str](), set[str]()
        for held in sessions:
            record = self._records.get(held.session_id)
            if record is not None and record.owner != me.name and record.term >= held.term:
                lost.add(held.session_id)
                continue
            if record is None or record.owner != me.name:
                self._records[held.session_id] = _Record(me.name, held.term)
                entered.add(held.session_id)
            if held.user:
                self._places.setdefault(held.user, set()).add(held.session_id)
        return Heard(frozenset(lost), tuple(self._replicas.values()), frozenset(entered))

    async def locate(self, session_id: str) -> Located | None:
        """Find a session (:meth:`SessionStore.locate`)."""
        record = self._records.get(session_id)
        if record is None:
            return None
        if record.owner in self._gone or record.owner == NO_OWNER:
            return Located(record.owner, None, record.term, record.snapshot)
        replica = self._replicas.get(record.owner) or Replica(name=record.owner)
        return Located(record.owner, replica, record.term, record.snapshot)

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        """Change the owner of a session (:meth:`SessionStore.take`)."""
        record = self._records.get(session_id)
        if (record.owner if record else "") != of:
            return None
        if record is None:
            if not by:
                return None
            record = self._records[session_id] = _Record(by)
        elif not by:
            del self._records[session_id]
        else:
            record.owner = by
            record.term += by != NO_OWNER
        return Saved(record.term, record.snapshot)

    async def count(
        self, user: str, session_id: str, *, limit: int | None = None, back: bool = False
    ) -> bool:
        """Reserve a place for a session (:meth:`SessionStore.count`)."""
        places = self._places.get(user, set())
        if back:
            places.discard(session_id)
            if not places:
                self._places.pop(user, None)
            return False
        if limit is not None and len(places - {session_id}) >= limit:
            return False
        self._places.setdefault(user, places).add(session_id)
        return True

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        """Set what can be had once (:meth:`SessionStore.claim`)."""
        there, now_s = self._claimed(what), self._now_s()
        if there != instead_of or value == instead_of or until_s <= now_s:
            return there
        claim = self._claims.get(what)
        if claim is None:
            kind = what.partition("/")[0]
            if self._num_claims[kind] >= MAX_CLAIMS:
                return there
            self._num_claims[kind] += 1
            claim = self._claims[what] = _Claim(value, until_s)
            heapq.heappush(self._ends, (until_s, what))
        claim.value = value  # its place stays when it is given back: nobody gains by trying
        claim.until_s = max(claim.until_s, until_s)
        return value

    def _claimed(self, what: str) -> bytes:
        """What it is now; what may be forgotten is."""
        now_s = self._now_s()
        while self._ends and self._ends[0][0] <= now_s:
            over = heapq.heappop(self._ends)[1]
            if (until_s := self._claims[over].until_s) > now_s:
                heapq.heappush(self._ends, (until_s, over))
                continue
            del self._claims[over]
            self._num_claims[over.partition("/")[0]] -= 1
        claim = self._claims.get(what)
        return b"" if claim is None else claim.value

    async def save(
        self, session_id: str, me: str, snapshot: bytes, *, term: int, behind: bool = False
    ) -> bool:
        """Keep a snapshot (:meth:`SessionStore.save`)."""
        record = self._records.get(session_id)
        if record is None or (record.owner, record.term) != (me, term):
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
