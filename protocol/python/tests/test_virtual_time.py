"""Virtual time: hours in a moment, threads waited for, the same order every time."""

import asyncio
import random
import threading
import time as machine
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.virtual_time import (
    NothingLeftError,
    VirtualTime,
    in_virtual_time,
    running_clock,
)


def elapsed(time: VirtualTime, work: object) -> float:
    """How much virtual time a coroutine takes, milliseconds."""
    before = time.now_ms()
    time.run(work)  # type: ignore[arg-type]
    return time.now_ms() - before


def test_a_day_passes_to_the_millisecond() -> None:
    async def day() -> None:
        for _ in range(24 * 60):
            await asyncio.sleep(59.999)
            await asyncio.sleep(0.001)

    assert elapsed(VirtualTime(), day()) == 24 * 3600 * 1000


def test_whole_milliseconds_stay_whole() -> None:
    async def steps(time: VirtualTime) -> None:
        for number in range(1, 2001):
            await asyncio.sleep(0.0203)
            assert time.now_ms() == 1_000_000 + number * 20.3 or number % 10
        assert time.now_ms() == 1_040_600

    time = VirtualTime()
    time.run(steps(time))


@in_virtual_time
async def test_timeouts_timers_and_sleeps_go_by_one_clock(time: VirtualTime) -> None:
    happened: list[tuple[str, float]] = []
    start = time.now_ms()

    def note(what: str) -> None:
        happened.append((what, time.now_ms() - start))

    time.call_later(30, lambda: note("clock"))
    asyncio.get_running_loop().call_later(0.02, note, "loop")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.025):
            await asyncio.Event().wait()
    note("timeout")
    await time.advance(5)
    note("advanced")
    done, _ = await asyncio.wait([asyncio.create_task(asyncio.sleep(9))], timeout=3)
    note("wait")
    assert not done
    assert asyncio.get_running_loop().time() * 1000 == time.now_ms()
    assert happened == [
        ("loop", 20),
        ("timeout", 25),
        ("clock", 30),
        ("advanced", 30),
        ("wait", 3030),
    ]


@in_virtual_time
async def test_a_timer_that_is_cancelled_does_not_come(time: VirtualTime) -> None:
    came: list[int] = []
    timers = [time.call_later(10 * n, lambda n=n: came.append(n)) for n in range(4)]
    timers[2].cancel()
    time.call_later(-5, lambda: came.append(-1))
    await time.advance(100)
    timers[0].cancel()
    assert sorted(came) == [-1, 0, 1, 3]


@in_virtual_time
async def test_what_is_due_by_then_has_happened(time: VirtualTime) -> None:
    came: list[str] = []

    async def slowly() -> None:
        for turn in range(100):
            await asyncio.sleep(0)
            came.append(str(turn))
        await asyncio.sleep(0.001)
        came.append("late")

    def begin() -> None:
        asyncio.get_running_loop().create_task(slowly()).add_done_callback(tasks.append)

    tasks: list[object] = []
    before = time.now_ms()
    time.call_later(50, begin)
    await time.advance(50)
    assert (len(came), came[-1], time.now_ms() - before) == (100, "99", 50)
    await time.advance(1)
    assert came[-1] == "late"


@in_virtual_time
async def test_settling_lets_no_time_pass_and_waits_for_threads(time: VirtualTime) -> None:
    before = time.now_ms()
    asyncio.get_running_loop().call_later(0.000_001, lambda: None)
    thread = asyncio.create_task(asyncio.to_thread(machine.sleep, 0.05))
    both = asyncio.gather(time.settle(), time.settle())
    await both
    assert thread.done()
    assert time.now_ms() == before


@in_virtual_time
async def test_until_something_came(time: VirtualTime) -> None:
    before = time.now_ms()
    assert await time.until(asyncio.sleep(7, "there")) == "there"
    assert time.now_ms() - before == 7000
    with pytest.raises(TimeoutError):
        await time.until(asyncio.sleep(7), limit_ms=100)
    assert time.now_ms() - before == 7100


@pytest.mark.parametrize("how", ["executor", "to_thread"])
def test_threads_of_the_loop_are_waited_for_with_the_clock_standing(how: str) -> None:
    time = VirtualTime()

    async def main() -> list[float]:
        asyncio.get_running_loop().call_later(0.001, lambda: None)
        ticks = asyncio.create_task(asyncio.sleep(3600))
        before = time.now_ms()
        loop = asyncio.get_running_loop()
        for _ in range(3):
            if how == "executor":
                await loop.run_in_executor(None, machine.sleep, 0.02)
            else:
                await asyncio.to_thread(machine.sleep, 0.02)
        ticks.cancel()
        return [before, time.now_ms()]

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an executor that is not joined says so
        before, after = time.run(main())
    assert before == after


def test_a_thread_that_fails_or_is_left_does_not_hold_the_clock() -> None:
    go = threading.Event()

    def fail() -> None:
        raise KeyError("x")

    async def main(time: VirtualTime) -> float:
        with pytest.raises(KeyError):
            await asyncio.to_thread(fail)
        left = asyncio.create_task(asyncio.to_thread(go.wait))
        await asyncio.sleep(0)  # it runs
        left.cancel()
        before = time.now_ms()
        await asyncio.sleep(60)
        go.set()
        return time.now_ms() - before

    time = VirtualTime()
    assert time.run(main(time)) == 60_000


def test_a_thread_that_the_loop_does_not_know_still_wakes_it() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        threading.Timer(0.02, lambda: loop.call_soon_threadsafe(future.set_result, "woken")).start()
        return await future

    assert VirtualTime().run(main()) == "woken"


def test_what_can_never_end_is_an_error_that_names_who_waits() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(forever(), name="the-one-that-hangs")

    with pytest.raises(NothingLeftError, match=r"the-one-that-hangs \(.*forever, test_virtual"):
        VirtualTime().run(main())


def schedule(seed: int) -> list[tuple[float, int]]:
    """What twenty tasks do that sleep at random and wake each other."""
    dice = random.Random(seed)
    log: list[tuple[float, int]] = []

    async def main(time: VirtualTime) -> None:
        turn = asyncio.Condition()

        async def worker(number: int) -> None:
            for _ in range(20):
                await asyncio.sleep(dice.choice([0, 0.001, 0.005, 0.02]))
                async with turn:
                    log.append((time.now_ms(), number))
                    turn.notify()

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(worker(number))

    time = VirtualTime()
    time.run(main(time))
    return log


def test_the_order_is_the_same_every_time() -> None:
    first = schedule(7)
    assert len(first) == 400
    assert all(schedule(7) == first for _ in range(5))
    assert schedule(8) != first


def test_several_runs_go_on_in_one_time_and_leave_nothing() -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                ended.append("tick")
        finally:
            ended.append("cancelled")

    async def begin() -> None:
        tasks.append(asyncio.create_task(background()))

    tasks: list[asyncio.Task[None]] = []
    with VirtualTime() as time:
        time.run(begin())
        before = time.now_ms()
        time.run(time.advance(1500))
        time.run(time.advance(1500))
        assert time.now_ms() - before == 3000
    assert ended == ["tick", "tick", "tick", "cancelled"]
    time.close()


def test_one_run_cancels_what_is_left() -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    VirtualTime().run(main())
    assert ended == ["cancelled"]


def test_a_loop_that_never_ran_is_closed_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with VirtualTime():
            pass
        VirtualTime().close()


@in_virtual_time
async def test_a_kit_finds_the_time_that_it_runs_in(time: VirtualTime) -> None:
    assert running_clock() is time


async def test_a_kit_finds_the_machines_clock_elsewhere() -> None:
    assert running_clock() is SYSTEM_CLOCK
    assert await asyncio.to_thread(running_clock) is SYSTEM_CLOCK


@pytest.fixture
def seven() -> int:
    return 7


@in_virtual_time
async def test_fixtures_are_given(time: VirtualTime, seven: int, tmp_path: object) -> None:
    await time.advance(seven)
    assert (seven, tmp_path is not None) == (7, True)


@in_virtual_time
async def test_the_clock_need_not_be_asked_for(seven: int) -> None:
    await asyncio.sleep(3600 * seven)


@pytest.mark.parametrize("delay_ms", [1, 60_000])
@in_virtual_time
async def test_parameters_are_given(delay_ms: int, time: VirtualTime) -> None:
    before = time.now_ms()
    await time.advance(delay_ms)
    assert time.now_ms() - before == delay_ms


@given(delays=st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
@in_virtual_time
async def test_examples_of_hypothesis_each_have_a_time_of_their_own(
    time: VirtualTime, delays: list[int]
) -> None:
    assert time.now_ms() == 1_000_000
    woken: list[int] = []

    async def sleeper(delay_ms: int) -> None:
        await asyncio.sleep(delay_ms / 1000)
        woken.append(delay_ms)

    await asyncio.gather(*map(sleeper, delays))
    assert woken == sorted(delays)
    assert time.now_ms() == 1_000_000 + max(delays)


class TestInAClass:
    @in_virtual_time
    async def test_methods_work_too(self, time: VirtualTime, seven: int) -> None:
        await time.advance(seven)


def test_six_minutes_of_20_ms_timers_take_a_moment() -> None:
    async def minutes() -> None:
        for _ in range(18_000):
            await asyncio.sleep(0.02)

    assert elapsed(VirtualTime(), minutes()) == 360_000


def test_virtual_time_is_a_clock() -> None:
    clock: Clock = VirtualTime()
    assert clock.now_ms() == 1_000_000
