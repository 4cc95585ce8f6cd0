"""How soon what is new of a session is kept, whatever the store does, in virtual time."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.support.front_door import Caller, Process, SlowStore, token_of
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.session import Session
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.ticket import Here


async def begun(process: Process, time: VirtualTime, user: str = "ada") -> Session:
    answer = await Caller(token_of(user, token_id=f"token-of-{user}")).come(process)
    assert isinstance(answer, Here)
    await time.advance(KEEPS_MS + 100)
    return answer.session


def made(time: VirtualTime) -> Process:
    return Process(SlowStore(1), clock=time, keeps=True)


class _Saves:
    """What is saved of a process, and when.

    Args:
        process: The process, whose store it stands before.
        time: The time.
        took_ms: How long the store takes to answer.
    """

    def __init__(self, process: Process, time: VirtualTime, *, took_ms: float = 0) -> None:
        self._save = process.store.save
        self._time = time
        self._took_ms = took_ms
        self.fails = False
        self.at_ms: list[int] = []
        vars(process.store)["save"] = self._answer

    async def _answer(self, *args: Any, **how: Any) -> bool:
        self.at_ms.append(round(self._time.now_ms()))
        await asyncio.sleep(self._took_ms / 1000)  # real time: slow
        if self.fails:
            raise StoreUnreachableError
        return await self._save(*args, **how)

    @property
    def apart_ms(self) -> list[int]:
        """How long it was between any two."""
        return [after - before for before, after in pairwise(self.at_ms)]


async def kept_state(process: Process, session: Session) -> str:
    """What is kept of a bot's own state."""
    keeper: Any = vars(process.directory)["_keeper"]
    located = await process.store.locate(session.id)
    assert located is not None
    return keeper.read(session.id, located.snapshot).state


@in_virtual_time
async def test_what_could_not_be_saved_is_tried_again_soon_and_then_less_often(
    time: VirtualTime,
) -> None:
    process = made(time)
    session = await begun(process, time)
    saves = _Saves(process, time)
    saves.fails = True
    session.keep_state("1")
    for number in range(200):
        await time.advance(20)
        session.keep_state(str(number))  # what comes meanwhile is no reason to try sooner
    assert saves.apart_ms[:4] == [100, 200, 400, 800]
    assert set(saves.apart_ms[4:]) == {1000}
    saves.fails = False
    await time.advance(1000 + 100)
    assert await kept_state(process, session) == "199"
    session.keep_state("soon")
    await time.advance(KEEPS_MS + 50)
    assert await kept_state(process, session) == "soon"
    await process.directory.close(5000)


@in_virtual_time
async def test_what_is_new_does_not_wait_for_the_answer_to_what_was_saved_before(
    time: VirtualTime,
) -> None:
    process = made(time)
    session = await begun(process, time)
    saves = _Saves(process, time, took_ms=900)
    for number in range(100):
        session.keep_state(str(number))
        await time.advance(10)
    assert all(KEEPS_MS <= apart <= KEEPS_MS + 10 for apart in saves.apart_ms)
    assert len(saves.at_ms) == 4  # no more at once
    await time.advance(2000)
    assert await kept_state(process, session) == "99"
    await process.directory.close(5000)


@in_virtual_time
async def test_a_session_that_cannot_be_kept_costs_the_others_nothing(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    process = made(time)
    broken, other = await begun(process, time), await begun(process, time, "bob")

    def keep() -> None:
        raise KeyError("id")

    vars(broken)["keep"] = keep
    keeper: Any = vars(process.directory)["_keeper"]
    assert not await keeper.fence(broken)
    assert not await keeper.write(broken)
    assert not broken.over
    broken.keep_state("1")
    other.keep_state("2")
    await time.advance(KEEPS_MS + 100)
    assert await kept_state(process, other) == "2"
    assert "a session cannot be kept" in caplog.text
    await process.directory.close(5000)


@in_virtual_time
async def test_a_stock_client_s_session_which_nobody_can_take_runs_what_is_to_run_once(
    time: VirtualTime,
) -> None:
    process = made(time)
    session = await begun(process, time)
    keeper: Any = vars(process.directory)["_keeper"]
    saves = _Saves(process, time)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "numbered", None)  # as behind an RtviChannel
        assert session.resumable and session.keep() is None
        assert await keeper.fence(session)
    assert saves.at_ms == []
    assert await keeper.fence(session)
    assert len(saves.at_ms) == 1
    await process.directory.close(5000)
