"""Who may begin is asked in one order, by doors and by an attach, and costs nobody else a thing."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.support.front_door import KEY, NOW_S, Caller, House, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.authenticator import Authenticator, Credential, Identity, UnauthorizedError
from voxwire_server.caps import Amounts, CapReachedError, Caps, Payer
from voxwire_server.keys import KeyRing
from voxwire_server.sent_files import NO_FILES
from voxwire_server.session.accounts import Accounts
from voxwire_server.session.admission import Admission
from voxwire_server.session.doorkeeper import Attempt, Doorkeeper
from voxwire_server.session.load import Load
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.places import Places
from voxwire_server.session.refusals import REFUSALS, LeftError
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.ticket import Refused
from voxwire_server.session.token_uses import TokenUses
from voxwire_server.session.waiting import Place
from voxwire_server.tokens import TokenError, TokenVerifier

ADDRESS = "203.0.113.7"
TOKEN = "token-of-ada"
ADA = Payer("user", "ada")
CAPS = Caps(turns=1)
CODE = wire.ErrorCode


class Told:
    """Notes every refusal; the rest is nothing to it."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def refused(self, code: int) -> None:
        self.codes.append(code)

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


async def nobody_knows(_: Credential) -> Identity:
    raise UnauthorizedError


class Front:
    """A doorkeeper with what he asks, and no directory behind him.

    Args:
        time: The clock to run by; the wall clock stands.
        store: Where tokens and totals are.
        max_sessions: How many places there are.
        max_waiting: How many may wait for one.
        provider: The operator's function; None = only our tokens count.
        jitter: That of his refusals.
    """

    def __init__(
        self,
        time: VirtualTime,
        store: LocalStore | None = None,
        *,
        max_sessions: int = 1,
        max_waiting: int = 0,
        provider: Any = None,
        jitter: float = 0.0,
    ) -> None:
        self.now_s = NOW_S
        self.store = LocalStore(now_s=lambda: self.now_s) if store is None else store
        self.registry = SessionRegistry(max_sessions)
        self.told = Told()
        self.starts = StartRates(per_address="2/minute", per_user="1/minute", now_ms=time.now_ms)
        self.places = Places(
            self.registry,
            load=Load(0),
            pace=StartPace(0, lambda: 0),
            max_waiting=max_waiting,
            max_wait_s=600,
            clock=time,
        )
        self.accounts = Accounts(
            self.store,
            per_user=CAPS,
            per_bot=Caps(),
            spawn=asyncio.ensure_future,
            wall_s=lambda: self.now_s,
        )
        self.doorkeeper = Doorkeeper(
            Admission(
                KeyRing.parse(key=KEY),
                loopback=False,
                bots=House(),
                authenticator=Authenticator(provider) if provider else None,
            ),
            places=self.places,
            uses=TokenUses(
                self.store,
                wall_s=lambda: self.now_s,
                max_wait_s=600,
                is_over=self._is_over,
            ),
            accounts=self.accounts,
            starts=self.starts,
            told=self.told,
            spawn=asyncio.ensure_future,
            clock=time,
            wall_s=lambda: self.now_s,
            jitter=lambda: jitter,
        )

    @staticmethod
    async def _is_over(_: str) -> bool:
        return False

    async def use(self) -> None:
        """Another attach has used ada's token."""
        uses = vars(self.doorkeeper)["_uses"]
        claims = TokenVerifier(KeyRing.parse(key=KEY)).verify(token_of(token_id=TOKEN), now_s=NOW_S)
        async with AsyncExitStack() as held:
            await uses.reserve(claims, held, session_id="x", nonce=b"")
            held.pop_all()

    async def spend(self) -> None:
        """Ada's day is used up, and that is known here."""
        await self.store.spend(ADA, Amounts(turns=1), now_s=NOW_S)
        with pytest.raises(CapReachedError):
            await self.accounts.check({ADA: CAPS})

    async def refusal(self, attempt: Attempt) -> Refused | None:
        """Why an attach would not go on; whatever it kept is given back."""
        async with AsyncExitStack() as held:
            try:
                await self.doorkeeper.admit(attempt, held)
            except REFUSALS as error:
                return self.doorkeeper.refused(error)
        return None


def attempt_of(token: str = "", *, bot: str = "a", waits: Any = None) -> Attempt:
    caller = Caller(token, bot=bot, address=ADDRESS)
    return Attempt(caller.ticket, caller.facts, caller, waits)


FAULTS = {
    "place": (CODE.ERROR_CODE_CAPACITY, "the server is full"),
    "token": (CODE.ERROR_CODE_UNAUTHORIZED, "the token is not valid here"),
    "binding": (CODE.ERROR_CODE_FORBIDDEN, "the token is for another bot"),
    "bot": (CODE.ERROR_CODE_INVALID_ARGUMENT, "name one of: a, b"),
    "address": (CODE.ERROR_CODE_RATE_LIMITED, "from this address"),
    "user": (CODE.ERROR_CODE_RATE_LIMITED, "by this user"),
    "day": (CODE.ERROR_CODE_CAPACITY, "used up the day's turns"),
    "use": (CODE.ERROR_CODE_UNAUTHORIZED, "the token was used already"),
}


async def faulty(front: Front, faults: set[str]) -> Attempt:
    """An attempt with all of them."""
    if "place" in faults:
        front.registry.reserve()
    for _ in range(2 * ("address" in faults)):
        front.starts.come(ADDRESS)
    if "user" in faults:
        front.starts.begun("ada")
    if "day" in faults:
        await front.spend()
    if "use" in faults:
        await front.use()
    token = token_of(token_id=TOKEN, bot="a" if "binding" in faults else None)
    bot = "c" if "bot" in faults else "b" if "binding" in faults else "a"
    return attempt_of("no token" if "token" in faults else token, bot=bot)


@pytest.mark.parametrize("first", range(len(FAULTS)), ids=list(FAULTS))
@in_virtual_time
async def test_of_several_faults_the_first_is_told_to_doors_and_to_an_attach(
    time: VirtualTime, first: int
) -> None:
    front = Front(time)
    faults = set(list(FAULTS)[first:])
    if first == list(FAULTS).index("bot"):
        faults.remove("use")  # what bots there are is told to nobody with a used token
    attempt = await faulty(front, faults)
    code, words = list(FAULTS.values())[first]
    asked = front.doorkeeper.refusal_of(attempt.ticket)
    refused = await front.refusal(attempt)
    assert refused is not None
    assert refused.code == code
    assert words in refused.reason
    assert asked == (None if words.endswith("used already") else refused)
    assert front.told.codes == [code] * (1 if asked is None else 2)
    assert front.registry.reserved == (first == 0)


@in_virtual_time
async def test_which_bots_there_are_is_told_to_nobody_whose_token_was_used_who_counts_once(
    time: VirtualTime,
) -> None:
    front = Front(time)
    await front.use()
    nobody = attempt_of(token_of(token_id=TOKEN), bot="c")
    for refused in (await front.refusal(nobody), await front.doorkeeper.stranger(nobody.ticket)):
        assert refused == Refused(*FAULTS["use"])
    third = await front.doorkeeper.stranger(nobody.ticket)
    assert third is not None and "turned away from this address" in third.reason


@in_virtual_time
async def test_who_may_begin_keeps_a_place_and_neither_token_nor_start(time: VirtualTime) -> None:
    front = Front(time)
    attempt = attempt_of(token_of(token_id=TOKEN))
    async with AsyncExitStack() as held:
        session_id, admitted = await front.doorkeeper.admit(attempt, held)
        assert session_id.startswith(front.registry.name)
        assert admitted.claims is not None
        assert (admitted.bot.name, admitted.claims.user) == ("a", "ada")
        assert front.registry.reserved == 1
    assert front.registry.reserved == 0
    assert not front.store.is_used(TOKEN)
    for _ in range(5):
        assert front.doorkeeper.refusal_of(attempt.ticket) is None
    for _ in range(2):
        assert front.doorkeeper.refusal_of(attempt.ticket, comes=True) is None
    late = front.doorkeeper.refusal_of(attempt.ticket)
    assert late is not None and "from this address" in late.reason
    assert front.doorkeeper.refusal_of(replace(attempt.ticket, counted=True)) is None


@in_virtual_time
async def test_who_is_turned_away_counts_for_his_address_apart_from_those_who_begin(
    time: VirtualTime,
) -> None:
    front = Front(time)
    await front.use()
    used, good = token_of(token_id=TOKEN), token_of(token_id="another-token")
    keeper = front.doorkeeper
    for ask in (keeper.stranger, keeper.stranger):
        refused = await ask(attempt_of(used).ticket)
        assert refused is not None and refused.reason == "the token was used already"
    for refused in (
        await keeper.stranger(attempt_of(used).ticket),
        keeper.accepts_of(attempt_of("no token").ticket),
        keeper.refusal_of(attempt_of(good, bot="c").ticket),
        await front.refusal(attempt_of(used)),
    ):
        assert isinstance(refused, Refused)
        assert "turned away from this address" in refused.reason
    assert await keeper.stranger(attempt_of(good).ticket) is None
    assert keeper.accepts_of(attempt_of(good).ticket) == NO_FILES
    assert await front.refusal(attempt_of(good)) is None


@in_virtual_time
async def test_a_refusal_for_want_of_room_is_told_with_another_time_to_each(
    time: VirtualTime,
) -> None:
    for jitter, after_ms in ((0.0, 2000), (1.0, 3000)):
        front = Front(time, max_sessions=0, jitter=jitter)
        full = front.doorkeeper.refusal_of(attempt_of().ticket)
        assert full is not None and full.retry_after_ms == after_ms
    front.doorkeeper.turned_away(CODE.ERROR_CODE_RATE_LIMITED)
    assert front.told.codes == [CODE.ERROR_CODE_CAPACITY, CODE.ERROR_CODE_RATE_LIMITED]


@in_virtual_time
async def test_who_may_wait_is_asked_everything_first_and_grows_no_older(
    time: VirtualTime,
) -> None:
    front = Front(time, max_waiting=2)
    place = front.registry.reserve()
    told: list[Place] = []
    assert (await front.refusal(attempt_of("no token", waits=told.append))) == Refused(
        *FAULTS["token"]
    )
    assert told == []
    attempt = attempt_of(token_of(token_id=TOKEN, ttl_s=10), waits=told.append)
    async with AsyncExitStack() as held:
        waits = asyncio.ensure_future(front.doorkeeper.admit(attempt, held))
        await time.advance(500_000)
        assert told[0] == Place(1, 0)
        assert attempt.guest is not None
        front.now_s += 500
        front.registry.give_back(place)
        await time.advance(200)
        session_id, admitted = waits.result()
        assert (session_id != place, front.registry.reserved) == (True, 1)
        assert admitted.claims is not None
        assert admitted.claims.expires_at_s == NOW_S + 10 + 500
    assert front.registry.reserved == 0


@in_virtual_time
async def test_nobody_waits_who_has_gone_or_where_nobody_may(time: VirtualTime) -> None:
    told: list[Place] = []
    for max_waiting, error in ((1, LeftError), (0, CapacityError)):
        front = Front(time, max_sessions=0, max_waiting=max_waiting)
        attempt = attempt_of(token_of(), waits=told.append)
        attempt.left = True
        with pytest.raises(error):
            async with AsyncExitStack() as held:
                await front.doorkeeper.admit(attempt, held)
    assert told == []


@in_virtual_time
async def test_who_comes_again_or_back_is_asked_about_and_counted_nowhere(
    time: VirtualTime,
) -> None:
    front = Front(time, provider=nobody_knows)
    stranger, known = attempt_of("nobody's"), attempt_of(token_of(token_id=TOKEN))
    for _ in range(3):
        with pytest.raises(TokenError):
            await front.doorkeeper.claims_of(stranger)
        with pytest.raises(TokenError):
            await front.doorkeeper.user_of(stranger.ticket)
    assert stranger.ticket.verdict is not None
    claims = await front.doorkeeper.claims_of(known)
    assert claims is not None
    assert claims.user == await front.doorkeeper.user_of(known.ticket) == "ada"
    first = front.doorkeeper.refusal_of(stranger.ticket)
    assert first is not None and first.code == CODE.ERROR_CODE_UNAUTHORIZED


class Slow(LocalStore):
    """Is asked, and answers when it is let."""

    def __init__(self) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.may = asyncio.Event()
        self.answered = 0

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        await self.may.wait()
        self.answered += 1
        return await super().claim(what, value, instead_of=instead_of, until_s=until_s)


@in_virtual_time
async def test_a_door_that_gives_up_cuts_no_question_to_the_store_off(time: VirtualTime) -> None:
    store = Slow()
    front = Front(time, store)
    asks = asyncio.ensure_future(front.doorkeeper.stranger(attempt_of(token_of()).ticket))
    await time.settle()
    asks.cancel()
    await asyncio.wait({asks})
    assert (asks.cancelled(), store.answered) == (True, 0)
    store.may.set()
    await time.settle()
    assert store.answered == 1
