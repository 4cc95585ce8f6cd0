"""The one way in: whoever comes, by whatever door, is put on a session here, or refused.

Everything that is asked of the store may take its time, and anything may happen meanwhile. So each
step reserves what it needs and gives it back when nothing comes of it; the session is born, bound
and started at the very end, without a pause.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.authenticator import AuthenticatorFailedError, Identity
from voxwire_server.caps import Caps
from voxwire_server.config import Settings
from voxwire_server.control.attaches import REFUSALS as TOLD
from voxwire_server.ice_servers import IceServers
from voxwire_server.lifecycle import Answer, Event
from voxwire_server.ports import SessionFacts
from voxwire_server.sent_files import Acceptance, FileRoom
from voxwire_server.session.accounts import Accounts
from voxwire_server.session.admission import Admission, Admitted, NoSuchBotError
from voxwire_server.session.features import SERVER_FEATURES
from voxwire_server.session.leases import Leases
from voxwire_server.session.load import Load
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.refusals import (
    REFUSALS,
    BusyError,
    ClosingError,
    ElsewhereError,
    LeftError,
    NotYoursError,
    refusal_of,
)
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.single_file import SingleFile
from voxwire_server.session.spending import Spending
from voxwire_server.session.start_pace import PacedStarts, StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.store import Owner, SessionStore, StoreUnreachableError, Use
from voxwire_server.session.ticket import Arrival, At, Here, Refused, Ticket
from voxwire_server.session.told import NOBODY, Told
from voxwire_server.session.waiting import Who
from voxwire_server.session.waiting_room import Guest, Tell, WaitingRoom
from voxwire_server.tokens import Claims, TokenError

__all__ = ["Directory"]

_log = logging.getLogger("voxwire.session")

_GIVING_BACK_S: Final = 0.25
_USED: Final = "the token was used already"
_GOING: Final = "the server shuts down; a new connection finds another one"
_OTHERS: Final = "this attach is another user's"
_ASKED_AT_ONCE: Final = 4
_TOO_MANY: Final = "this token allows no more sessions at once"

T = TypeVar("T")


class _UsedError(TokenError):
    """The token has opened another session."""


@dataclass(slots=True)
class _Attempt:
    ticket: Ticket
    facts: SessionFacts
    arrival: Arrival
    waits: Tell | None
    guest: Guest | None = None
    left: bool = False


class Directory:
    """Puts whoever comes on a session.

    Args:
        registry: The sessions of this process.
        admission: Who may begin one.
        settings: How sessions run.
        ice: The STUN and TURN servers.
        told: Is told what the sessions do.
        load: Says when one more session would be too much.
        pace: Says how fast sessions may begin.
        starts: Counts how many begin; None = as many as want.
        store: Where processes agree; None = this one is alone.
        url: Where clients reach this one process; empty = it has no URL of its own.
        clock: The clock to run by.
        wall_s: The wall clock, seconds since the epoch.
        jitter: 0 to 1, for how long those who find no room stay away: not all equally long.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        admission: Admission,
        *,
        settings: Settings,
        ice: IceServers | None = None,
        told: Told = NOBODY,
        load: Load | None = None,
        pace: StartPace | None = None,
        starts: StartRates | None = None,
        store: SessionStore | None = None,
        url: str = "",
        clock: Clock = SYSTEM_CLOCK,
        wall_s: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._settings = settings
        self._ice = IceServers.parse() if ice is None else ice
        self._store: SessionStore = LocalStore(now_s=wall_s) if store is None else store
        self._told = told
        self._me = Owner(registry.name, url)
        self._clock = clock
        self._wall_s = wall_s
        self._jitter = jitter
        self._load = Load(0) if load is None else load
        self.paced = PacedStarts(StartPace(0, lambda: 0) if pace is None else pace, clock)
        """Those whose turn to begin has not come."""
        self._starts = StartRates(now_ms=clock.now_ms) if starts is None else starts
        self.file_room = FileRoom(settings.files_total_bytes)
        """The memory for files of all sessions."""
        self._attempts = SingleFile()
        self._users = SingleFile()
        self._asking = SingleFile()
        self._asked = itertools.count()
        self._work: set[asyncio.Task[Any]] = set()
        self.leases = Leases(registry, self._store, self._me, clock=clock, spawn=self._spawn)
        """What tells the store that this process lives."""
        self._accounts = Accounts(
            self._store,
            per_user=Caps.parse(settings.caps_per_user),
            per_bot=Caps.parse(settings.caps_per_bot),
            spawn=self._spawn,
            wall_s=wall_s,
            told=told,
        )
        self._leaves_at_ms = 0.0
        self.waiting_room = WaitingRoom(
            max_waiting=settings.max_waiting,
            max_wait_s=settings.max_wait_s,
            reserve=self._next_place,
            give_back=self._give_back_next,
            num_sessions=lambda: len(registry),
            clock=clock,
            crowded=self._starts.crowded,
        )
        """Those who wait for a place."""

    @property
    def closing(self) -> bool:
        """True when no session is begun or resumed any more."""
        return self._registry.closing

    @property
    def leaving(self) -> bool:
        """True when no session is begun any more; those that there are may go on."""
        return self._registry.draining or self._registry.closing

    @property
    def busy(self) -> bool:
        """True while one more session would be too much for those whose clients are there."""
        return self._load.too_much and self._heard_by_somebody

    @property
    def _heard_by_somebody(self) -> bool:
        return any(session.control.attached and not session.over for session in self._registry)

    async def attach(
        self,
        ticket: Ticket,
        facts: SessionFacts,
        arrival: Arrival,
        *,
        waits: Tell | None = None,
    ) -> Here | At | Refused:
        """Begin a session, or put one that there is on what its client came by.

        Decided in this order: capacity (where it does not wait for a place), token, bot, what the
        token is bound to, how many have begun from the address, how many its user has begun,
        one-time use; then its place; then caps, quota, and one-time use again; for a resume:
        whether the session is here and the client's. The same nonce within 60 s is the same attach:
        of several attempts with it one begins the session, the others get it.

        Cancel-safe: who is cancelled has gone. What was reserved is given back, unless the session
        had just begun; then it waits for its client as if the socket had been lost.

        Args:
            ticket: Who comes.
            facts: What a new session is born with; bot, user and limits are filled in here. The
                origin is held against that of a session which there is.
            arrival: What the client came by.
            waits: Tells it where it is in the line while there is no place for it; None = it does
                not wait, and neither does it where its bot lets nobody wait. By then its token is
                known to be good, and not used up.

        Returns:
            Whether the session is here, in another process, or nowhere.
        """
        attempt = _Attempt(ticket, facts, arrival, waits)
        if ticket.nonce:
            self.waiting_room.supersede(ticket.nonce)
        task = self._spawn(self._decide(attempt))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            attempt.left = True
            if attempt.guest is not None:
                self.waiting_room.leave(attempt.guest)
            if task.done() and not task.cancelled() and task.exception() is None:
                answer = task.result()
                if isinstance(answer, Here):
                    arrival.leave(answer.session)
            raise

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

        For a door that has to do something before it attaches. Nothing is used up or promised.

        Args:
            ticket: Who asks, vouched for.
            comes: What the door has done is work already: it counts for the address, and
                ``attach`` takes the ticket as ``counted``.
        """
        try:
            self._give_back(self._place())
            self._check(ticket)
            if comes:
                self._starts.come(ticket.counts_for)
        except REFUSALS as error:
            return self._refused(error)
        return None

    async def stranger(self, ticket: Ticket) -> Refused | None:
        """Why that ticket opens nothing here, now or later; None = it may.

        For a door that takes something in before it attaches. Nothing is used up or promised.
        Cancel-safe.

        Args:
            ticket: Who asks, vouched for.
        """
        return await asyncio.shield(self._spawn(self._strange(ticket)))

    async def _strange(self, ticket: Ticket) -> Refused | None:
        try:
            await self._look(ticket, self._admitted(ticket))
        except REFUSALS as error:
            return self._refused(error)
        return None

    def turned_away(self, code: wire.ErrorCode) -> None:
        """A door has turned somebody away by itself, with that error: it is counted."""
        self._told.refused(code)

    def accepts_of(self, ticket: Ticket) -> Acceptance | Refused:
        """What the bot takes of files that whoever has that ticket talks to; nothing is used up."""
        try:
            return self._admitted(ticket).bot.accepts
        except REFUSALS as error:
            return self._refused(error)

    def accepts(self, bot: str) -> Acceptance:
        """What the bot that is meant takes of files."""
        return self._admission.accepts(bot)

    async def _decide(self, attempt: _Attempt) -> Here | At | Refused:
        try:
            async with AsyncExitStack() as turn:
                if attempt.ticket.nonce:
                    await turn.enter_async_context(self._attempts.of(attempt.ticket.nonce))
                if attempt.ticket.session_id:
                    return Here(await self._resume(attempt))
                return Here(await self._begin(attempt))
        except ElsewhereError as elsewhere:
            return At(elsewhere.url)
        except REFUSALS as error:
            return self._refused(error)

    def _refused(self, error: Exception) -> Refused:
        refused = refusal_of(error).spread(self._jitter())
        self._told.refused(refused.code)
        return refused

    # resuming

    async def _resume(self, attempt: _Attempt) -> Session:
        ticket = attempt.ticket
        if self.closing:
            raise ClosingError
        session = self._registry.get(ticket.session_id)
        if session is None:
            await self._elsewhere(ticket.session_id)
            raise NotYoursError
        self._check_resume(session, attempt)
        # not needed; one that comes along must be the same user's
        if ticket.token:
            if await self._user_of(ticket, session) != session.facts.user:
                _refuse(session, Event.OTHER_USER)
            self._check_resume(session, attempt)  # another one may have been quicker
        self._bound(session, attempt)
        if self.leaving and not session.over:
            self._tell_going(session)
        return session

    @staticmethod
    def _check_resume(session: Session, attempt: _Attempt) -> None:
        if session.facts.origin != attempt.facts.origin:
            _refuse(session, Event.OTHER_ORIGIN)
        if session.numbered is None or not session.numbered.may_resume(attempt.ticket.resume_token):
            _refuse(session, Event.WRONG_TOKEN)

    async def _user_of(self, ticket: Ticket, session: Session) -> str | None:
        """Who a token names; None for one that is not good, where nothing may be told of that.

        While nobody can say, the session goes on: without a token it would, too.
        """
        try:
            return self._admission.user_of(await self.vouched(ticket), now_s=self._wall_s())
        except AuthenticatorFailedError:
            return session.facts.user
        except TokenError:
            if session.over:
                return None
            raise

    async def _elsewhere(self, session_id: str = "", *, nonce: bytes = b"") -> str:
        """The session of a nonce, if it is of this process; empty = there is none.

        Raises:
            ElsewhereError: Another process owns it.
        """
        located = await self._store.locate(session_id, nonce=nonce)
        if located is None:
            return ""
        if located.owner.name != self._me.name and located.owner.url:
            raise ElsewhereError(located.owner.url)
        return located.session_id

    # beginning

    async def _begin(self, attempt: _Attempt) -> Session:
        nonce = attempt.ticket.nonce
        known = await self._elsewhere(nonce=nonce) if nonce else ""
        session = self._registry.get(known)
        if session is not None and self._goes_on(session, attempt):
            return await self._again(session, attempt)
        async with AsyncExitStack() as turn, AsyncExitStack() as held:
            session_id, admitted = await self._place_of(attempt, held)
            if admitted.claims is not None:
                await turn.enter_async_context(self._users.of(admitted.claims.user))
                self._starts.check_user(admitted.claims.user)  # of several at once, too
            self._starts.come(attempt.ticket.counts_for)
            held.push_async_callback(self._forget, session_id)
            caps = self._accounts.caps_of(admitted.bot, admitted.claims)
            try:
                await self._store.take(session_id, of=None, by=self._me, nonce=nonce)
                await self._accounts.check(caps)
                if admitted.claims is not None:
                    await self._reserve(session_id, nonce, admitted.claims, held)
            except StoreUnreachableError:
                self._starts.take_back(attempt.ticket.counts_for)
                raise
            except _UsedError:  # who has no good token takes nothing from those beside him
                self._starts.take_back(attempt.ticket.counts_for)
                self._starts.turned_away(attempt.ticket.counts_for)
                raise
            spending = self._accounts.open(caps)
            session = self._born(session_id, attempt, admitted, spending)
            held.pop_all()  # all of it is the session's now
        return session

    async def _place_of(self, attempt: _Attempt, held: AsyncExitStack) -> tuple[str, Admitted]:
        """Keep a place in this process for somebody who may begin a session, when his turn comes.

        He keeps nothing of anybody else's while it is asked who he is. Nobody waits here who did
        not say that he can.

        Args:
            attempt: Whose.
            held: Gives back what was kept.
        """
        waits = attempt.waits is not None and self._settings.max_waiting > 0
        if not waits:
            self._give_back(self._place())
        attempt.ticket = await self.vouched(attempt.ticket)
        admitted = self._check(attempt.ticket)
        await self._look(attempt.ticket, admitted)
        if waits and admitted.bot.waits and not self._begins_now:
            return await self._wait_for_place(attempt, admitted, held)
        session_id = self._place()
        held.callback(self._give_back, session_id)
        if self._heard_by_somebody:
            await self.paced.turn()
        else:
            self.paced.begin()
        held.callback(self.paced.take_back)
        return session_id, admitted

    @property
    def _begins_now(self) -> bool:
        try:
            self._give_back(self._place())
        except (BusyError, CapacityError):
            return False
        return not self._heard_by_somebody or self.paced.is_due

    async def _wait_for_place(
        self, attempt: _Attempt, admitted: Admitted, held: AsyncExitStack
    ) -> tuple[str, Admitted]:
        """What was decided about him does not grow old meanwhile; who may come is asked again."""
        assert attempt.waits is not None
        if attempt.left:
            raise LeftError
        user = "" if admitted.claims is None else admitted.claims.user
        who = Who(attempt.ticket.nonce, self._starts.counted(attempt.ticket.address), user)
        since_s, since_ms = self._wall_s(), self._clock.now_ms()
        attempt.guest = self.waiting_room.enter(who, attempt.waits)
        session_id = await self.waiting_room.wait(attempt.guest)
        held.callback(self._give_back_next, session_id)
        waited_s = (self._clock.now_ms() - since_ms) / 1000
        attempt.ticket = await self.vouched(attempt.ticket)
        return session_id, self._admission.check(attempt.ticket, now_s=since_s).later(waited_s)

    def _place(self) -> str:
        """Keep a place in this process; the id that the session will have."""
        self.waiting_room.serve()
        if self.waiting_room:  # whoever waits comes first
            raise BusyError
        return self._free_place()

    def _give_back(self, session_id: str) -> None:
        self._registry.give_back(session_id)
        self.waiting_room.serve()

    def _free_place(self) -> str:
        if self.leaving:
            raise ClosingError
        if self.busy:
            raise BusyError
        return self._registry.reserve()

    def _next_place(self) -> str:
        """A place for whoever waits: he begins at once, so that his turn has come, too."""
        if not self.leaving and self._heard_by_somebody and not self.paced.is_due:
            raise BusyError
        session_id = self._free_place()
        self.paced.begin()
        return session_id

    def _give_back_next(self, session_id: str) -> None:
        self.paced.take_back()
        self._give_back(session_id)

    async def _look(self, ticket: Ticket, admitted: Admitted) -> None:
        """See whether a token of ours may be used. It is not used up.

        Raises:
            TokenError: It is.
        """
        if not isinstance(admitted.claims, Claims):
            return
        use = self._use_of(admitted.claims, ticket.nonce, "")
        async with self._users.of(admitted.claims.user):  # one that is tried may be given back
            claim = await self._store.claim(use, look=True)
        if claim is None:
            self._starts.turned_away(ticket.counts_for)
            raise TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _USED)

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

    def _goes_on(self, session: Session, attempt: _Attempt) -> bool:
        """True when this attempt has opened that session already; its Welcome was lost."""
        ours = (
            session.facts.origin == attempt.facts.origin
            and session.numbered is not None
            and session.numbered.knows(attempt.ticket.nonce)
        )
        event = (attempt.arrival.coming(session) if ours else None) or Event.HELLO_NEW
        if session.life.would(event) is not Answer.OTHER_SESSION:
            return True
        session.life.on(event)
        return False

    async def _again(self, session: Session, attempt: _Attempt) -> Session:
        """The same attach once more: it counts for itself only, and needs its token still."""
        attempt.ticket = await self.vouched(attempt.ticket)
        claims = self._admission.check(attempt.ticket, now_s=self._wall_s()).claims
        if claims is not None and claims.user != session.facts.user:
            raise TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _OTHERS)
        async with AsyncExitStack() as held:
            if isinstance(claims, Claims):
                use = self._use_of(claims, attempt.ticket.nonce, session.id)
                claim = await self._store.claim(use)
                if claim is None:
                    raise TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _USED)
                if claim.first:
                    held.push_async_callback(self._unclaim, use)
            if self._goes_on(session, attempt):
                self._bound(session, attempt)
                held.pop_all()
                return session
        return await self._begin(attempt)  # it has ended meanwhile

    async def _reserve(
        self, session_id: str, nonce: bytes, claims: Claims | Identity, held: AsyncExitStack
    ) -> None:
        """Reserve a place among the sessions of the user, then use the token up, if it is ours."""
        limit = claims.limits.max_sessions
        if not await self._store.count(claims.user, session_id, limit=limit):
            raise TokenError(wire.ErrorCode.ERROR_CODE_CAPACITY, _TOO_MANY)
        if isinstance(claims, Identity):
            return
        use = self._use_of(claims, nonce, session_id)
        held.push_async_callback(self._unclaim, use)
        claim = await self._store.claim(use)
        if claim is not None and claim.session_id != session_id:
            earlier = self._registry.get(await self._elsewhere(claim.session_id))
            if earlier is None or earlier.over:
                claim = await self._store.claim(use, after=claim.session_id)
        if claim is None or claim.session_id != session_id:
            raise _UsedError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _USED)

    def _use_of(self, claims: Claims, nonce: bytes, session_id: str) -> Use:
        """The use of a token, remembered for as long as somebody may wait with the same one."""
        waits_s = self._settings.max_wait_s if self._settings.max_waiting else 0
        return Use(
            token_id=claims.token_id,
            nonce=nonce,
            session_id=session_id,
            expires_at_s=claims.expires_at_s + waits_s,
        )

    def _born(
        self, session_id: str, attempt: _Attempt, admitted: Admitted, spending: Spending
    ) -> Session:
        """Make, bind and start a session in one go: everything that it needs is reserved."""
        if self.leaving:
            raise ClosingError
        facts = admitted.facts_of(attempt.facts)
        session = Session(
            session_id,
            settings=self._settings,
            run_bot=admitted.bot.run,
            facts=facts,
            ice_servers=self._ice,
            channel=attempt.arrival.channel(SERVER_FEATURES & facts.features, self._clock),
            file_room=self.file_room,
            spending=spending,
            clock=self._clock,
            late=self._told.late,
        )
        self._bound(session, attempt)
        session.when_ending(lambda: self._spawn(self._leave(session)))
        if facts.user:
            self._starts.begun(facts.user)
        self._told.begun(session_id)
        session.outlet.tell(partial(self._told.sent, session_id))
        self._registry.start(session).add_done_callback(lambda _: self._over(session))
        return session

    def _over(self, session: Session) -> None:
        dropped = {**session.intake.counters(), **session.capture.counters()}
        self._told.over(session.id, dropped)
        if session.spending is not None:
            self._spawn(session.spending.settle(session.age_ms))
        self.waiting_room.over(session.age_ms)

    @staticmethod
    def _bound(session: Session, attempt: _Attempt) -> Session:
        if attempt.left:
            raise LeftError
        attempt.arrival.bind(session)
        return session

    # giving back

    async def _leave(self, session: Session) -> None:
        """A session ends; who of its user comes behind it finds its place free."""
        async with AsyncExitStack() as turn:
            if session.facts.user:
                await turn.enter_async_context(self._users.of(session.facts.user))
            await self._forget(session.id)

    async def _forget(self, session_id: str) -> None:
        try:
            await self._store.take(session_id, of=self._me, by=None)
        except StoreUnreachableError:  # its lease runs out
            _log.warning("a session could not be taken out of the store")

    async def _unclaim(self, use: Use) -> None:
        try:
            await self._store.claim(use, back=True)
        except StoreUnreachableError:
            _log.warning("a token could not be given back")

    # the process

    def begin(self) -> None:
        """Tell the store that this process lives, from now on. Idempotent."""
        self.leases.begin()

    async def drain(self, within_ms: int) -> None:
        """Begin no session any more, tell every client, and wait until they have all ended.

        Args:
            within_ms: When this process ends the rest, which their clients are told.
        """
        self._leaves_at_ms = self._clock.now_ms() + within_ms
        self._registry.draining = True
        self.waiting_room.send_away()
        for session in self._registry:
            if not session.over:
                self._tell_going(session)
        await self._registry.emptied()

    def _tell_going(self, session: Session) -> None:
        left_ms = max(0, round(self._leaves_at_ms - self._clock.now_ms()))
        try:
            session.emit(go_away=wire.GoAway(reason=_GOING, time_left_ms=left_ms))
        except Exception:  # the others are told all the same
            _log.exception("a client was not told", extra={"session": session.id})

    async def close(self, timeout_ms: int) -> None:
        """End every session, and wait until nothing of them remains, here and in the store."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_ms / 1000
        self._registry.closing = True
        self.waiting_room.send_away()
        await self._registry.close(timeout_ms)
        self.leases.stop()
        if self._work:
            rest_s = max(_GIVING_BACK_S, until_s - loop.time())
            _, left = await asyncio.wait(self._work, timeout=rest_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_GIVING_BACK_S)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: "asyncio.Task[Any]") -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the directory failed", exc_info=error)


def _refuse(session: Session, event: Event) -> None:
    """Have a client turned away that the table refuses.

    Raises:
        ChannelError: It does; what the client is told is what stands in the cell.
    """
    answer = session.life.would(event)
    if answer in TOLD:
        session.life.on(event)
        raise ChannelError(*TOLD[answer])
