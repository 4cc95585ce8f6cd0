"""Who comes with many others begins behind them, the later the less time the loop has left."""

import asyncio
from collections.abc import Callable
from itertools import cycle, pairwise

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.refusals import BusyError
from voxwire_server.session.start_pace import PacedStarts, StartPace

BEAT_MS = 100


class Stage:
    """A loop with so much to do, and those who come to it."""

    def __init__(self, time: VirtualTime, *, max_late_ms: int = 20) -> None:
        self.sessions = 0
        self.pace = StartPace(max_late_ms, lambda: self.sessions)
        self.time = time
        self.starts = PacedStarts(self.pace, time)
        self.began_ms: list[float] = []
        self.refused_ms: list[float] = []
        self.busy: Callable[[], float] = lambda: 0.1
        self.late_ms = cycle([1.0])
        self._worked_ms = 0.0

    async def run(self, for_ms: float) -> None:
        until_ms = self.time.now_ms() + for_ms
        while self.time.now_ms() < until_ms:
            await self.time.advance(BEAT_MS)
            self._worked_ms += BEAT_MS * self.busy()
            now_ms = self.time.now_ms()
            self.pace.beat(now_ms, late_ms=next(self.late_ms), worked_ms=self._worked_ms)

    async def come(self) -> None:
        came_ms = self.time.now_ms()
        try:
            await self.starts.turn()
        except BusyError:
            self.refused_ms.append(self.time.now_ms() - came_ms)
        else:
            self.sessions += 1
            self.began_ms.append(self.time.now_ms())

    async def burst(self, number: int, *, for_ms: float = 5000) -> None:
        tasks = [asyncio.ensure_future(self.come()) for _ in range(number)]
        await self.run(for_ms)
        assert all(task.done() for task in tasks)
        assert self.starts.waiting == 0

    @property
    def gaps_ms(self) -> list[float]:
        return [late - soon for soon, late in pairwise(self.began_ms)]


@in_virtual_time
async def test_one_that_comes_alone_begins_at_once(time: VirtualTime) -> None:
    stage = Stage(time)
    for busy in (0.0, 0.4, 0.6):
        stage.busy = lambda busy=busy: busy
        await stage.run(3000)
        came_ms = time.now_ms()
        await stage.come()
        assert stage.began_ms[-1] == came_ms


@pytest.mark.parametrize(("busy", "gap_ms"), [(0.0, 25), (0.4, 69.4), (0.6, 156.2)])
@in_virtual_time
async def test_of_many_one_begins_after_the_other(
    busy: float, gap_ms: float, time: VirtualTime
) -> None:
    stage = Stage(time)
    stage.busy, stage.sessions = lambda: busy, 60
    await stage.run(20_000)  # it is seen what each of them costs
    await stage.burst(7)
    assert stage.gaps_ms == pytest.approx([gap_ms] * 6, abs=1)


@in_virtual_time
async def test_who_would_wait_for_too_long_is_refused_at_once(time: VirtualTime) -> None:
    stage = Stage(time)
    stage.busy, stage.sessions = lambda: 0.5, 120
    await stage.run(20_000)
    await stage.burst(40)
    assert (len(stage.began_ms), len(stage.refused_ms)) == (31, 9)
    assert stage.refused_ms.count(0) == 9


@in_virtual_time
async def test_of_a_burst_no_more_begin_than_there_may_be_time_for_when_they_speak(
    time: VirtualTime,
) -> None:
    stage = Stage(time)
    stage.busy = lambda: 0.05 + 0.08 * sum(time.now_ms() - at > 1500 for at in stage.began_ms)
    await stage.run(2000)
    await stage.burst(40)
    assert len(stage.began_ms) == 8
    assert stage.busy() <= 0.7


@pytest.mark.parametrize(("cost", "number"), [(0.1, 6), (0.05, 12), (0.02, 32), (0.01, 64)])
@in_virtual_time
async def test_it_learns_what_one_costs_and_so_finds_how_many_fit(
    cost: float, number: int, time: VirtualTime
) -> None:
    stage = Stage(time)
    stage.busy = lambda: 0.05 + cost * len(stage.began_ms)
    await stage.run(2000)
    for _ in range(60):
        tasks = [asyncio.ensure_future(stage.come()) for _ in range(4)]
        await stage.run(4000)
        assert all(task.done() for task in tasks)
        assert stage.busy() <= 0.7
    assert len(stage.began_ms) == pytest.approx(number, abs=2)
    assert len(stage.began_ms) + len(stage.refused_ms) == 240


@in_virtual_time
async def test_a_thread_that_has_no_time_left_begins_none_and_says_so_after_3_s(
    time: VirtualTime,
) -> None:
    stage = Stage(time)
    stage.busy = lambda: 0.95
    await stage.run(3000)
    await stage.burst(3)
    assert stage.began_ms == []
    assert all(2800 <= refused_ms <= 3000 for refused_ms in stage.refused_ms)
    stage.busy = lambda: 0.2
    await stage.run(2000)
    await stage.come()
    assert len(stage.began_ms) == 1


@in_virtual_time
async def test_a_late_loop_slows_them_down_and_refuses_none(time: VirtualTime) -> None:
    stage = Stage(time)
    stage.late_ms, stage.sessions = cycle([60.0]), 60
    await stage.run(20_000)
    await stage.burst(10)
    assert stage.gaps_ms == pytest.approx([100] * 9, abs=1)
    assert stage.refused_ms == []


@in_virtual_time
async def test_one_stall_of_the_machine_slows_nobody_down(time: VirtualTime) -> None:
    stage = Stage(time)
    stage.busy = lambda: 0.0
    stage.late_ms = cycle([400.0, *[1.0] * 99])
    await stage.run(BEAT_MS)
    await stage.burst(3)
    assert stage.gaps_ms == pytest.approx([25] * 2, abs=1)


@in_virtual_time
async def test_who_leaves_the_line_keeps_nobody_up(time: VirtualTime) -> None:
    stage = Stage(time)
    stage.busy, stage.sessions = lambda: 0.6, 60
    await stage.run(20_000)
    tasks = [asyncio.ensure_future(stage.come()) for _ in range(5)]
    await stage.run(BEAT_MS)
    for task in tasks[1:4]:
        task.cancel()
    await stage.run(1000)
    assert tasks[4].done()
    assert len(stage.began_ms) == 2
    assert stage.gaps_ms == pytest.approx([156], abs=1)
    assert stage.starts.waiting == 0


@in_virtual_time
async def test_it_can_be_turned_off(time: VirtualTime) -> None:
    stage = Stage(time, max_late_ms=0)
    stage.busy = lambda: 1.0
    await stage.run(2000)
    await stage.burst(50)
    assert stage.gaps_ms == [0] * 49
