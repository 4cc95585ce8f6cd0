"""Who is not let in for what was begun before, or for the load, and what of it counts."""

import asyncio
import itertools
from typing import Any

import pytest

from tests.support.front_door import Caller, Process, SlowStore, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.load import Load
from voxwire_server.session.session import Session
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.ticket import Here, Refused

ADDRESS = "203.0.113.7"
STRANGER = Refused(
    wire.ErrorCode.ERROR_CODE_RATE_LIMITED,
    "too many were turned away from this address; try again later",
    60_000,
)
BUSY = Refused(wire.ErrorCode.ERROR_CODE_CAPACITY, "the server is too busy", 5000)


def here(retry_after_ms: int) -> Refused:
    reason = "too many sessions were begun from this address; try again later"
    return Refused(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason, retry_after_ms)


def user(retry_after_ms: int) -> Refused:
    reason = "too many sessions were begun by this user; try again later"
    return Refused(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason, retry_after_ms)


def limited(time: VirtualTime, store: Any = None, **rates: str) -> Process:
    return Process(store, clock=time, starts=StartRates(now_ms=time.now_ms, **rates))


async def let_in(caller: Caller, process: Process) -> Session:
    answer = await caller.come(process)
    assert isinstance(answer, Here), answer
    return answer.session


def caller(number: int, *, of: str = "ada", **fields: Any) -> Caller:
    return Caller(token_of(of, token_id=f"token-no-{number}"), **fields)


# how many have begun


@in_virtual_time
async def test_one_more_from_an_address_waits_and_is_let_in_when_it_was_told(
    time: VirtualTime,
) -> None:
    process = limited(time, per_address="2/minute")
    for number in range(2):
        await let_in(caller(number, of=f"user {number}", address=ADDRESS), process)
    late = caller(2, of="carl", address=ADDRESS)
    assert await late.come(process) == here(60_000)
    await let_in(caller(3, address="203.0.113.8"), process)
    assert not process.store.is_used("token-no-2")
    await time.advance(60_000)
    await let_in(late, process)
    await process.close()


@in_virtual_time
async def test_a_full_server_counts_nothing(time: VirtualTime) -> None:
    process = limited(time, per_address="2/minute")
    process.registry.max_sessions = 0
    for _ in range(10):
        full = await caller(0, address=ADDRESS).come(process)
        assert full.code == wire.ErrorCode.ERROR_CODE_CAPACITY
    process.registry.max_sessions = 9
    for number in range(2):
        await let_in(caller(number, address=ADDRESS), process)
    assert await caller(2, address=ADDRESS).come(process) == here(60_000)
    await process.close()


@in_virtual_time
async def test_what_bots_there_are_is_told_to_who_may_talk_to_one(time: VirtualTime) -> None:
    process = limited(time)
    code = wire.ErrorCode
    await let_in(Caller(token_of(token_id="token-used"), bot="a"), process)
    for token, expected in (
        (token_of(token_id="token-used"), code.ERROR_CODE_UNAUTHORIZED),
        (token_of(token_id="token-of-b", bot="b"), code.ERROR_CODE_FORBIDDEN),
        (token_of(token_id="token-new"), code.ERROR_CODE_INVALID_ARGUMENT),
    ):
        nobody = Caller(token, bot="c")
        told = (
            await nobody.come(process),
            await process.directory.doorkeeper.stranger(nobody.ticket),
        )
        assert [each.code for each in told] == [expected, expected]
        assert ["a, b" in each.reason for each in told] == [
            expected == code.ERROR_CODE_INVALID_ARGUMENT
        ] * 2
    await process.close()


@in_virtual_time
async def test_who_is_turned_away_keeps_nobody_out_who_may_come(time: VirtualTime) -> None:
    process = limited(time, per_address="3/minute")
    code = wire.ErrorCode
    for token, bot in (("", "a"), ("wrong", "a"), (token_of(), "c")):
        stranger = await Caller(token, bot=bot, address=ADDRESS).come(process)
        assert stranger.code in (
            code.ERROR_CODE_UNAUTHORIZED,
            code.ERROR_CODE_INVALID_ARGUMENT,
        )
    ticket = Caller(address=ADDRESS).ticket
    for refused in (
        await Caller(address=ADDRESS).come(process),
        process.directory.doorkeeper.refusal_of(ticket),
        process.directory.doorkeeper.refusal_of(ticket, comes=True),
    ):
        assert refused == STRANGER
    elsewhere = await Caller(address="203.0.113.8").come(process)
    assert elsewhere.code == code.ERROR_CODE_UNAUTHORIZED
    for number in range(3):
        await let_in(caller(number, address=ADDRESS), process)
    assert await caller(3, address=ADDRESS).come(process) == here(60_000)
    await process.close()


@in_virtual_time
async def test_who_waits_for_his_user_s_sake_is_no_start_of_his_address(time: VirtualTime) -> None:
    process = limited(time, per_address="3/minute", per_user="1/minute")
    await let_in(caller(0, address=ADDRESS), process)
    late = [caller(number, address=ADDRESS) for number in range(1, 9)]
    answers = await asyncio.gather(*(each.come(process) for each in late))
    assert answers == [user(60_000)] * 8
    for number in range(2):
        await let_in(caller(9 + number, of=f"user {number}", address=ADDRESS), process)
    assert await caller(11, of="carl", address=ADDRESS).come(process) == here(60_000)
    await process.close()


@in_virtual_time
async def test_one_more_of_a_user_waits_whatever_address_he_comes_from(time: VirtualTime) -> None:
    process = limited(time, per_user="2/minute")
    for number in range(2):
        await let_in(caller(number, address=f"203.0.113.{number}"), process)
    late = caller(2, address="198.51.100.1")
    assert await late.come(process) == user(60_000)
    await let_in(caller(3, of="bob"), process)
    await time.advance(60_000)
    await let_in(late, process)
    await process.close()


@in_virtual_time
async def test_a_user_s_start_that_comes_to_nothing_is_none(time: VirtualTime) -> None:
    process = limited(time, per_user="2/minute")
    token = token_of(max_sessions=1)
    await let_in(Caller(token), process)
    for _ in range(10):
        used = await Caller(token).come(process)  # somebody who has got hold of it
        assert used.code != wire.ErrorCode.ERROR_CODE_RATE_LIMITED
    await let_in(caller(1), process)
    assert await caller(2).come(process) == user(60_000)
    await process.close()


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_of_many_at_once_so_many_begin_as_may(time: VirtualTime, seed: int) -> None:
    process = limited(time, SlowStore(seed), per_user="3/minute")
    answers = await asyncio.gather(*(caller(number).come(process) for number in range(12)))
    assert sum(isinstance(answer, Here) for answer in answers) == 3
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert {answer.code for answer in refused} == {wire.ErrorCode.ERROR_CODE_RATE_LIMITED}
    await process.close()


@in_virtual_time
async def test_neither_a_resume_nor_the_same_attach_is_a_start(time: VirtualTime) -> None:
    process = limited(time, per_address="1/minute", per_user="1/minute")
    first = caller(0, address=ADDRESS)
    session = await let_in(first, process)
    token, nonce = first.ticket.token, first.ticket.nonce
    for _ in range(5):
        again = Caller(token, nonce=nonce, address=ADDRESS)
        assert await let_in(again, process) is session
    welcome = again.welcome
    for _ in range(5):
        back = Caller(back=welcome, address=ADDRESS)
        assert await let_in(back, process) is session
        welcome = back.welcome
    assert await caller(1, address=ADDRESS).come(process) == here(60_000)
    await process.close()


@in_virtual_time
async def test_a_door_that_asks_first_counts_its_caller_once(time: VirtualTime) -> None:
    process = limited(time, per_address="1/minute")
    ticket = caller(0, address=ADDRESS).ticket
    for _ in range(5):
        assert process.directory.doorkeeper.refusal_of(ticket) is None
    assert process.directory.doorkeeper.refusal_of(ticket, comes=True) is None
    assert process.directory.doorkeeper.refusal_of(ticket) == here(60_000)
    await let_in(caller(0), process)  # as the door attaches then: without the address
    await process.close()


@in_virtual_time
async def test_an_attach_is_a_start_once_though_the_store_could_not_be_asked(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = limited(time, per_address="1/minute")
    first = caller(0, address=ADDRESS)

    async def unreachable(*_: Any, **__: Any) -> Any:
        raise StoreUnreachableError

    for verb in ("take", "count", "claim"):
        with monkeypatch.context() as patch:
            patch.setattr(process.store, verb, unreachable)
            for _ in range(3):
                refused = await first.come(process)
                assert refused.code == wire.ErrorCode.ERROR_CODE_CAPACITY
    await let_in(first, process)
    assert await caller(1, address=ADDRESS).come(process) == here(60_000)
    await process.close()


# the load


def late(load: Load, time: VirtualTime, late_ms: float) -> None:
    """The loop was so late for the last twenty seconds."""
    for beat in range(201):
        now_ms = time.now_ms() - 20_000 + beat * 100
        load.beat(now_ms, late_ms=late_ms, worked_ms=0)


@in_virtual_time
async def test_a_loop_that_is_late_takes_nobody_new_and_loses_nobody(time: VirtualTime) -> None:
    load = Load(20)
    process = Process(clock=time, load=load)
    await time.advance(20_000)
    late(load, time, 30)
    first = caller(0)
    session = await let_in(first, process)  # nobody is there who could suffer
    assert process.directory.places.busy
    second = caller(1)
    assert await second.come(process) == BUSY
    assert process.directory.doorkeeper.refusal_of(second.ticket) == BUSY
    assert not process.store.is_used("token-no-1")
    back = Caller(back=first.welcome)
    assert await let_in(back, process) is session
    assert not session.over
    await time.advance(20_000)
    late(load, time, 1)
    assert not process.directory.places.busy
    await let_in(second, process)
    await process.close()


@in_virtual_time
async def test_a_client_that_is_away_keeps_nobody_out(time: VirtualTime) -> None:
    load = Load(20)
    process = Process(clock=time, load=load)
    await time.advance(20_000)
    late(load, time, 30)
    reloads = caller(0)
    session = await let_in(reloads, process)
    assert await caller(1).come(process) == BUSY
    reloads.leave(session)
    assert not session.over
    assert not process.directory.places.busy
    await let_in(caller(2), process)
    assert process.directory.places.busy
    await process.close()


@in_virtual_time
async def test_a_late_loop_is_no_load_when_nobody_is_there(time: VirtualTime) -> None:
    load = Load(20)
    process = Process(clock=time, load=load)
    await time.advance(20_000)
    late(load, time, 30)
    assert load.too_much
    assert not process.directory.places.busy
    session = await let_in(caller(0), process)
    assert process.directory.places.busy
    session.end(wire.EndReason.END_REASON_CLIENT)
    await session.ended.wait()
    await time.advance(1000)
    assert not process.directory.places.busy
    await process.close()


# how fast they begin, and when those come again who were refused


def _hurried(time: VirtualTime, *, busy: float) -> Process:
    pace = StartPace(20, lambda: 40)
    for number in range(200):
        pace.beat(number * 100 - 20_000, late_ms=1, worked_ms=number * 100 * busy)
    return Process(clock=time, pace=pace, jitter=itertools.cycle([0.0, 0.5, 1.0]).__next__)


@in_virtual_time
async def test_of_many_who_come_at_once_some_begin_in_a_row_and_the_rest_are_told_when(
    time: VirtualTime,
) -> None:
    process = _hurried(time, busy=0.4)
    tasks = [
        asyncio.ensure_future(caller(number, of=f"user {number}").come(process))
        for number in range(48)
    ]
    await time.advance(1)
    assert (len(process.registry), process.directory.places.paced.waiting) == (1, 43)
    refused = [task.result() for task in tasks if task.done()]
    assert [each.retry_after_ms for each in refused if isinstance(each, Refused)] == [
        5000,
        6250,
        7500,
        5000,
    ]
    await time.advance(4000)
    assert process.directory.places.paced.waiting == 0
    await process.close()


@in_virtual_time
async def test_who_waits_for_his_turn_holds_nothing_that_a_refusal_would_have_to_give_back(
    time: VirtualTime,
) -> None:
    process = _hurried(time, busy=0.95)
    await let_in(caller(0), process)  # nobody is there whom it could disturb
    answer = await caller(1, address=ADDRESS).come(process)
    assert answer == BUSY
    assert not process.store.is_used("token-no-1")
    assert process.registry.reserved == 0
    await process.close()


@in_virtual_time
async def test_a_server_that_leaves_takes_nobody_who_waited_for_his_turn(
    time: VirtualTime,
) -> None:
    process = _hurried(time, busy=0.6)
    await let_in(caller(0), process)
    await let_in(caller(1), process)
    waits = asyncio.ensure_future(caller(2).come(process))
    await time.advance(100)
    assert process.directory.places.paced.waiting == 1
    process.registry.draining = True
    await time.advance(1000)
    assert waits.result().code == wire.ErrorCode.ERROR_CODE_GOING_AWAY
    await process.close()


@in_virtual_time
async def test_a_used_token_that_is_said_again_takes_no_start_from_those_at_its_address(
    time: VirtualTime,
) -> None:
    process = limited(time, per_address="3/minute")
    await let_in(caller(0, address=ADDRESS), process)
    for _ in range(3):
        answer = await caller(0, address=ADDRESS).come(process)
        assert answer == Refused(
            wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, "the token was used already"
        )
    assert await caller(0, address=ADDRESS).come(process) == STRANGER
    for number in (1, 2):
        await let_in(caller(number, of=f"user {number}", address=ADDRESS), process)
    assert await caller(3, of="carl", address=ADDRESS).come(process) == here(60_000)
    await process.close()


@in_virtual_time
async def test_who_asks_by_http_with_no_good_token_too_often_is_told_when(
    time: VirtualTime,
) -> None:
    process = limited(time, per_address="1/minute")
    nobody = Caller("no token of ours", address=ADDRESS).ticket
    first = await process.directory.doorkeeper.stranger(nobody)
    assert first is not None and first.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    assert await process.directory.doorkeeper.stranger(nobody) == STRANGER
    assert process.directory.doorkeeper.accepts_of(nobody) == STRANGER
    await process.close()


@in_virtual_time
async def test_a_used_token_keeps_nobody_from_beginning(time: VirtualTime) -> None:
    process = _hurried(time, busy=0.4)
    await let_in(caller(0), process)
    await time.advance(4000)
    for _ in range(40):  # ten a second
        answer = await caller(0).come(process)
        assert isinstance(answer, Refused)
        assert answer.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
        await time.advance(100)
    await let_in(caller(1), process)
    await process.close()


@in_virtual_time
async def test_a_start_that_is_refused_at_last_is_none_for_the_pace(time: VirtualTime) -> None:
    process = _hurried(time, busy=0.4)
    await let_in(Caller(token_of(token_id="token-no-0", max_sessions=1)), process)
    await time.advance(4000)
    for number in range(1, 20):  # each has a good token; there is no place for its user
        answer = await Caller(token_of(token_id=f"token-no-{number}", max_sessions=1)).come(process)
        assert isinstance(answer, Refused) and "no more sessions" in answer.reason
    await let_in(caller(30, of="bob"), process)
    await process.close()
