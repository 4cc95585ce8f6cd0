"""Who waits for a place in a process, in the order of coming, and about for how long.

Pure: ``now_ms`` is monotonic milliseconds.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = [
    "MAX_OF_ADDRESS",
    "MAX_OF_USER",
    "Place",
    "TooManyWaitError",
    "Waiter",
    "WaitingLine",
    "Who",
]

MAX_OF_ADDRESS: Final = 8
"""So many of one address (IPv6: of one /64) may wait."""
MAX_OF_USER: Final = 2
"""So many of one user of tokens may wait."""
_ALL: Final = "the server is full, and so is its waiting room"
_OF_ADDRESS: Final = "the server is full, and too many wait from this address"
_OF_USER: Final = "the server is full, and this user waits too often"
_TOLD_MS: Final = 1000
"""Whoever waits is told of a new position at most so often."""
_REPEATED_MS: Final = 5000
"""He is told again even if it is not new: a client knows by it that its server is there."""
_KEPT_MS: Final = 10_000
"""Who has lost his socket and comes again so soon, with the same nonce, is where he was."""
_REMEMBERED: Final = 50
"""Sessions whose length says how long the next ones last."""


class TooManyWaitError(Exception):
    """One more may not wait.

    Attributes:
        reason: Of whom there are too many.
        of_address: True when it is the address.
    """

    def __init__(self, reason: str, *, of_address: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.of_address = of_address


class Who(NamedTuple):
    """Whom a place in the line counts for.

    Attributes:
        nonce: That of his attach; empty = none.
        address: What his address counts as; empty = it does not count.
        user: User of the token; empty = none.
    """

    nonce: bytes = b""
    address: str = ""
    user: str = ""


class Place(NamedTuple):
    """What somebody who waits is told.

    Attributes:
        position: From 1.
        estimated_ms: About how long until there is a place, milliseconds; 0 = not known.
    """

    position: int
    estimated_ms: int


@dataclass(slots=True, eq=False)
class Waiter:
    """One who waits.

    Attributes:
        number: Lower ones came before.
        who: Whom it counts for.
        until_ms: When he has waited for long enough.
    """

    number: int
    who: Who
    until_ms: float
    told: int = 0
    told_ms: float = 0.0


class WaitingLine:
    """First come, first served.

    Args:
        max_waiting: Most that may wait; 0 = nobody.
        max_wait_ms: Longest wait, milliseconds.
    """

    def __init__(self, *, max_waiting: int, max_wait_ms: float) -> None:
        self._max_waiting = max_waiting
        self._max_wait_ms = max_wait_ms
        self._line: list[Waiter] = []
        self._next = 0
        self._kept: dict[bytes, tuple[Waiter, float]] = {}
        self._lengths_ms: deque[float] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._line)

    @property
    def first(self) -> Waiter | None:
        """Whose turn it is; None = nobody waits."""
        return self._line[0] if self._line else None

    def enter(self, who: Who, now_ms: float) -> Waiter:
        """Somebody begins to wait.

        One whose nonce has waited a moment ago, for the same user, goes on where he was, and no
        longer than then; his address may be another one.

        Raises:
            TooManyWaitError: There are too many, or too many of his.
        """
        self._check(who)
        kept, kept_until_ms = self._kept.pop(who.nonce, (None, 0.0))
        if kept is not None and now_ms < kept_until_ms and kept.who.user == who.user:
            waiter = Waiter(kept.number, who, kept.until_ms)
        else:
            self._next += 1
            waiter = Waiter(self._next, who, now_ms + self._max_wait_ms)
        insort(self._line, waiter, key=lambda it: it.number)
        return waiter

    def _check(self, who: Who) -> None:
        if len(self._line) >= self._max_waiting:
            raise TooManyWaitError(_ALL)
        if who.address and self._number(lambda it: it.address == who.address) >= MAX_OF_ADDRESS:
            raise TooManyWaitError(_OF_ADDRESS, of_address=True)
        if who.user and self._number(lambda it: it.user == who.user) >= MAX_OF_USER:
            raise TooManyWaitError(_OF_USER)

    def _number(self, of: Callable[[Who], bool]) -> int:
        return sum(of(waiter.who) for waiter in self._line)

    def leave(self, waiter: Waiter, now_ms: float) -> None:
        """He has gone; his number is kept for a moment. Nothing when he waits no more."""
        if waiter in self._line:
            self._line.remove(waiter)
            self._forget(now_ms)
            if waiter.who.nonce:
                self._kept[waiter.who.nonce] = (waiter, now_ms + _KEPT_MS)

    def _forget(self, now_ms: float) -> None:
        """Numbers whose time is over, and of too many the oldest."""
        while self._kept:
            nonce, (_, until_ms) = next(iter(self._kept.items()))
            if now_ms < until_ms and len(self._kept) < self._max_waiting:
                return
            del self._kept[nonce]

    def serve(self) -> None:
        """The first of them has his place."""
        del self._line[0]

    def late(self, now_ms: float) -> list[Waiter]:
        """Those who have waited for long enough; they wait no more."""
        late = [waiter for waiter in self._line if now_ms >= waiter.until_ms]
        self._line = [waiter for waiter in self._line if now_ms < waiter.until_ms]
        return late

    def empty(self) -> list[Waiter]:
        """Send all of them away; nobody keeps his number."""
        gone, self._line = self._line, []
        self._kept.clear()
        return gone

    def due(self, now_ms: float, *, places: int) -> list[tuple[Waiter, Place]]:
        """Who is to be told where he is now; from here on he has been.

        Args:
            now_ms: When.
            places: How many sessions there are, one of which is to end.
        """
        due: list[tuple[Waiter, Place]] = []
        for position, waiter in enumerate(self._line, 1):
            pause_ms = _REPEATED_MS if waiter.told == position else _TOLD_MS
            if not waiter.told or now_ms - waiter.told_ms >= pause_ms:
                waiter.told, waiter.told_ms = position, now_ms
                due.append((waiter, Place(position, self.estimated_ms(position, places=places))))
        return due

    # how long

    def lasted(self, length_ms: float) -> None:
        """A session has ended that lasted so long."""
        self._lengths_ms.append(length_ms)

    def estimated_ms(self, position: int, *, places: int) -> int:
        """About how long somebody waits who is there; 0 = not known.

        Of so many sessions one ends in the mean length of the last fifty, divided by their number.
        """
        if not self._lengths_ms:
            return 0
        mean_ms = sum(self._lengths_ms) / len(self._lengths_ms)
        return max(1, round(position * mean_ms / max(1, places)))
