"""A place is kept or there is none, at once; its turn comes when nobody hears it begin."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.load import Load
from voxwire_server.session.places import Places
from voxwire_server.session.refusals import BusyError, ClosingError
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.waiting import Who

LIMIT_MS = 20
GAP_MS = 25
SPARE = 0.5
"""Beside it there is time for two sessions of which nothing is seen yet, and not for three."""


class Seat:
    """A session, as far as its place is concerned: it lasts until it is ended."""

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.over = False
        self.control = SimpleNamespace(attached=True)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        await self._ended.wait()

    def end(self, *_: Any) -> None:
        self.over = True
        self._ended.set()


class Registry(SessionRegistry):
    """Where somebody may be who hears what starts cost, though he has no seat."""

    heard = False

    @property
    def heard_by_somebody(self) -> bool:
        return self.heard or super().heard_by_somebody


class Process:
    """So many places, on a loop whose thread wants so much of a core."""

    def __init__(
        self, time: VirtualTime, *, max_sessions: int = 9, max_waiting: int = 0, busy: float = 0
    ) -> None:
        self.registry = Registry(max_sessions)
        self.load = Load(LIMIT_MS)
        self.places = Places(
            self.registry,
            load=self.load,
            pace=self._pace(time, busy),
            max_waiting=max_waiting,
            max_wait_s=30,
            clock=time,
        )

    @staticmethod
    def _pace(time: VirtualTime, busy: float) -> StartPace:
        pace = StartPace(LIMIT_MS, lambda: 0)
        for beat in range(-20, 1):
            now_ms = time.now_ms() + beat * 100
            pace.beat(now_ms, late_ms=1, worked_ms=(beat + 20) * 100 * busy)
        return pace

    async def begin(self) -> Seat:
        """Take a place, and stay."""
        async with AsyncExitStack() as held:
            return self._seat(await self.places.take(held), held)

    async def wait(self) -> Seat:
        """Wait for a place, and stay."""
        guest = self.places.waiting_room.enter(Who(), lambda _: None)
        async with AsyncExitStack() as held:
            return self._seat(await self.places.wait(guest, held), held)

    def _seat(self, session_id: str, held: AsyncExitStack) -> Seat:
        seat = Seat(session_id)
        self.registry.start(cast(Session, seat)).add_done_callback(
            lambda _: self.places.waiting_room.over(1000)
        )
        held.pop_all()
        return seat

    async def refused(self) -> type[Exception]:
        """Why there is no place; the same for who only looks."""
        with pytest.raises((BusyError, CapacityError, ClosingError)) as looked:
            self.places.check()
        with pytest.raises(looked.type):
            await self.begin()
        return looked.type

    async def close(self) -> None:
        await self.registry.close(1000)
        assert self.registry.reserved == 0


@in_virtual_time
async def test_who_only_looks_keeps_no_place(time: VirtualTime) -> None:
    process = Process(time, max_sessions=1)
    for _ in range(3):
        process.places.check()
        assert process.places.begins_now
    assert process.registry.reserved == 0
    await process.begin()
    assert await process.refused() is CapacityError
    assert not process.places.begins_now
    await process.close()


@in_virtual_time
async def test_a_process_that_leaves_says_so_though_it_is_full_and_busy(time: VirtualTime) -> None:
    process = Process(time, max_sessions=1)
    seat = await process.begin()
    process.load.too_much = True
    assert await process.refused() is BusyError
    process.registry.draining = True
    assert await process.refused() is ClosingError
    with pytest.raises(ClosingError):
        _ = process.places.begins_now
    seat.end()
    await time.settle()
    assert await process.refused() is ClosingError
    await process.close()


@in_virtual_time
async def test_a_load_that_nobody_is_there_to_hear_keeps_nobody_out(time: VirtualTime) -> None:
    process = Process(time)
    process.load.too_much = True
    seat = await process.begin()
    assert process.places.busy
    assert await process.refused() is BusyError
    seat.control.attached = False
    assert not process.places.busy
    await process.begin()
    assert await process.refused() is BusyError
    await process.close()


@in_virtual_time
async def test_while_nobody_is_there_all_begin_at_once_and_one_by_one_when_somebody_is(
    time: VirtualTime,
) -> None:
    process = Process(time)
    alone_ms = time.now_ms()
    for _ in range(3):
        (await process.begin()).control.attached = False
    assert time.now_ms() == alone_ms
    for seat in list(process.registry):
        cast(Any, seat).control.attached = True
    began_ms: list[float] = []

    async def begin() -> None:
        await process.begin()
        began_ms.append(time.now_ms() - alone_ms)

    await asyncio.gather(*(begin() for _ in range(3)))
    assert began_ms == pytest.approx([GAP_MS, 2 * GAP_MS, 3 * GAP_MS], abs=1)
    await process.close()


@in_virtual_time
async def test_of_a_start_that_comes_to_nothing_neither_place_nor_turn_is_missed(
    time: VirtualTime,
) -> None:
    process = Process(time, busy=SPARE)
    process.registry.heard = True
    for _ in range(3):
        async with AsyncExitStack() as held:
            await process.places.take(held)
            assert process.registry.reserved == 1
        assert process.registry.reserved == 0
        await time.advance(500)
    for _ in range(2):
        assert process.places.begins_now
        await process.begin()
        await time.advance(500)
    assert not process.places.begins_now  # nothing is seen of those two yet
    await process.close()


@in_virtual_time
async def test_whoever_waits_has_the_next_place_and_nobody_passes_him(time: VirtualTime) -> None:
    process = Process(time, max_sessions=1, max_waiting=2)
    assert process.places.may_wait
    seat = await process.begin()
    waits = [asyncio.ensure_future(process.wait()) for _ in range(2)]
    await time.settle()
    assert await process.refused() is BusyError
    seat.end()
    await time.settle()
    assert [each.done() for each in waits] == [True, False]
    assert await process.refused() is BusyError
    waits[0].result().end()
    await time.settle()
    assert waits[1].done()
    assert await process.refused() is CapacityError
    await process.close()


@in_virtual_time
async def test_a_place_that_is_given_back_is_that_of_whoever_waits(time: VirtualTime) -> None:
    process = Process(time, max_sessions=1, max_waiting=1)
    async with AsyncExitStack() as held:
        await process.places.take(held)
        waits = asyncio.ensure_future(process.wait())
        await time.settle()
        assert not waits.done()
    await time.settle()
    assert waits.done()
    await process.close()


@in_virtual_time
async def test_whoever_waits_has_no_place_before_his_turn_has_come(time: VirtualTime) -> None:
    process = Process(time, max_waiting=1, busy=SPARE)
    seats = [await process.begin() for _ in range(2)]
    waits = asyncio.ensure_future(process.wait())
    await time.advance(2000)
    assert (waits.done(), process.registry.reserved) == (False, 0)
    for seat in seats:
        seat.control.attached = False  # nobody is disturbed any more
    await time.advance(200)
    assert waits.done()
    await process.close()


@in_virtual_time
async def test_who_waited_and_is_refused_at_last_gives_back_both(time: VirtualTime) -> None:
    process = Process(time, max_sessions=1, max_waiting=1, busy=SPARE)
    seat = await process.begin()
    guest = process.places.waiting_room.enter(Who(), lambda _: None)
    seat.end()
    async with AsyncExitStack() as held:
        waits = asyncio.ensure_future(process.places.wait(guest, held))
        await time.advance(100)
        assert waits.result().startswith(process.registry.name)
        assert process.registry.reserved == 1
    assert process.registry.reserved == 0
    process.registry.heard = True
    await time.advance(500)
    assert process.places.begins_now
    await process.close()
