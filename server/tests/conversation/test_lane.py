"""What the client asks of the pipeline happens in the order in which it came."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest

from voxwire_server.conversation.lane import MAX_WAITING, Errand, Kind, Lane
from voxwire_server.session.session import Session


class FakeSession:
    """As much of a session as a lane needs."""

    def __init__(self) -> None:
        self.id = "s"
        self.over = False
        self.pipeline_ready = asyncio.Event()
        self.errors: list[int] = []
        self.done: list[str] = []
        self.lane = Lane(cast("Session", self))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    def emit_error(self, code: int, reason: str) -> None:
        self.errors.append(code)

    def does(self, name: str) -> Callable[[Errand], Awaitable[None]]:
        async def run(_: Errand) -> None:
            await asyncio.sleep(0)
            self.done.append(name)

        return run

    async def served(self) -> list[str]:
        """What was done, when all is."""
        self.pipeline_ready.set()
        while self.lane._task is not None and not self.lane._task.done():
            await asyncio.sleep(0)
        return self.done


@pytest.fixture
async def session() -> FakeSession:
    return FakeSession()


async def test_what_waits_for_the_pipeline_happens_in_order(session: FakeSession) -> None:
    for name in ("a", "b", "c"):
        session.lane.put(Kind.INPUT, session.does(name))
    await asyncio.sleep(0)
    assert session.done == []
    assert await session.served() == ["a", "b", "c"]


async def test_a_cut_voids_the_questions_before_it_and_nothing_else(session: FakeSession) -> None:
    session.pipeline_ready.set()
    session.lane.put(Kind.QUESTION, session.does("void"))
    session.lane.put(Kind.INPUT, session.does("key"))
    session.lane.cut(session.does("cut"))
    session.lane.put(Kind.QUESTION, session.does("answered"))
    assert await session.served() == ["key", "cut", "answered"]


async def test_a_question_that_is_being_asked_sees_that_it_is_void(session: FakeSession) -> None:
    seen: list[bool] = []
    asking = asyncio.Event()
    go_on = asyncio.Event()

    async def ask(errand: Errand) -> None:
        asking.set()
        await go_on.wait()
        seen.append(errand.void)

    session.pipeline_ready.set()
    session.lane.put(Kind.QUESTION, ask)
    await asking.wait()
    session.lane.cut(session.does("cut"))
    go_on.set()
    assert await session.served() == ["cut"]
    assert seen == [True]


async def test_before_the_pipeline_there_is_nothing_to_cut(session: FakeSession) -> None:
    session.lane.put(Kind.QUESTION, session.does("void"))
    session.lane.cut(session.does("cut"))
    session.lane.put(Kind.QUESTION, session.does("answered"))
    assert await session.served() == ["answered"]


async def test_cuts_that_follow_each_other_are_one(session: FakeSession) -> None:
    session.pipeline_ready.set()
    for _ in range(200):
        session.lane.cut(session.does("cut"))
    assert await session.served() == ["cut"]


async def test_what_is_done_soon_never_overtakes(session: FakeSession) -> None:
    session.lane.soon(lambda: session.done.append("at once"))
    assert session.done == ["at once"]
    session.lane.put(Kind.INPUT, session.does("first"))
    session.lane.soon(lambda: session.done.append("second"))
    assert await session.served() == ["at once", "first", "second"]


async def test_one_that_fails_is_told_and_the_next_goes_on(session: FakeSession) -> None:
    async def fail(_: Errand) -> None:
        raise RuntimeError("no pipeline")

    session.lane.put(Kind.QUESTION, fail)
    session.lane.put(Kind.INPUT, session.does("next"))
    assert await session.served() == ["next"]
    assert len(session.errors) == 1


async def test_the_lane_is_bounded(session: FakeSession) -> None:
    for number in range(MAX_WAITING):
        assert not session.lane.full
        session.lane.put(Kind.INPUT, session.does(str(number)))
    assert session.lane.full
    assert len(await session.served()) == MAX_WAITING
    assert not session.lane.full


async def test_when_the_session_is_over_nothing_is_begun(session: FakeSession) -> None:
    session.over = True
    session.lane.put(Kind.INPUT, session.does("late"))
    assert await session.served() == []
