"""Waiting at the front door: in order, with nothing used up, and gone when the client is."""

import asyncio

import pytest

from tests.support.front_door import NOW_S, Caller, House, Process, SlowStore, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.load import Load
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.ticket import Here, Refused
from voxwire_server.session.waiting import MAX_OF_ADDRESS, Place, Who
from voxwire_server.session.waiting_room import WaitingRoom

CAPACITY = wire.ErrorCode.ERROR_CODE_CAPACITY


class Waiter:
    """Somebody who comes and may wait."""

    def __init__(self, process: Process, caller: Caller) -> None:
        self.caller = caller
        self.told: list[Place] = []
        attach = process.directory.attach(
            caller.ticket, caller.facts, caller, waits=self.told.append
        )
        self.coming = asyncio.ensure_future(attach)

    async def here(self) -> Here:
        answer = await self.coming
        assert isinstance(answer, Here), answer
        return answer

    async def refused(self) -> Refused:
        answer = await self.coming
        assert isinstance(answer, Refused), answer
        return answer


def room(time: VirtualTime, max_waiting: int = 3, **more: object) -> Process:
    settings = {"max_sessions": 1, "max_waiting": max_waiting, "max_wait_s": 30}
    return Process(clock=time, **{**settings, **more})  # type: ignore[arg-type]


async def come(process: Process, *names: str) -> list[Waiter]:
    """One after the other, each with a token of his own."""
    come: list[Waiter] = []
    for name in names:
        come.append(Waiter(process, called(name)))
        await asyncio.sleep(0.01)
    return come


def called(name: str, **more: str) -> Caller:
    return Caller(token_of(name, token_id=id_of(name)), token_id=id_of(name), **more)


def id_of(name: str) -> str:
    return f"the-token-of-{name}"


def end(here: Here) -> None:
    here.session.end(wire.EndReason.END_REASON_SERVER)


@in_virtual_time
async def test_places_go_to_those_who_wait_in_the_order_of_their_coming(time: VirtualTime) -> None:
    process = room(time)
    first, second, third, fourth = await come(process, "a", "b", "c", "d")
    assert (first.told, second.told) == ([], [Place(1, 0)])
    assert (third.told, fourth.told) == ([Place(2, 0)], [Place(3, 0)])
    await asyncio.sleep(5)
    end(await first.here())
    served = await second.here()
    assert not third.coming.done()
    assert [place.position for place in third.told] == [2, 1]
    assert 4900 < third.told[1].estimated_ms < 5100
    end(served)
    end(await third.here())
    await fourth.here()
    assert len(process.directory.places.waiting_room) == 0
    await process.close()


@in_virtual_time
async def test_nobody_waits_where_the_setting_is_none_or_whose_client_cannot(
    time: VirtualTime,
) -> None:
    full = Refused(CAPACITY, "the server is full", 2000)
    process = room(time, max_waiting=0)
    _, second = await come(process, "a", "b")
    assert await second.refused() == full
    other = room(time)
    await come(other, "a")
    assert await called("b").come(other) == full
    await process.close()
    await other.close()


@in_virtual_time
async def test_nobody_waits_for_a_bot_that_says_so_and_its_token_is_good_for_later(
    time: VirtualTime,
) -> None:
    process = room(time, house=House(b={"waits": False}))
    first, waits = await come(process, "a", "c")
    other = Waiter(process, called("b", bot="b"))
    assert await other.refused() == Refused(CAPACITY, "the server is too busy", 5000)
    assert (other.told, waits.told) == ([], [Place(1, 0)])
    assert not process.store.is_used(id_of("b"))
    end(await first.here())
    end(await waits.here())
    await time.advance(1000)
    await Waiter(process, called("b", bot="b")).here()
    await process.close()


@in_virtual_time
async def test_where_nobody_waits_for_a_bot_the_first_who_finds_no_place_is_told_that_it_is_full(
    time: VirtualTime,
) -> None:
    process = room(time, house=House(b={"waits": False}))
    await come(process, "a")
    refused = await Waiter(process, called("b", bot="b")).refused()
    assert refused == Refused(CAPACITY, "the server is full", 2000)
    await process.close()


@pytest.mark.parametrize("bot", ["a", "b", "nobody"])
@in_virtual_time
async def test_which_bots_have_their_clients_wait_is_told_to_nobody_without_a_good_token(
    time: VirtualTime, bot: str
) -> None:
    process = room(time, house=House(b={"waits": False}))
    await come(process, "a")
    refused = await Waiter(process, Caller("no token", bot=bot)).refused()
    assert refused.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    await process.close()


@in_virtual_time
async def test_a_newcomer_does_not_pass_those_who_wait(time: VirtualTime) -> None:
    process = room(time)
    first, second = await come(process, "a", "b")
    end(await first.here())
    newcomer = called("c")
    answer = await newcomer.come(process)
    assert isinstance(answer, Refused) and answer.code == CAPACITY
    await second.here()
    await process.close()


@in_virtual_time
async def test_a_full_room_and_a_long_wait_are_refused_with_a_time(time: VirtualTime) -> None:
    process = room(time, max_waiting=1)
    first, second, third = await come(process, "a", "b", "c")
    answer = await third.refused()
    assert (answer.code, answer.retry_after_ms) == (CAPACITY, 2000)
    assert "waiting room" in answer.reason
    answer = await second.refused()
    assert (answer.code, answer.retry_after_ms) == (CAPACITY, 2000)
    assert answer.reason == "no place came free within 30 s"
    assert not process.store.is_used(id_of("b")) and not process.store.is_used(id_of("c"))
    end(await first.here())
    (again,) = await come(process, "b")
    await again.here()
    await process.close()


@in_virtual_time
async def test_a_token_is_checked_before_the_wait_and_used_up_after_it(time: VirtualTime) -> None:
    process = room(time)
    await come(process, "a")
    refused = await Waiter(process, Caller("no token")).refused()
    assert refused.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    (second,) = await come(process, "b")
    assert second.told and not process.store.is_used(id_of("b"))
    end(Here(process.sessions[0]))
    await second.here()
    assert process.store.is_used(id_of("b"))
    await process.close()


@in_virtual_time
async def test_a_token_that_runs_out_in_the_line_is_good_once(time: VirtualTime) -> None:
    wall_s = [NOW_S]
    store = LocalStore(now_s=lambda: wall_s[0])
    process = room(time, max_wait_s=600, store=store, wall_s=lambda: wall_s[0])
    (first,) = await come(process, "a")
    token = token_of("b", token_id=id_of("b"), ttl_s=10)
    second, third = (Waiter(process, Caller(token)) for _ in range(2))
    await asyncio.sleep(50)
    wall_s[0] += 50
    end(await first.here())
    served = await second.here()
    assert served.session.facts.token_expires_at_s == NOW_S + 10 + 50
    end(served)
    assert (await third.refused()).code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    await process.close()


@in_virtual_time
async def test_who_hangs_up_leaves_the_line_at_once(time: VirtualTime) -> None:
    process = room(time)
    first, second, third = await come(process, "a", "b", "c")
    await asyncio.sleep(2)
    second.coming.cancel()
    await asyncio.wait({second.coming})
    assert [place.position for place in third.told] == [2, 1]
    end(await first.here())
    await third.here()
    assert not process.store.is_used(id_of("b"))
    await process.close()


@in_virtual_time
async def test_the_same_nonce_waits_once_and_where_it_was(time: VirtualTime) -> None:
    process = room(time)
    first, second, third = await come(process, "a", "b", "c")
    again = Waiter(process, second.caller)
    superseded = await second.refused()
    assert superseded.code == wire.ErrorCode.ERROR_CODE_SUPERSEDED
    await asyncio.sleep(0.01)
    assert again.told == [Place(1, 0)]
    assert len(process.directory.places.waiting_room) == 2
    end(await first.here())
    end(await again.here())
    await third.here()
    await process.close()


@in_virtual_time
async def test_a_process_that_leaves_sends_all_away_who_wait(time: VirtualTime) -> None:
    process = room(time)
    first, second, third = await come(process, "a", "b", "c")
    draining = asyncio.ensure_future(process.directory.drain(30_000))
    for waiter in (second, third):
        refused = await waiter.refused()
        assert refused.code == wire.ErrorCode.ERROR_CODE_GOING_AWAY
        assert refused.retry_after_ms
    end(await first.here())
    await draining
    await process.close()


@in_virtual_time
async def test_one_address_does_not_fill_the_room(time: VirtualTime) -> None:
    starts = StartRates(now_ms=time.now_ms)
    process = room(time, max_waiting=50, starts=starts)
    await come(process, "a")
    waiters = [
        Waiter(process, called(f"u{n}", address=f"2001:db8::{n}"))
        for n in range(MAX_OF_ADDRESS + 1)
    ]
    await asyncio.sleep(0.1)
    assert [waiter.coming.done() for waiter in waiters] == [False] * MAX_OF_ADDRESS + [True]
    elsewhere = Waiter(process, called("z", address="192.0.2.1"))
    await asyncio.sleep(0.1)
    assert elsewhere.told
    await process.close()


@in_virtual_time
async def test_a_process_without_time_has_them_wait_and_serves_them_when_it_has(
    time: VirtualTime,
) -> None:
    load = Load(20)
    process = room(time, max_sessions=10, load=load)
    await come(process, "a")
    load.too_much = True
    (second,) = await come(process, "b")
    assert second.told == [Place(1, 0)]
    load.too_much = False
    await asyncio.sleep(0.6)
    assert second.coming.done()
    await process.close()


@in_virtual_time
async def test_nobody_passes_whom_the_load_has_kept(time: VirtualTime) -> None:
    load = Load(20)
    process = room(time, max_sessions=2, load=load)
    await come(process, "a")
    load.too_much = True
    (second,) = await come(process, "b")
    load.too_much = False  # and nobody has seen it yet
    answer = await called("c").come(process)
    assert isinstance(answer, Refused)
    assert answer.code == CAPACITY
    await second.here()
    await process.close()


@in_virtual_time
async def test_a_place_that_comes_too_late_for_its_guest_is_given_back(time: VirtualTime) -> None:
    free, back = ["place"], list[str]()
    waiting = WaitingRoom(
        max_waiting=1,
        max_wait_s=30,
        reserve=free.pop,
        give_back=back.append,
        num_sessions=lambda: 1,
        clock=time,
    )
    guest = waiting.enter(Who(), lambda _: None)
    waits = asyncio.ensure_future(waiting.wait(guest))
    await asyncio.sleep(0.01)
    waiting.serve()
    waits.cancel()
    await asyncio.wait({waits})
    assert back == ["place"]


@in_virtual_time
async def test_who_leaves_in_the_moment_in_which_he_is_sent_away_has_left(
    time: VirtualTime,
) -> None:
    waiting = WaitingRoom(
        max_waiting=1,
        max_wait_s=30,
        reserve=lambda: "place",
        give_back=lambda _: pytest.fail("there was no place"),
        num_sessions=lambda: 1,
        clock=time,
    )
    waits = asyncio.ensure_future(waiting.wait(waiting.enter(Who(), lambda _: None)))
    await asyncio.sleep(0.01)
    waiting.send_away()
    waits.cancel()
    await asyncio.wait({waits})
    assert waits.cancelled()


@in_virtual_time
async def test_the_operator_is_told_of_an_address_from_which_too_many_wait(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    process = room(time, max_waiting=20, starts=StartRates(now_ms=time.now_ms))
    (inside,) = await come(process, "inside")
    callers = [
        Waiter(process, Caller(token_of(f"user {number}"), address="192.0.2.1"))
        for number in range(MAX_OF_ADDRESS + 2)
    ]
    for refused in [await each.refused() for each in callers[-2:]]:
        assert "from this address" in refused.reason
    named = [record for record in caplog.records if hasattr(record, "address")]
    assert [(it.levelname, vars(it)["address"]) for it in named] == [("WARNING", "192.0.2.1")]
    end(await inside.here())
    await process.close()


@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_a_process_that_closes_keeps_nothing(time: VirtualTime, seed: int) -> None:
    process = room(time, store=SlowStore(seed))
    await come(process, "a", "b", "c")
    await process.close()
    assert len(process.directory.places.waiting_room) == 0


class Loop:
    """A loop whose thread wants so much of a processor, told to a pace ten times a second; there
    is always somebody to be disturbed.
    """

    def __init__(self, time: VirtualTime, busy: float, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(SessionRegistry, "heard_by_somebody", property(lambda _: True))
        self.pace = StartPace(20, lambda: 2)
        self.busy = busy
        self._time = time
        self._worked_ms = 0.0

    async def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self._worked_ms += 100 * self.busy
            self.pace.beat(self._time.now_ms(), late_ms=1, worked_ms=self._worked_ms)
            await asyncio.sleep(0.1)


@in_virtual_time
async def test_whose_turn_to_begin_does_not_come_waits_and_begins_when_it_does(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(time, 0.1, monkeypatch)
    process = room(time, max_sessions=9, pace=loop.pace)
    await loop.run_for(2)
    (first,) = await come(process, "a")
    await first.here()
    loop.busy = 0.95
    await loop.run_for(5)
    second, third = await come(process, "b", "c")
    await loop.run_for(5)
    assert (second.told[0].position, third.told[0].position) == (1, 2)
    newcomer = await called("d").come(process)
    assert isinstance(newcomer, Refused) and newcomer.code == CAPACITY
    assert (len(process.registry), process.registry.reserved) == (1, 0)
    loop.busy = 0.1
    await loop.run_for(2)
    await second.here()
    await loop.run_for(2)
    await third.here()
    assert len(process.directory.places.waiting_room) == 0
    await process.close()


@in_virtual_time
async def test_of_those_who_wait_no_more_begin_at_once_than_the_loop_bears(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(time, 0.1, monkeypatch)
    process = room(time, max_sessions=40, max_waiting=20, pace=loop.pace)
    await loop.run_for(2)
    (first,) = await come(process, "a")
    await first.here()
    loop.busy = 0.95
    await loop.run_for(2)
    waiters = await come(process, *(f"user-{number:02}" for number in range(12)))
    await loop.run_for(5)
    assert len(process.directory.places.waiting_room) == 12
    loop.busy = 0.1
    counts: list[int] = []
    for _ in range(60):
        await loop.run_for(0.5)
        counts.append(sum(waiter.coming.done() for waiter in waiters))
    assert max(after - before for before, after in zip(counts, counts[1:], strict=False)) <= 5
    assert counts[19] == 12  # within 10 s
    began = [waiter.coming.done() for waiter in waiters]
    assert began == sorted(began, reverse=True)
    assert all(isinstance(waiter.coming.result(), Here) for waiter in waiters)
    await process.close()
