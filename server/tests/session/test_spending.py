"""Sessions of one user, or bot, that spend at once, over a store that dawdles, in virtual time."""

import asyncio
import random
from collections.abc import Collection
from typing import Any

import pytest

from tests.support.front_door import NOW_S, SlowStore
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.caps import NOTHING, Amounts, CapReachedError, Caps, Payer, day_of
from voxwire_server.session.accounts import Accounts
from voxwire_server.session.cap_watch import LAST_ANSWER_MS
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.spending import Spending
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.told import NOBODY

ADA, BOT = Payer("user", "ada"), Payer("bot", "a")
MIDNIGHT_S = 20_000 * 86_400.0
SCHEDULES = 300
PARTS = 6
MOST_TOKENS, MOST_CHARACTERS = 120, 80
"""Of one answer."""
CAPS = Caps(seconds=200, turns=12, llm_tokens=900, tts_characters=700)
PROMPT = wire.MetricKind.METRIC_KIND_PROMPT_TOKENS
COMPLETION = wire.MetricKind.METRIC_KIND_COMPLETION_TOKENS
CHARACTERS = wire.MetricKind.METRIC_KIND_TTS_CHARACTERS


def measured(**values: float) -> wire.Envelope:
    kinds = {"prompt": PROMPT, "completion": COMPLETION, "characters": CHARACTERS}
    metrics = [wire.ServiceMetric(kind=kinds[name], value=value) for name, value in values.items()]
    return wire.Envelope(service_metrics=wire.ServiceMetrics(metrics=metrics))


def asked(turn_id: str) -> wire.Envelope:
    return wire.Envelope(transcript=wire.Transcript(turn_id=turn_id, final=True))


class Conversation:
    """A session as its spending sees it, whose user asks until it ends.

    Attributes:
        answered: The answers that were begun.
        warnings: The GoAways.
        error: What it ended with.
    """

    def __init__(self, time: VirtualTime, spending: Spending, rng: random.Random) -> None:
        self.clock: Clock = time
        self.spending = spending
        self.answered = 0
        self.warnings: list[wire.GoAway] = []
        self.error: wire.Error | None = None
        self.cut_at_ms: float | None = None
        self._time = time
        self._rng = rng
        self._born_ms = time.now_ms()
        self._busy = False
        self._over = asyncio.Event()
        self._asking = 0

    @property
    def age_ms(self) -> float:
        return self._time.now_ms() - self._born_ms

    def emit(self, **payload: Any) -> None:
        self.warnings.append(payload["go_away"])

    def emit_error(self, *_: Any, **__: Any) -> None:
        raise AssertionError

    def spawn(self, _: Any) -> None:
        raise AssertionError

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        assert reason == wire.EndReason.END_REASON_ERROR
        if self._busy:
            self.cut_at_ms = self._time.now_ms()
        self.error = error
        self._over.set()

    async def hold(self, *, within_s: float = 1000) -> None:
        """Ask and answer until it is over, or that time is."""
        self.spending.begin(self, lambda: self._busy)
        talk = asyncio.ensure_future(self._talk())
        await asyncio.wait({asyncio.ensure_future(self._over.wait())}, timeout=within_s)
        talk.cancel()
        self.spending.stop()
        await self.spending.settle(self.age_ms)

    async def _talk(self) -> None:
        rng = self._rng
        self.spending.note(wire.Envelope(response_started=wire.ResponseStarted(turn_id="t0")))
        for number in range(1, 1000):
            await asyncio.sleep(rng.uniform(0, 3))
            self._busy = True
            self.spending.note(asked(f"t{number}"))
            await asyncio.sleep(rng.uniform(0.1, 0.8))
            self.answered += 1
            prompt = rng.randrange(1, MOST_TOKENS)
            self.spending.note(measured(prompt=prompt, completion=MOST_TOKENS - prompt))
            self.spending.note(measured(characters=rng.randrange(1, MOST_CHARACTERS)))
            await asyncio.sleep(rng.uniform(0.5, 4))
            self._busy = False


class Service:
    """Some processes over one store."""

    def __init__(
        self,
        time: VirtualTime,
        store: LocalStore,
        *,
        user: Caps = CAPS,
        began_s: float = NOW_S,
        processes: int = 1,
    ) -> None:
        start_ms = time.now_ms()
        self.store = store
        self.caps = {ADA: user}
        self.wall_s = lambda: began_s + (time.now_ms() - start_ms) / 1000
        self._work: set[asyncio.Task[Any]] = set()
        self.accounts = [
            Accounts(store, per_user=Caps(), per_bot=Caps(), spawn=self._spawn, wall_s=self.wall_s)
            for _ in range(processes)
        ]

    def _spawn(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def spent(self, payer: Payer = ADA) -> Amounts:
        return await LocalStore.spend(self.store, payer, NOTHING, now_s=self.wall_s())


async def schedule(time: VirtualTime, seed: int) -> tuple[str, Amounts]:
    """Some sessions of one user, until all of them have ended; what is used up, and all totals."""
    rng = random.Random(seed)
    name = rng.choice(Caps._fields)
    caps = Caps(**{name: getattr(CAPS, name)})
    service = Service(time, SlowStore(seed), user=caps, processes=2)
    talks: list[Conversation] = []

    async def one() -> None:
        await asyncio.sleep(rng.uniform(0, 20))
        accounts = rng.choice(service.accounts)
        try:
            await accounts.check(service.caps)
        except CapReachedError:
            return  # the others were quicker
        talk = Conversation(time, accounts.open(service.caps), rng)
        talks.append(talk)
        await talk.hold()

    number = rng.randrange(1, 6)
    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(one())
    totals = await service.spent()
    cap = getattr(caps, name)
    most = {
        "seconds": 8,  # until the others know that it is near: 5 s, and the look
        "turns": 2,  # the one that is answered, and the one that ends the session
        "llm_tokens": MOST_TOKENS,
        "tts_characters": MOST_CHARACTERS,
    }
    assert cap <= getattr(totals, name) <= cap + number * most[name]
    assert totals == sum_of(talk.spending.own for talk in talks)
    if name == "turns":
        assert sum(talk.answered for talk in talks) <= cap + number
    for talk in talks:
        assert talk.error is not None
        assert talk.error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
        assert talk.warnings
        assert talk.warnings[-1].time_left_ms <= LAST_ANSWER_MS
    for accounts in service.accounts:
        with pytest.raises(CapReachedError) as refused:
            await accounts.check(service.caps)
        assert refused.value.name == name
    return name, totals


def sum_of(amounts: Any) -> Amounts:
    total = NOTHING
    for each in amounts:
        total = total.plus(each)
    return total


@pytest.mark.parametrize("part", range(PARTS))
def test_never_more_than_the_cap_and_one_answer_each(part: int) -> None:
    reached: set[str] = set()
    for seed in range(part, SCHEDULES, PARTS):
        time = VirtualTime()
        name, _ = time.run(schedule(time, seed))
        reached.add(name)
    assert reached == set(Caps._fields)


@in_virtual_time
async def test_a_session_over_midnight_spends_on_both_days(time: VirtualTime) -> None:
    service = Service(time, LocalStore(), user=Caps(turns=1000), began_s=MIDNIGHT_S - 30)
    [accounts] = service.accounts
    talk = Conversation(time, accounts.open(service.caps), random.Random(1))
    holding = asyncio.ensure_future(talk.hold(within_s=60))
    await asyncio.sleep(29.9)
    before = await service.spent()
    assert 24 <= before.seconds <= 30
    await holding
    assert day_of(service.wall_s()) == day_of(MIDNIGHT_S)
    after = await service.spent()
    assert 30 <= after.seconds <= 35
    assert 0 < after.turns < talk.spending.own.turns
    assert before.seconds + after.seconds == talk.spending.own.seconds == 60
    assert talk.error is None


@in_virtual_time
async def test_who_is_capped_is_let_in_again_after_midnight(time: VirtualTime) -> None:
    service = Service(time, LocalStore(), user=Caps(turns=2), began_s=MIDNIGHT_S - 60)
    [accounts] = service.accounts
    talk = Conversation(time, accounts.open(service.caps), random.Random(2))
    await talk.hold()
    assert talk.error is not None
    wait_ms = talk.error.retry_after_ms
    assert wait_ms == pytest.approx((MIDNIGHT_S - service.wall_s()) * 1000, abs=1)
    for look in (accounts.look, accounts.check):
        with pytest.raises(CapReachedError) as refused:
            if (waiting := look(service.caps)) is not None:
                await waiting
        assert refused.value.retry_after_ms == wait_ms
    await time.advance(wait_ms)
    accounts.look(service.caps)
    await accounts.check(service.caps)
    assert await service.spent() == NOTHING


class Unreachable(LocalStore):
    """A store that is there sometimes; whether it heard what it was told is not known."""

    away = False
    hears = False

    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        if not self.away or self.hears:
            totals = await super().spend(payer, amounts, now_s=now_s)
        if self.away:
            raise StoreUnreachableError
        return totals


@pytest.mark.parametrize("hears", [False, True])
@in_virtual_time
async def test_what_the_store_may_not_have_heard_is_said_again(
    time: VirtualTime, hears: bool
) -> None:
    store = Unreachable()
    service = Service(time, store, user=Caps(turns=1000))
    [accounts] = service.accounts
    talk = Conversation(time, accounts.open(service.caps), random.Random(3))
    holding = asyncio.ensure_future(talk.hold(within_s=60))
    await asyncio.sleep(10)
    store.away, store.hears = True, hears
    await asyncio.sleep(20)
    store.away = False
    await holding
    totals, own = await service.spent(), talk.spending.own
    assert (totals == own) is (not hears)
    assert all(there >= here for there, here in zip(totals, own, strict=True))
    assert talk.error is None


@pytest.mark.parametrize(("away_s", "heard"), [(20, True), (90, False)])
@in_virtual_time
async def test_what_is_left_when_a_session_is_over_is_said_again_for_a_minute(
    time: VirtualTime, away_s: int, heard: bool
) -> None:
    store = Unreachable()
    service = Service(time, store, user=Caps(turns=1000))
    [accounts] = service.accounts
    talk = Conversation(time, accounts.open(service.caps), random.Random(3))
    holding = asyncio.ensure_future(talk.hold(within_s=30))
    await asyncio.sleep(25)
    store.away = True
    await asyncio.sleep(5 + away_s)
    assert holding.done() is not heard
    store.away = False
    await holding
    assert (await service.spent() == talk.spending.own) is heard


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -3.0])
@in_virtual_time
async def test_what_is_no_number_of_tokens_is_none(time: VirtualTime, value: float) -> None:
    service = Service(time, LocalStore())
    [accounts] = service.accounts
    spending = accounts.open(service.caps)
    spending.note(measured(prompt=value, completion=5, characters=value))
    assert spending.own == Amounts(llm_tokens=5)


class Counted:
    """Is told what is spent, and of caps."""

    def __init__(self) -> None:
        self.total = NOTHING
        self.caps: list[tuple[str, bool]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(NOBODY, name)

    def spent(self, amounts: Amounts) -> None:
        self.total = self.total.plus(amounts)

    def capped(self, name: str, *, at_start: bool) -> None:
        self.caps.append((name, at_start))


@pytest.mark.parametrize("payers", [{}, {BOT: Caps()}, {BOT: Caps(llm_tokens=100)}])
@in_virtual_time
async def test_everything_is_told_whoever_pays(
    time: VirtualTime, payers: dict[Payer, Caps]
) -> None:
    told, service = Counted(), Service(time, LocalStore())
    accounts = Accounts(
        service.store,
        per_user=Caps(),
        per_bot=Caps(),
        spawn=asyncio.ensure_future,
        wall_s=service.wall_s,
        told=told,
    )
    talk = Conversation(time, accounts.open(payers), random.Random(4))
    await talk.hold(within_s=30.5)
    assert told.total == talk.spending.own
    assert told.total.turns >= 1
    limited = any(caps != Caps() for caps in payers.values())
    assert (told.total.seconds == 31) is not limited
    assert told.caps == ([("llm_tokens", False)] if limited else [])
    for payer in payers:
        assert await service.spent(payer) == told.total


@pytest.mark.parametrize(
    ("told", "turns"),
    [
        (["t1", "t1", "t2"], 2),
        (["t0"], 0),
        (["n1", "n2", ""], 0),
        (["t1", "t2", "t1"], 2),
        ([f"t{number}" for number in range(1, 101)], 100),
    ],
)
@in_virtual_time
async def test_a_turn_counts_once_however_much_is_told_of_it(
    time: VirtualTime, told: Collection[str], turns: int
) -> None:
    service = Service(time, LocalStore())
    spending = service.accounts[0].open({})
    for turn_id in told:
        spending.note(asked(turn_id))
        spending.note(wire.Envelope(transcript=wire.Transcript(turn_id="t999")))  # not final
        started = wire.UtteranceStarted(turn_id=turn_id)
        spending.note(wire.Envelope(utterance_started=started))
        spending.note(wire.Envelope(response_started=wire.ResponseStarted(turn_id=turn_id)))
    assert spending.own == Amounts(turns=turns)


@in_virtual_time
async def test_what_services_report_is_counted_and_what_they_measure_is_not(
    time: VirtualTime,
) -> None:
    spending = Service(time, LocalStore()).accounts[0].open({})
    spending.note(measured(prompt=5, completion=7, characters=3))
    spending.note(measured(prompt=2, completion=-4, characters=1.6))
    slow = wire.ServiceMetric(kind=wire.MetricKind.METRIC_KIND_TTFB, value=900)
    spending.note(wire.Envelope(service_metrics=wire.ServiceMetrics(metrics=[slow])))
    assert spending.own == Amounts(llm_tokens=14, tts_characters=5)
