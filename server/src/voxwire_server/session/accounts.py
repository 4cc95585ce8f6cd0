"""What users and bots may spend, and whether anything is left of it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from voxwire_server.authenticator import Identity
from voxwire_server.caps import NOTHING, Amounts, CapReachedError, Caps, Payer, day_of
from voxwire_server.session.admission import ChosenBot
from voxwire_server.session.spending import Spawn, Spending
from voxwire_server.session.store import SessionStore
from voxwire_server.session.told import NOBODY, Told
from voxwire_server.tokens import Claims

__all__ = ["Accounts"]

_MAX_SEEN: Final = 10_000


class Accounts:
    """What the users and bots of a server may spend.

    Args:
        store: Where the totals are.
        per_user: What each user may spend a day; a token may allow less, never more.
        per_bot: The same for all sessions of one bot, as far as it says nothing itself.
        spawn: Runs what asks the store.
        wall_s: The wall clock, seconds since the epoch.
        told: Is told what is spent.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        per_user: Caps,
        per_bot: Caps,
        spawn: Spawn,
        wall_s: Callable[[], float],
        told: Told = NOBODY,
    ) -> None:
        self._store = store
        self._per_user = per_user
        self._per_bot = per_bot
        self._spawn = spawn
        self._wall_s = wall_s
        self._told = told
        self._day = 0
        self._seen: OrderedDict[Payer, Amounts] = OrderedDict()

    def caps_of(self, bot: ChosenBot, claims: Claims | Identity | None) -> dict[Payer, Caps]:
        """Who pays for a session, and what he may spend.

        Args:
            bot: The bot that runs.
            claims: What the token says; None = there is none, and no user.
        """
        caps: dict[Payer, Caps] = {}
        if claims is not None:
            limits = claims.limits
            of_token = Caps(
                seconds=limits.seconds_per_day,
                turns=limits.turns_per_day,
                llm_tokens=limits.llm_tokens_per_day,
                tts_characters=limits.tts_characters_per_day,
            )
            caps[Payer("user", claims.user)] = self._per_user.within(of_token)
        of_bot = bot.caps.or_else(self._per_bot)
        if of_bot != Caps():
            caps[Payer("bot", bot.name)] = of_bot
        return caps

    def look(self, caps: Mapping[Payer, Caps]) -> None:
        """See whether it is known already that nothing is left; the store is not asked.

        Raises:
            CapReachedError: It is: on one day, totals only grow.
        """
        wall_s = self._wall_s()
        for payer, each in caps.items():
            if day_of(wall_s) == self._day:
                self._hold(payer, each, self._seen.get(payer, NOTHING), wall_s)

    async def check(self, caps: Mapping[Payer, Caps]) -> None:
        """See whether anything is left.

        Raises:
            CapReachedError: There is not.
            StoreUnreachableError: It cannot be known.
        """
        for payer, each in caps.items():
            if each != Caps():
                wall_s = self._wall_s()
                spent = await self._spend(payer, NOTHING, now_s=wall_s)
                self._hold(payer, each, spent, wall_s)

    def _hold(self, payer: Payer, caps: Caps, spent: Amounts, wall_s: float) -> None:
        for name, _, left in caps.left_of(spent):
            if left <= 0:
                self._told.capped(name, at_start=True)
                raise CapReachedError(payer.whose, name, wall_s)

    def open(self, caps: Mapping[Payer, Caps], *, own: Amounts = NOTHING) -> Spending:
        """What counts a session that begins, or goes on here.

        Args:
            caps: Who pays, and what he may spend.
            own: What it has spent in another process.
        """
        return Spending(
            caps, self._spend, spawn=self._spawn, wall_s=self._wall_s, told=self._told, own=own
        )

    async def _spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        """Ask the store, and remember what it said last of the last who were asked about."""
        totals = await self._store.spend(payer, amounts, now_s=now_s)
        if (day := day_of(now_s)) != self._day:
            self._day = day
            self._seen.clear()
        self._seen[payer] = totals
        self._seen.move_to_end(payer)
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return totals
