"""Work beside sessions is done to its end; what fails is told, and nothing is left of the rest."""

import asyncio

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.tasks import Work


async def after(delay_s: float, result: str = "done") -> str:
    await asyncio.sleep(delay_s)
    return result


@in_virtual_time
async def test_who_asks_gets_the_result_and_who_leaves_cuts_nothing_off(time: VirtualTime) -> None:
    work = Work(pytest.fail)
    assert await work.spawn(after(1)) == "done"
    task = work.spawn(after(1))
    asks = asyncio.ensure_future(asyncio.shield(task))
    await time.settle()
    asks.cancel()
    await asyncio.wait({asks})
    assert len(work) == 1
    await time.advance(1000)
    assert (task.result(), len(work)) == ("done", 0)


@in_virtual_time
async def test_what_fails_is_told_once_and_what_is_cancelled_is_not(time: VirtualTime) -> None:
    async def fails() -> None:
        raise OSError("down")

    told: list[BaseException] = []
    work = Work(told.append)
    tasks = [work.spawn(fails()), work.spawn(after(1))]
    tasks[1].cancel()
    await time.settle()
    assert [str(error) for error in told] == ["down"]
    assert len(work) == 0


@in_virtual_time
async def test_the_end_waits_for_what_is_in_time_and_for_what_it_has_cancelled(
    time: VirtualTime,
) -> None:
    let_go: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            let_go.append("late")

    work = Work(pytest.fail)
    await work.finish(1)  # there is nothing to wait for
    in_time = work.spawn(after(0.5))
    work.spawn(lingers())
    began_ms = time.now_ms()
    await work.finish(1)
    assert in_time.result() == "done"
    assert (let_go, len(work)) == (["late"], 0)
    assert time.now_ms() - began_ms == pytest.approx(1100, abs=1)
