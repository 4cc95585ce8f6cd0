"""When a session has to end because its user, or its bot, has had all that there is for the day.

Pure: ``now_ms`` are monotonic milliseconds, ``wall_s`` seconds since the epoch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from voxwire_protocol import wire
from voxwire_server.caps import (
    NOTHING,
    Amounts,
    Caps,
    Payer,
    day_of,
    nearly,
    rest_of_day_ms,
    used_up,
)
from voxwire_server.session.limits import Over

__all__ = ["LAST_ANSWER_MS", "QUIET_MS", "CapWatch"]

LAST_ANSWER_MS: Final = 60_000
"""How long an answer may take that is on its way when a cap is reached."""
QUIET_MS: Final = 2000
"""For so long nobody speaks and nothing is owed before that answer counts as over."""
_WARN_S: Final = 3
_TIME: Final = "seconds"


@dataclass(slots=True)
class _Account:
    caps: Caps
    known: Amounts = NOTHING
    unsaid: Amounts = NOTHING
    day: int = -1
    warned: set[str] = field(default_factory=set[str])

    def turn_to(self, day: int) -> None:
        """What was spent on another day counts no more."""
        if day != self.day:
            self.day, self.known = day, NOTHING
            self.warned.clear()


class _Line(NamedTuple):
    payer: Payer
    account: _Account
    name: str
    cap: int
    left: int


class CapWatch:
    """Holds what one session and all others of its payers have spent against their caps.

    An answer that is on its way when a cap is reached is spoken to its end, for 60 s at most;
    what the user asks behind it is not answered. Time is over when it is, after its warning.

    Args:
        caps: Who pays, and what may be spent a day.
    """

    def __init__(self, caps: Mapping[Payer, Caps]) -> None:
        self._accounts = {payer: _Account(each) for payer, each in caps.items()}
        self.ended_by = ""
        """What is used up, once that has ended the session."""
        self._reached_ms: float | None = None
        self._quiet_since_ms = 0.0
        self._beyond = False

    @property
    def payers(self) -> list[Payer]:
        """Who pays."""
        return list(self._accounts)

    @property
    def near(self) -> bool:
        """True when little is left of something."""
        return any(account.warned for account in self._accounts.values())

    def spend(self, amounts: Amounts) -> None:
        """The session has spent something, of which nobody else knows yet."""
        for account in self._accounts.values():
            account.unsaid = account.unsaid.plus(amounts)
        self._beyond = self._beyond or (self._reached_ms is not None and amounts.turns > 0)

    def unsaid(self) -> dict[Payer, Amounts]:
        """What nobody else knows of yet; empty = nothing."""
        accounts = self._accounts.items()
        return {payer: it.unsaid for payer, it in accounts if it.unsaid != NOTHING}

    def told(self, payer: Payer, said: Amounts, totals: Amounts, *, wall_s: float) -> None:
        """Others know now.

        Args:
            payer: Whose day it is.
            said: What they were told.
            totals: What all sessions have spent on that day, these amounts included.
            wall_s: When they were told.
        """
        account = self._accounts[payer]
        account.unsaid = account.unsaid.minus(said)
        account.turn_to(day_of(wall_s))
        account.known = totals

    def watch(self, now_ms: float, *, wall_s: float, busy: bool) -> Over | wire.GoAway | None:
        """What is due: a warning (once each), the end (never before one), or nothing.

        One thing at a time: what else there is to warn of is due at the next look.

        Args:
            now_ms: Monotonic time.
            wall_s: Wall clock.
            busy: Whether anybody speaks, or an answer is owed or on its way.
        """
        soon: list[_Line] = []
        reached: dict[str, Payer] = {}
        for line in self._lines(day_of(wall_s)):
            payer, account, name, cap, left = line
            if left <= 0 and (name != _TIME or name in account.warned):
                reached.setdefault(name, payer)
            elif left <= _near(name, cap) and name not in account.warned:
                soon.append(line)
        if _TIME in reached:
            return self._over(reached[_TIME], _TIME, wall_s)
        for name, payer in reached.items():
            due = self._last_answer(payer, name, now_ms, wall_s=wall_s, busy=busy)
            return due or _warning([line for line in soon if line.name == _TIME])
        self._reached_ms, self._beyond = None, False
        return _warning(soon)

    def _lines(self, day: int) -> Iterator[_Line]:
        for payer, account in self._accounts.items():
            account.turn_to(day)
            for line in account.caps.left_of(account.known.plus(account.unsaid)):
                yield _Line(payer, account, *line)

    def _last_answer(
        self, payer: Payer, name: str, now_ms: float, *, wall_s: float, busy: bool
    ) -> Over | wire.GoAway | None:
        if self._reached_ms is None:
            self._reached_ms = self._quiet_since_ms = now_ms
            left_ms = LAST_ANSWER_MS if busy else QUIET_MS
            return wire.GoAway(reason=used_up(payer.whose, name), time_left_ms=left_ms)
        if busy:
            self._quiet_since_ms = now_ms
        quiet = now_ms - self._quiet_since_ms >= QUIET_MS
        if quiet or self._beyond or now_ms - self._reached_ms >= LAST_ANSWER_MS:
            return self._over(payer, name, wall_s)
        return None

    def _over(self, payer: Payer, name: str, wall_s: float) -> Over:
        self.ended_by = name
        error = wire.Error(
            code=wire.ErrorCode.ERROR_CODE_CAPACITY,
            reason=used_up(payer.whose, name),
            action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
            retryable=True,
            retry_after_ms=rest_of_day_ms(wall_s),
            fatal=True,
        )
        return Over(wire.EndReason.END_REASON_ERROR, error)


def _warning(soon: list[_Line]) -> wire.GoAway | None:
    """One of them, which is warned of from here on: time before all else, for it goes on."""
    if not soon:
        return None
    line = min(soon, key=lambda line: line.name != _TIME)
    line.account.warned.add(line.name)
    left_ms = max(0, line.left) * 1000 if line.name == _TIME else 0
    return wire.GoAway(reason=nearly(line.payer.whose, line.name), time_left_ms=left_ms)


def _near(name: str, cap: int) -> int:
    """So much left, or less, is little; all of it never is."""
    return min(cap - 1, max(_WARN_S if name == _TIME else 1, cap // 10))
