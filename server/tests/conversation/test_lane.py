"""What the client asks of the pipeline happens in the order in which it came."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.conversation.lane import MAX_WAITING, Errand, Kind, Lane


class Bench:
    """A lane, and what was done."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.ready = asyncio.Event()
        self.ends = False
        self.done: list[str] = []
        self.lane = Lane(self.port, session_id="s", ready=self.ready, over=lambda: self.ends)

    def does(self, name: str, *, after_ms: float = 0) -> Callable[[Errand], Awaitable[None]]:
        async def run(_: Errand) -> None:
            await asyncio.sleep(after_ms / 1000)
            self.done.append(name)

        return run

    async def served(self) -> list[str]:
        """What was done, when all is."""
        self.ready.set()
        await self.port.settle(2000)
        return self.done


@pytest.fixture
def bench() -> Bench:
    return Bench()


@in_virtual_time
async def test_what_waits_for_the_pipeline_happens_in_order(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.lane.put(Kind.INPUT, bench.does(name))
    await asyncio.sleep(0)
    assert bench.done == []
    assert await bench.served() == ["a", "b", "c"]


@in_virtual_time
async def test_a_cut_voids_the_questions_before_it_and_nothing_else(bench: Bench) -> None:
    bench.ready.set()
    bench.lane.put(Kind.QUESTION, bench.does("void"))
    bench.lane.put(Kind.INPUT, bench.does("key"))
    bench.lane.cut(bench.does("cut"))
    bench.lane.put(Kind.QUESTION, bench.does("answered"))
    assert await bench.served() == ["key", "cut", "answered"]


@in_virtual_time
async def test_a_question_that_is_being_asked_sees_that_it_is_void(bench: Bench) -> None:
    seen: list[bool] = []
    asking = asyncio.Event()
    go_on = asyncio.Event()

    async def ask(errand: Errand) -> None:
        asking.set()
        await go_on.wait()
        seen.append(errand.void)

    bench.ready.set()
    bench.lane.put(Kind.QUESTION, ask)
    await asking.wait()
    bench.lane.cut(bench.does("cut"))
    go_on.set()
    assert await bench.served() == ["cut"]
    assert seen == [True]


@in_virtual_time
async def test_before_the_pipeline_there_is_nothing_to_cut(bench: Bench) -> None:
    bench.lane.put(Kind.QUESTION, bench.does("void"))
    bench.lane.cut(bench.does("cut"))
    bench.lane.put(Kind.QUESTION, bench.does("answered"))
    assert await bench.served() == ["answered"]


@in_virtual_time
async def test_cuts_that_follow_each_other_are_one(bench: Bench) -> None:
    bench.ready.set()
    for _ in range(200):
        bench.lane.cut(bench.does("cut"))
    assert await bench.served() == ["cut"]


@in_virtual_time
async def test_what_is_done_soon_never_overtakes(bench: Bench) -> None:
    bench.lane.soon(lambda: bench.done.append("at once"))
    assert bench.done == ["at once"]
    bench.lane.put(Kind.INPUT, bench.does("first"))
    bench.lane.soon(lambda: bench.done.append("second"))
    assert await bench.served() == ["at once", "first", "second"]


@in_virtual_time
async def test_one_that_fails_is_told_and_the_next_goes_on(bench: Bench) -> None:
    async def fail(_: Errand) -> None:
        raise RuntimeError("no pipeline")

    bench.lane.put(Kind.QUESTION, fail)
    bench.lane.put(Kind.INPUT, bench.does("next"))
    assert await bench.served() == ["next"]
    assert len(bench.port.errors) == 1


@in_virtual_time
async def test_the_lane_is_bounded(bench: Bench) -> None:
    for number in range(MAX_WAITING):
        assert not bench.lane.full
        bench.lane.put(Kind.INPUT, bench.does(str(number)))
    assert bench.lane.full
    assert len(await bench.served()) == MAX_WAITING
    assert not bench.lane.full


@in_virtual_time
async def test_when_the_session_is_over_nothing_is_begun(bench: Bench) -> None:
    bench.ends = True
    bench.lane.put(Kind.INPUT, bench.does("late"))
    assert await bench.served() == []


@in_virtual_time
async def test_what_comes_before_a_pipeline_waits_for_it_however_long(
    bench: Bench, time: VirtualTime
) -> None:
    bench.lane.put(Kind.INPUT, bench.does("key"))
    await time.advance(3_600_000)
    assert bench.done == []
    assert await bench.served() == ["key"]


@in_virtual_time
async def test_one_that_takes_long_holds_the_others_and_nothing_else(
    bench: Bench, time: VirtualTime
) -> None:
    bench.ready.set()
    bench.lane.put(Kind.INPUT, bench.does("slow", after_ms=700))
    bench.lane.put(Kind.INPUT, bench.does("next", after_ms=300))
    await time.advance(699)
    assert bench.done == []
    await time.advance(2)
    assert bench.done == ["slow"]
    await time.advance(300)
    assert bench.done == ["slow", "next"]


@in_virtual_time
async def test_a_flood_of_what_is_never_refused_is_bounded_and_told(bench: Bench) -> None:
    for number in range(600):
        bench.lane.put(Kind.CALL, bench.does(str(number)))
    assert set(bench.port.codes) == {ErrorCode.RATE_LIMITED}
    assert len(bench.port.errors) == 600 - 512
    assert len(await bench.served()) == 512
