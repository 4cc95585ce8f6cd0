"""The one way in: whoever comes, by whatever door, is put on a session here, or refused.

Everything that is asked of the store may take its time, and anything may happen meanwhile. So each
step reserves what it needs and gives it back when nothing comes of it; the session is born, bound
and started at the very end, without a pause (ADR 17).

Each thing that is reserved has its rule in a module of its own: a place in this process and the
turn to begin in ``places``, the token and a place with its user in ``token_uses``, the day in
``accounts``. Who may begin is ``doorkeeper``'s to say. Here stands in which order one follows the
other, and where a session is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.authenticator import AuthenticatorFailedError
from voxwire_server.caps import Caps
from voxwire_server.config import Settings
from voxwire_server.control.attaches import REFUSALS as TOLD
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.daily.rooms import DailyRooms
from voxwire_server.ice_servers import IceServers
from voxwire_server.lifecycle import Answer, Event
from voxwire_server.ports import ControlChannel, SessionFacts
from voxwire_server.sent_files import FileRoom
from voxwire_server.session.accounts import Accounts
from voxwire_server.session.admission import Admission, Admitted, ChosenBot
from voxwire_server.session.doorkeeper import Attempt, Doorkeeper
from voxwire_server.session.features import SERVER_FEATURES, WITH_DAILY
from voxwire_server.session.hand_over import HandOver
from voxwire_server.session.keeper import Keeper
from voxwire_server.session.leases import Leases
from voxwire_server.session.load import Load
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.once import Once
from voxwire_server.session.places import Places
from voxwire_server.session.refusals import (
    REFUSALS,
    BusyError,
    ClosingError,
    ElsewhereError,
    LeftError,
    NotYoursError,
)
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.single_file import SingleFile
from voxwire_server.session.snapshots import Kept, Snapshots
from voxwire_server.session.spending import Spending
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.store import (
    NO_OWNER,
    Located,
    Replica,
    SessionStore,
    StoreUnreachableError,
)
from voxwire_server.session.tasks import Work
from voxwire_server.session.ticket import Arrival, At, Here, Refused, Ticket
from voxwire_server.session.token_uses import TokenUsedError, TokenUses
from voxwire_server.session.told import NOBODY, Told
from voxwire_server.session.waiting_room import Tell
from voxwire_server.session.whereabouts import Whereabouts
from voxwire_server.tokens import Claims, TokenError

__all__ = ["Directory"]

_log = logging.getLogger("voxwire.session")

_GIVING_BACK_S: Final = 0.25
_OTHERS: Final = "this attach is another user's"


class Directory:
    """Puts whoever comes on a session.

    Args:
        registry: The sessions of this process.
        admission: Who may begin one.
        settings: How sessions run.
        ice: The STUN and TURN servers.
        rooms: Rooms of Daily's; None = there are none.
        told: Is told what the sessions do.
        load: Says when one more session would be too much.
        pace: Says how fast sessions may begin.
        starts: Counts how many begin; None = as many as want.
        store: Where processes agree; None = this one is alone.
        snapshots: Packs what other processes need of its sessions; None = they get nothing.
        url: Where clients reach this one process; empty = it has no URL of its own.
        peer_url: Where the other processes reach it; empty = they do not.
        version: Of this code, which the other processes are told.
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
        rooms: DailyRooms | None = None,
        told: Told = NOBODY,
        load: Load | None = None,
        pace: StartPace | None = None,
        starts: StartRates | None = None,
        store: SessionStore | None = None,
        snapshots: Snapshots | None = None,
        url: str = "",
        peer_url: str = "",
        version: str = "",
        clock: Clock = SYSTEM_CLOCK,
        wall_s: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        starts = StartRates(now_ms=clock.now_ms) if starts is None else starts
        self._registry = registry
        self._settings = settings
        self._ice = IceServers.parse() if ice is None else ice
        self._rooms = rooms
        self._features = SERVER_FEATURES if rooms is None else WITH_DAILY
        self._store: SessionStore = LocalStore(now_s=wall_s) if store is None else store
        self.once = Once(self._store)
        """What is good once in all processes."""
        self._told = told
        self._me = registry.name
        self._clock = clock
        self._wall_s = wall_s
        self._starts = starts
        self.file_room = FileRoom(settings.files_total_bytes)
        """The memory for files of all sessions."""
        self._attempts = SingleFile()
        self._moves = SingleFile()
        self._work = Work(_failed)
        me = Replica(name=registry.name, peer_url=peer_url, public_url=url, version=version)
        self.leases = Leases(registry, self._store, me, clock=clock, spawn=self._work.spawn)
        """What tells the store that this process lives."""
        self._keeper = snapshots and Keeper(
            self._store, snapshots, self._me, clock=clock, spawn=self._work.spawn
        )
        self.places = Places(
            registry,
            load=Load(0) if load is None else load,
            pace=StartPace(0, lambda: 0) if pace is None else pace,
            max_waiting=settings.max_waiting,
            max_wait_s=settings.max_wait_s,
            clock=clock,
            crowded=starts.crowded,
        )
        """Who gets a place, and when."""
        self._whereabouts = Whereabouts(
            registry,
            self._store,
            self._me,
            wall_s=wall_s,
            replicas=lambda: self.leases.known,
        )
        self._uses = TokenUses(
            self._store,
            wall_s=wall_s,
            max_wait_s=settings.max_wait_s if settings.max_waiting else 0,
            is_over=self._whereabouts.is_over,
        )
        self._accounts = Accounts(
            self._store,
            per_user=Caps.parse(settings.caps_per_user),
            per_bot=Caps.parse(settings.caps_per_bot),
            spawn=self._work.spawn,
            wall_s=wall_s,
            told=told,
        )
        self.doorkeeper = Doorkeeper(
            admission,
            places=self.places,
            uses=self._uses,
            accounts=self._accounts,
            starts=starts,
            told=told,
            spawn=self._work.spawn,
            clock=clock,
            wall_s=wall_s,
            jitter=jitter,
        )
        """Says who may begin a session: doors ask it before they attach."""

    @property
    def leaving(self) -> bool:
        """True when no session is begun any more; those that there are may go on."""
        return self._registry.leaving

    async def attach(
        self,
        ticket: Ticket,
        facts: SessionFacts,
        arrival: Arrival,
        *,
        waits: Tell | None = None,
    ) -> Here | At | Refused:
        """Begin a session, or put one that there is on what its client came by.

        Decided in this order: capacity (where it does not wait for a place), token, what it is
        bound to, bot, how many have begun from the address, how many its user has begun,
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
        attempt = Attempt(ticket, facts, arrival, waits)
        if ticket.nonce:
            self.places.waiting_room.supersede(ticket.nonce)
        task = self._work.spawn(self._decide(attempt))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            attempt.left = True
            if attempt.guest is not None:
                self.places.waiting_room.leave(attempt.guest)
            if task.done() and not task.cancelled() and task.exception() is None:
                answer = task.result()
                if isinstance(answer, Here):
                    arrival.leave(answer.session)
            raise

    async def _decide(self, attempt: Attempt) -> Here | At | Refused:
        try:
            async with AsyncExitStack() as turn:
                if attempt.ticket.nonce:
                    await turn.enter_async_context(self._attempts.of(attempt.ticket.nonce))
                if attempt.ticket.session_id:
                    return Here(await self._resume(attempt))
                return Here(await self._begin(attempt))
        except ElsewhereError as elsewhere:
            return At(elsewhere.replica)
        except REFUSALS as error:
            return self.doorkeeper.refused(error)

    # resuming

    async def _resume(self, attempt: Attempt) -> Session:
        ticket = attempt.ticket
        if self._registry.closing:
            raise ClosingError
        session = self._registry.get(ticket.session_id)
        if session is None or await self._was_taken(session, ticket):
            return await self._brought_here(attempt)
        return await self._resumed(session, attempt)

    async def _resumed(self, session: Session, attempt: Attempt) -> Session:
        ticket = attempt.ticket
        self._check_resume(session, attempt)
        # not needed; one that comes along must be the same user's
        if ticket.token:
            if await self._user_of(ticket, session) != session.facts.user:
                _refuse(session, Event.OTHER_USER)
            self._check_resume(session, attempt)  # another one may have been quicker
        self._bound(session, attempt)
        self._registry.tell_going(session)
        return session

    async def _was_taken(self, session: Session, ticket: Ticket) -> bool:
        """Whether another process has a session by now, or is to have it."""
        if self._keeper is None or session.numbered is None:
            return False
        if not session.elsewhere:
            if session.numbered.may_resume(ticket.resume_token):
                return False
            located = await self._store.locate(session.id)  # another one may have given a new token
            if located is None or located.term <= session.term:
                return False
            session.leave_to_others()
        await session.ended.wait()
        return True

    @staticmethod
    def _check_resume(session: Session, attempt: Attempt) -> None:
        if session.facts.origin != attempt.facts.origin:
            _refuse(session, Event.OTHER_ORIGIN)
        if session.numbered is None or not session.numbered.may_resume(attempt.ticket.resume_token):
            _refuse(session, Event.WRONG_TOKEN)

    async def _user_of(self, ticket: Ticket, session: Session) -> str | None:
        """Who a token names; None for one that is not good, where nothing may be told of that.

        While nobody can say, the session goes on: without a token it would, too.
        """
        try:
            return await self.doorkeeper.user_of(ticket)
        except AuthenticatorFailedError:
            return session.facts.user
        except TokenError:
            if session.over:
                return None
            raise

    async def _brought_here(self, attempt: Attempt) -> Session:
        """Go on with a session that this process has not, or not any more.

        Of several that come for it at once, each with the right to, one takes it; the others wait
        for that and find it here. Who comes while it is taken out of the store waits for that.
        """
        ticket = attempt.ticket
        located = await self._whereabouts.find(ticket.session_id, unreachable=ticket.unreachable)
        if located is None or self._keeper is None:
            raise NotYoursError
        kept = self._keeper.read(ticket.session_id, located.snapshot)
        if kept is None or not await self.doorkeeper.may_take_over(kept, attempt):
            raise NotYoursError
        async with self._moves.of(ticket.session_id):
            session = self._registry.get(ticket.session_id)
            if session is None or session.elsewhere:
                return await self._taken_over(located, kept, attempt)
            return await self._resumed(session, attempt)

    async def _taken_over(self, located: Located, kept: Kept, attempt: Attempt) -> Session:
        """Go on with a session whose process is dead, or has handed it over."""
        ticket = attempt.ticket
        if self.leaving:
            replica = self.leases.roomiest(ticket.unreachable) if ticket.may_be_carried else None
            raise ClosingError if replica is None else ElsewhereError(replica)
        async with AsyncExitStack() as held:
            self._registry.reserve(ticket.session_id)
            held.callback(self._registry.give_back, ticket.session_id)
            saved = await self._store.take(ticket.session_id, of=located.owner, by=self._me)
            if saved is None:
                raise BusyError  # another process was quicker: the client finds it there
            held.push_async_callback(self._store.take, ticket.session_id, of=self._me, by=NO_OWNER)
            if self._keeper is not None:  # more may have been kept meanwhile
                kept = self._keeper.read(ticket.session_id, saved.snapshot) or kept
            if self.leaving:
                raise ClosingError
            features = self._features & kept.facts.features
            epoch = max(kept.before.epoch, ticket.epoch)
            channel = NumberedChannel(
                features, clock=self._clock, before=kept.before._replace(epoch=epoch)
            )
            session = self._made(
                ticket.session_id,
                kept.facts,
                bot=self.doorkeeper.bot(kept.facts.bot),
                channel=channel,
                spending=self._accounts.open(kept.caps, own=kept.spent),
                term=saved.term,
                kept=kept,
            )
            self._bound(session, attempt)
            self._start(session)
            held.pop_all()
        if kept.anew:
            _log.warning(
                "a newer version had a session: it begins anew", extra={"session": session.id}
            )
        return session

    # beginning

    async def _begin(self, attempt: Attempt) -> Session:
        nonce = attempt.ticket.nonce
        known = await self._whereabouts.opened_by(nonce) if nonce else ""
        session = self._registry.get(known)
        if session is not None and self._goes_on(session, attempt):
            return await self._again(session, attempt)
        if attempt.ticket.may_be_carried:
            self._look_elsewhere(attempt.ticket)
        async with AsyncExitStack() as turn, AsyncExitStack() as held:
            session_id, admitted = await self.doorkeeper.admit(attempt, held)
            claims = admitted.claims
            if claims is not None:
                await turn.enter_async_context(self._uses.users.of(claims.user))
                self._starts.check_user(claims.user)  # of several at once, too
            self._starts.come(attempt.ticket.counts_for)
            user = "" if claims is None else claims.user
            held.push_async_callback(self._forget, session_id, user)
            caps = self._accounts.caps_of(admitted.bot, claims)
            try:
                await self._enter(session_id, nonce, known, needed=claims is not None)
                await self._accounts.check(caps)
                if claims is not None:
                    await self._uses.reserve(claims, held, session_id=session_id, nonce=nonce)
            except StoreUnreachableError:
                self._starts.take_back(attempt.ticket.counts_for)
                raise
            except TokenUsedError:  # who has no good token takes nothing from those beside him
                self._starts.take_back(attempt.ticket.counts_for)
                self._starts.turned_away(attempt.ticket.counts_for)
                raise
            spending = self._accounts.open(caps)
            session = self._born(session_id, attempt, admitted, spending)
            held.pop_all()  # all of it is the session's now
        return session

    def _look_elsewhere(self, ticket: Ticket) -> None:
        """While there is no place here, a process that has one takes whoever comes.

        Raises:
            ElsewhereError: That is it.
        """
        try:
            self.places.check()
        except (BusyError, CapacityError, ClosingError):
            replica = self.leases.roomiest(ticket.unreachable)
            if replica is not None:
                raise ElsewhereError(replica) from None

    async def _enter(self, session_id: str, nonce: bytes, known: str, *, needed: bool) -> None:
        """Enter a session, and bind its attach to it; a beat enters what could not be."""
        try:
            if await self._store.take(session_id, of="", by=self._me) is None:
                raise BusyError  # ids are random: somebody's are not
            if nonce:
                await self._whereabouts.open(nonce, session_id, after=known)
        except StoreUnreachableError:
            if needed:
                raise

    def _goes_on(self, session: Session, attempt: Attempt) -> bool:
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

    async def _again(self, session: Session, attempt: Attempt) -> Session:
        """The same attach once more: it counts for itself only, and needs its token still."""
        claims = await self.doorkeeper.claims_of(attempt)
        if claims is not None and claims.user != session.facts.user:
            raise TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _OTHERS)
        async with AsyncExitStack() as held:
            if isinstance(claims, Claims):
                nonce = attempt.ticket.nonce
                await self._uses.again(claims, held, session_id=session.id, nonce=nonce)
            if self._goes_on(session, attempt):
                self._bound(session, attempt)
                held.pop_all()
                return session
        return await self._begin(attempt)  # it has ended meanwhile

    def _born(
        self, session_id: str, attempt: Attempt, admitted: Admitted, spending: Spending
    ) -> Session:
        """Make, bind and start a session in one go: everything that it needs is reserved."""
        if self.leaving:
            raise ClosingError
        facts = admitted.facts_of(attempt.facts)
        session = self._made(
            session_id,
            facts,
            bot=admitted.bot,
            channel=attempt.arrival.channel(self._features & facts.features, self._clock),
            spending=spending,
        )
        self._bound(session, attempt)
        self._start(session)
        if facts.user:
            self._starts.begun(facts.user)
        return session

    def _made(
        self,
        session_id: str,
        facts: SessionFacts,
        *,
        bot: ChosenBot,
        channel: ControlChannel,
        spending: Spending,
        term: int = 1,
        kept: Kept | None = None,
    ) -> Session:
        return Session(
            session_id,
            settings=self._settings,
            run_bot=bot.run,
            facts=facts,
            ice_servers=self._ice,
            rooms=self._rooms,
            channel=channel,
            file_room=self.file_room,
            spending=spending,
            term=term,
            kept=kept,
            unix_ms=round(self._wall_s() * 1000),
            clock=self._clock,
            late=self._told.late,
        )

    def _start(self, session: Session) -> None:
        session.when_ending(lambda: self._work.spawn(self._leave(session)))
        self._told.begun(session.id)
        session.outlet.tell(partial(self._told.sent, session.id))
        if self._keeper is not None:
            self._keeper.watch(session)
        self._registry.start(session).add_done_callback(lambda _: self._over(session))

    def _over(self, session: Session) -> None:
        dropped = {**session.intake.counters(), **session.capture.counters()}
        self._told.over(session.id, dropped)
        if session.spending is not None:
            self._work.spawn(session.spending.settle(session.age_ms))
        self.places.waiting_room.over(session.age_ms)

    @staticmethod
    def _bound(session: Session, attempt: Attempt) -> Session:
        if attempt.left:
            raise LeftError
        attempt.arrival.bind(session)
        return session

    # giving back

    async def _leave(self, session: Session) -> None:
        """A session ends; who of its user comes behind it finds its place free."""
        if session.elsewhere:  # what it has in the store is the other process's
            return
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._moves.of(session.id))
            if session.facts.user:
                await turn.enter_async_context(self._uses.users.of(session.facts.user))
            await self._forget(session.id, session.facts.user)

    async def _forget(self, session_id: str, user: str) -> None:
        await self.leases.settled()
        try:
            if await self._store.take(session_id, of=self._me, by="") is None:
                return  # another process has it, and its user's place with it
        except StoreUnreachableError:
            _log.warning("a session could not be taken out of the store")
        try:
            if user:
                await self._store.count(user, session_id, back=True)
        except StoreUnreachableError:  # its lease runs out
            _log.warning("a user's place could not be given back")

    # the process

    def begin(self) -> None:
        """Tell the store that this process lives, from now on. Idempotent."""
        self.leases.begin()

    async def drain(self, within_ms: int) -> None:
        """Begin no session any more, tell every client, and wait until they have all ended.

        Args:
            within_ms: When this process ends the rest, which their clients are told.
        """
        self.places.waiting_room.send_away()
        self._registry.leave(self._clock.now_ms() + within_ms)
        if self._keeper is not None:
            hand_over = HandOver(
                self._registry, self._store, self._keeper, self.leases, clock=self._clock
            )
            self._work.spawn(hand_over.all(within_ms))
        await self._registry.emptied()

    async def close(self, timeout_ms: int) -> None:
        """End every session, and wait until nothing of them remains, here and in the store."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_ms / 1000
        self._registry.closing = True
        self.places.waiting_room.send_away()
        await self._registry.close(timeout_ms)
        self.leases.stop()
        await self._work.finish(max(_GIVING_BACK_S, until_s - loop.time()))
        await self.leases.gone()


def _failed(error: BaseException) -> None:
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
