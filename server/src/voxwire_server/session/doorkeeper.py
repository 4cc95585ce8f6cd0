"""Who may begin a session: what doors ask before they attach somebody, and what an attach asks.

It is asked in one order (protocol/spec/session.md, "Opening"): whether there is a place, unless he
may wait for one; who he is, where the operator's function says so (ADR 37); his token, what it is
bound to, and his bot; how many have begun from his address, and of his user; whether it is known
that the day is used up; whether his token was used, and if it was, he is not told which bots there
are. Only then does somebody keep a place, or wait for one: strangers fill no waiting room (ADR 35).
Nothing is used up here.

Who is turned away for his token or his bot counts for his address, apart from those who begin, so
that he keeps nobody out who may come (protocol/spec/limits.md, "Starts"). Every refusal goes
through here: it is counted, and each of many is told another moment at which to come again.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.authenticator import AuthenticatorFailedError, Identity
from voxwire_server.ports import SessionFacts
from voxwire_server.sent_files import Acceptance
from voxwire_server.session.accounts import Accounts
from voxwire_server.session.admission import Admission, Admitted, ChosenBot, NoSuchBotError
from voxwire_server.session.places import Places
from voxwire_server.session.refusals import REFUSALS, LeftError, refusal_of
from voxwire_server.session.single_file import SingleFile
from voxwire_server.session.snapshots import Kept
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.ticket import Arrival, Refused, Ticket
from voxwire_server.session.token_uses import TokenUsedError, TokenUses
from voxwire_server.session.told import Told
from voxwire_server.session.waiting import Who
from voxwire_server.session.waiting_room import Guest, Tell
from voxwire_server.tokens import Claims, TokenError

__all__ = ["Attempt", "Doorkeeper", "Spawn"]

_ASKED_AT_ONCE: Final = 4

T = TypeVar("T")


class Spawn(Protocol):
    """Runs work to its end, whether or not its caller waits for it."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> "asyncio.Task[T]":
        """Run it."""
        ...


@dataclass(slots=True)
class Attempt:
    """Somebody who comes.

    Attributes:
        ticket: Who he is; vouched for, once that was asked.
        facts: What a new session of his is born with.
        arrival: What he came by.
        waits: Tells him where he is in the line; None = he does not wait.
        guest: He, in the waiting room; None = he has not waited.
        left: True when he has gone.
    """

    ticket: Ticket
    facts: SessionFacts
    arrival: Arrival
    waits: Tell | None
    guest: Guest | None = None
    left: bool = False


class Doorkeeper:
    """Says who may begin a session.

    Args:
        admission: Checks tickets.
        places: The places of this process.
        uses: The uses of tokens.
        accounts: What users and bots may spend.
        starts: Counts how many begin, and how many are turned away.
        told: Is told of every refusal.
        spawn: Runs what asks the store.
        clock: The clock to run by.
        wall_s: The wall clock, seconds since the epoch.
        jitter: 0 to 1, for how long those who find no room stay away: not all equally long.
    """

    def __init__(
        self,
        admission: Admission,
        *,
        places: Places,
        uses: TokenUses,
        accounts: Accounts,
        starts: StartRates,
        told: Told,
        spawn: Spawn,
        clock: Clock,
        wall_s: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._admission = admission
        self._places = places
        self._uses = uses
        self._accounts = accounts
        self._starts = starts
        self._told = told
        self._spawn = spawn
        self._clock = clock
        self._wall_s = wall_s
        self._jitter = jitter
        self._asking = SingleFile()
        self._asked = itertools.count()

    # what doors ask

    async def vouched(self, ticket: Ticket) -> Ticket:
        """The ticket with what the authenticator says of it, where there is one to be asked.

        For a door that asks before it attaches; what was said counts for a minute.
        """
        address = self._starts.counted(ticket.address)
        async with AsyncExitStack() as turn:
            if address:  # one that has many asked about leaves the authenticator to others, too
                line = (address, next(self._asked) % _ASKED_AT_ONCE)
                await turn.enter_async_context(self._asking.of(line))
            return await self._admission.vouched(ticket, now_s=self._wall_s())

    def refusal_of(self, ticket: Ticket, *, comes: bool = False) -> Refused | None:
        """Why nobody would begin a session with that ticket now; None = somebody may.

        For a door that has to do something before it attaches. Nothing is promised.

        Args:
            ticket: Who asks, vouched for.
            comes: What the door has done is work already: it counts for the address, and
                ``Directory.attach`` takes the ticket as ``counted``.
        """
        try:
            self._places.check()
            self._check(ticket)
            if comes:
                self._starts.come(ticket.counts_for)
        except REFUSALS as error:
            return self.refused(error)
        return None

    async def stranger(self, ticket: Ticket) -> Refused | None:
        """Why that ticket opens nothing here, now or later; None = it may.

        For a door that takes something in before it attaches. Nothing is promised. Cancel-safe.

        Args:
            ticket: Who asks, vouched for.
        """
        return await asyncio.shield(self._spawn(self._strange(ticket)))

    async def _strange(self, ticket: Ticket) -> Refused | None:
        try:
            await self._unused(ticket, self._admitted)
        except REFUSALS as error:
            return self.refused(error)
        return None

    def accepts_of(self, ticket: Ticket) -> Acceptance | Refused:
        """What the bot takes of files that whoever has that ticket talks to."""
        try:
            return self._admitted(ticket).bot.accepts
        except REFUSALS as error:
            return self.refused(error)

    def accepts(self, bot: str) -> Acceptance:
        """What the bot that is meant takes of files."""
        return self._admission.accepts(bot)

    def bot(self, name: str) -> ChosenBot:
        """A bot of this server.

        Raises:
            NoSuchBotError: There is none of that name.
        """
        return self._admission.bot(name)

    def turned_away(self, code: wire.ErrorCode) -> None:
        """A door has turned somebody away by itself, with that error: it is counted."""
        self._told.refused(code)

    # what an attach asks

    async def admit(self, attempt: Attempt, held: AsyncExitStack) -> tuple[str, Admitted]:
        """Keep a place in this process for somebody who may begin a session, when his turn comes.

        He keeps nothing of anybody else's while it is asked who he is. Nobody waits here who did
        not say that he can.

        Args:
            attempt: Whose; his ticket is vouched for from here on.
            held: Gives back what was kept.

        Returns:
            The id of the session that is to have the place, and what was decided.

        Raises:
            Exception: Any of ``REFUSALS``.
        """
        waits = attempt.waits is not None and self._places.may_wait
        if not waits:
            self._places.check()
        attempt.ticket = await self.vouched(attempt.ticket)
        admitted = await self._unused(attempt.ticket, self._check)
        if waits and admitted.bot.waits and not self._places.begins_now:
            return await self._wait(attempt, admitted, held)
        return await self._places.take(held), admitted

    async def _wait(
        self, attempt: Attempt, admitted: Admitted, held: AsyncExitStack
    ) -> tuple[str, Admitted]:
        """What was decided about him does not grow old meanwhile; who may come is asked again."""
        assert attempt.waits is not None
        if attempt.left:
            raise LeftError
        user = "" if admitted.claims is None else admitted.claims.user
        who = Who(attempt.ticket.nonce, self._starts.counted(attempt.ticket.address), user)
        since_s, since_ms = self._wall_s(), self._clock.now_ms()
        attempt.guest = self._places.waiting_room.enter(who, attempt.waits)
        session_id = await self._places.wait(attempt.guest, held)
        waited_s = (self._clock.now_ms() - since_ms) / 1000
        attempt.ticket = await self.vouched(attempt.ticket)
        return session_id, self._admission.check(attempt.ticket, now_s=since_s).later(waited_s)

    async def claims_of(self, attempt: Attempt) -> Claims | Identity | None:
        """What the token says of somebody who comes again; no start, and nothing is counted.

        Args:
            attempt: His; his ticket is vouched for from here on.

        Raises:
            TokenError, NoSuchBotError, AuthenticatorFailedError: As :meth:`Admission.check`.
        """
        attempt.ticket = await self.vouched(attempt.ticket)
        return self._admission.check(attempt.ticket, now_s=self._wall_s()).claims

    async def user_of(self, ticket: Ticket) -> str:
        """Who the token names with which a session is resumed.

        Raises:
            TokenError, AuthenticatorFailedError: As :meth:`Admission.user_of`.
        """
        return self._admission.user_of(await self.vouched(ticket), now_s=self._wall_s())

    async def may_take_over(self, kept: Kept, attempt: Attempt) -> bool:
        """Whether somebody may go on here with a session that another process had.

        Args:
            kept: What is kept of it.
            attempt: Who comes for it.
        """
        ticket = attempt.ticket
        if kept.facts.origin != attempt.facts.origin:
            return False
        if not kept.before.may_resume(ticket.resume_token):
            return False
        try:
            self.bot(kept.facts.bot)
            return not ticket.token or await self.user_of(ticket) == kept.facts.user
        except (NoSuchBotError, TokenError):
            return False
        except AuthenticatorFailedError:
            return True  # without a token it would be

    def refused(self, error: Exception) -> Refused:
        """What is told of the reason why nobody is put on a session; it is counted."""
        refused = refusal_of(error).spread(self._jitter())
        self._told.refused(refused.code)
        return refused

    # the steps

    def _admitted(self, ticket: Ticket) -> Admitted:
        """Who is admitted; one who is turned away is counted."""
        try:
            return self._admission.check(ticket, now_s=self._wall_s())
        except (NoSuchBotError, TokenError):
            self._starts.turned_away(ticket.counts_for)
            raise

    def _check(self, ticket: Ticket) -> Admitted:
        """The same, if he may begin one more; a start is not counted yet."""
        admitted = self._admitted(ticket)
        self._starts.check_address(ticket.counts_for)
        if admitted.claims is not None:
            self._starts.check_user(admitted.claims.user)
        self._accounts.look(self._accounts.caps_of(admitted.bot, admitted.claims))
        return admitted

    async def _unused(self, ticket: Ticket, check: Callable[[Ticket], Admitted]) -> Admitted:
        """Who is admitted by a check, and has not used his token."""
        try:
            admitted = check(ticket)
        except NoSuchBotError as error:
            if isinstance(error.claims, Claims):  # he is counted already
                await self._uses.look(error.claims, ticket.nonce)
            raise
        await self._look(ticket, admitted.claims)
        return admitted

    async def _look(self, ticket: Ticket, claims: Claims | Identity | None) -> None:
        """See whether a token of ours was used; one who is turned away is counted."""
        if not isinstance(claims, Claims):
            return
        try:
            await self._uses.look(claims, ticket.nonce)
        except TokenUsedError:
            self._starts.turned_away(ticket.counts_for)
            raise
