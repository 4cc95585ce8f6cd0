"""A process that leaves hands its sessions over, each at a pause, the rest in time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.front_door import Caller, Process, SlowStore
from tests.support.service import begun, closed, heard_of, service
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.store import (
    NO_OWNER,
    StoreUnreachableError,
)
from voxwire_server.session.ticket import At, Here, Refused


@in_virtual_time
async def test_a_process_that_leaves_hands_its_sessions_over(time: VirtualTime) -> None:
    first, second = service(time)
    await heard_of(second, first)
    caller, session = await begun(time, first)
    leaving = asyncio.create_task(first.directory.drain(30_000))
    await time.advance(16_000)  # its bot has not begun to listen: there is no pause
    assert leaving.done() and session.over
    assert caller.closed is None or caller.closed[0] == 4027
    back = Caller(back=caller.welcome)
    assert isinstance(await back.come(second), Here)
    assert len(second.store) == second.store.places_of("ada") == 1
    await closed(first, second)


@pytest.mark.parametrize("has_acted", [False, True])
def test_a_session_is_handed_over_though_the_store_was_slow_once(has_acted: bool) -> None:
    time = VirtualTime()

    async def main() -> None:
        first, second = service(time)
        await heard_of(second, first)
        caller, session = await begun(time, first)
        take, asked = first.store.take, list[str]()

        async def slow(session_id: str, **how: Any) -> Any:
            asked.append(how["by"])
            if len(asked) > 1:
                return await take(session_id, **how)
            if has_acted:
                await take(session_id, **how)
            raise StoreUnreachableError

        vars(first.store)["take"] = slow
        leaving = asyncio.create_task(first.directory.drain(30_000))
        await time.advance(18_000)  # its bot has not begun to listen: there is no pause
        assert leaving.done() and session.over
        assert asked.count(NO_OWNER) == (1 if has_acted else 2)
        del vars(first.store)["take"]
        assert isinstance(await Caller(back=caller.welcome).come(second), Here)
        await closed(first, second)

    time.run(main())


@in_virtual_time
async def test_a_session_is_handed_over_though_the_store_was_slow_when_its_time_came(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    await heard_of(second, first)
    caller, session = await begun(time, first)
    beat, failed = first.store.beat, list[float]()
    half_ms = time.now_ms() + 15_000

    async def slow(*args: Any, **how: Any) -> Any:
        if time.now_ms() >= half_ms and not failed:
            failed.append(time.now_ms())
            raise StoreUnreachableError
        return await beat(*args, **how)

    vars(first.store)["beat"] = slow
    leaving = asyncio.create_task(first.directory.drain(30_000))
    await time.advance(20_000)  # its bot has not begun to listen: there is no pause
    assert failed and leaving.done() and session.over
    del vars(first.store)["beat"]
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    await closed(first, second)


@in_virtual_time
async def test_who_comes_to_a_process_that_leaves_is_brought_to_one_that_stays(
    time: VirtualTime,
) -> None:
    store = SlowStore(1)
    first, second = (
        Process(store, clock=time, keeps=True, peer_url=url) for url in ("ws://1", "ws://2")
    )
    await heard_of(second, first)
    caller, session = await begun(time, first)
    leaving = asyncio.create_task(first.directory.drain(30_000))
    await time.advance(16_000)
    assert leaving.done() and session.over
    back = Caller(back=caller.welcome)
    back.ticket = replace(back.ticket, may_be_carried=True)
    answer = await back.come(first)
    assert isinstance(answer, At) and answer.replica.name == second.registry.name
    alone = Caller(back=caller.welcome)  # he was carried already
    answer = await alone.come(first)
    assert isinstance(answer, Refused) and answer.retry_after_ms
    await closed(first, second)


@pytest.mark.parametrize("at", ["see_others", "write"])
def test_who_begins_to_speak_before_a_hand_over_is_heard_out(at: str) -> None:
    time = VirtualTime()

    async def main() -> None:
        first, second = service(time)
        await heard_of(second, first)
        _, session = await begun(time, first)
        session.state.ready()
        leases, keeper = first.directory.leases, vars(first.directory)["_keeper"]
        asked = leases if at == "see_others" else keeper
        answer, spoken = getattr(asked, at), list[bool]()

        async def meanwhile(*args: Any) -> Any:
            found = await answer(*args)
            if not spoken:
                spoken.append(True)
                session.state.response_started()
            return found

        setattr(asked, at, meanwhile)
        leaving = asyncio.create_task(first.directory.drain(30_000))
        await time.advance(5000)
        assert spoken and not session.over
        session.state.response_ended()
        await time.advance(1000)
        assert session.over and leaving.done()
        await closed(first, second)

    time.run(main())
