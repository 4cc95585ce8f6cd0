"""A session whose process is gone goes on in another one, once, and says so to nobody else."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.front_door import NOW_S, Caller, Process, SlowStore, token_of
from tests.support.service import begun, closed, dies, heard_of, service
from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.lifecycle import State
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.leases import BEAT_MS
from voxwire_server.session.store import (
    Heard,
    StoreUnreachableError,
)
from voxwire_server.session.ticket import At, Here, Refused


@in_virtual_time
async def test_a_session_goes_on_where_its_client_comes_with_all_that_was_said(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    for process in (first, second):
        process.directory.begin()
    caller, session = await begun(time, first, metadata_json='{"a": 1}')
    said = wire.Transcript(turn_id="t1", text="good morning", final=True)
    session.emit(transcript=said)
    session.keep_state('{"step": 3}')
    await time.advance(KEEPS_MS + 100)
    await dies(first)
    back = Caller(back=caller.welcome)
    answer = await back.come(second)
    assert isinstance(answer, Here)
    taken = answer.session
    welcome = back.welcome
    assert (welcome.session_id, welcome.epoch, welcome.resumed) == (session.id, 2, False)
    assert [turn.text for turn in welcome.snapshot.turns] == ["good morning"]
    assert (taken.term, taken.life.state, taken.facts.user) == (2, State.ATTACHED, "ada")
    assert taken.facts.metadata_json == '{"a": 1}'
    kept = wires_of(taken).kept
    assert kept is not None and kept.state == '{"step": 3}'
    assert first.store.places_of("ada") == 1
    # and its new token brings it back as any other
    again = Caller(back=welcome)
    assert await again.come(second) == Here(taken)
    assert again.welcome.resumed
    await closed(second, first)
    assert len(first.store) == first.store.places_of("ada") == 0


@in_virtual_time
async def test_a_process_that_was_only_slow_learns_of_it_and_ends_without_a_word(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    caller, session = await begun(time, first)
    await dies(first)
    back = Caller(back=caller.welcome)
    assert isinstance(await back.come(second), Here)
    await first.directory.leases.beat()
    await time.advance(BEAT_MS)
    assert session.over
    told = await caller.read()
    assert not [it for it in told if it.HasField("error") or it.HasField("session_ended")]
    assert caller.closed is not None and caller.closed[0] == 4027
    [taken] = second.sessions
    assert not taken.over and len(second.store) == second.store.places_of("ada") == 1
    await closed(first, second)


@pytest.mark.parametrize("seed", range(20))
def test_of_several_processes_one_takes_it_and_the_others_know_where_it_is(seed: int) -> None:
    time = VirtualTime()

    async def main() -> None:
        first, *others = service(time, 4, seed)
        await heard_of(*others)
        caller, session = await begun(time, first)
        await dies(first)
        answers = await asyncio.gather(
            *(Caller(back=caller.welcome).come(process) for process in others)
        )
        assert sum(isinstance(answer, Here) for answer in answers) == 1
        for answer in answers:
            if isinstance(answer, Refused):  # it comes again
                assert answer.retry_after_ms
            elif isinstance(answer, At):
                assert answer.replica.name != first.registry.name
        [taken] = [it for process in others for it in process.sessions]
        assert (taken.id, taken.term) == (session.id, 2)
        await closed(first, *others)
        assert len(first.store) == 0

    time.run(main())


@in_virtual_time
async def test_without_the_store_a_client_is_brought_where_its_session_was_last(
    time: VirtualTime,
) -> None:
    first, second, third = service(time, 3)
    await heard_of(first, second, third)
    caller, _ = await begun(time, first)
    await dies(first)
    taken = Caller(back=caller.welcome)
    assert isinstance(await taken.come(second), Here)
    answer = await Caller(back=taken.welcome).come(third)
    assert isinstance(answer, At) and answer.replica.name == second.registry.name
    unknown, known = Caller(back=caller.welcome), Caller(back=taken.welcome)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(third.store, "locate", _unreachable)
        answer = await known.come(third)
        assert isinstance(answer, At) and answer.replica.name == second.registry.name
        vars(third.directory)["_whereabouts"]._found.clear()
        for _ in range(3):
            await third.directory.leases.beat()
            await time.advance(BEAT_MS)
        answer = await unknown.come(third)  # the process that made its id is not heard of any more
        assert isinstance(answer, Refused) and answer.retry_after_ms
    await closed(first, second, third)


async def _unreachable(*_: Any, **__: Any) -> Any:
    raise StoreUnreachableError


@in_virtual_time
async def test_who_finds_no_place_is_brought_to_the_process_that_has_most(
    time: VirtualTime,
) -> None:
    store = SlowStore(3)
    full, busier, emptier, leaving, alone = (
        Process(store, clock=time, peer_url=url, max_sessions=num)
        for url, num in [("ws://1", 1), ("ws://2", 4), ("ws://3", 4), ("ws://4", 9), ("", 9)]
    )
    processes = [full, busier, emptier, leaving, alone]
    leaving.registry.draining = True
    for number, process in enumerate((full, busier)):
        token = token_of(f"user-{number}", token_id=f"token-no-{number}")
        assert isinstance(await Caller(token).come(process), Here)
    await heard_of(*processes[1:], full)

    async def come(**ticket: Any) -> Any:
        caller = Caller(token_of("eve", token_id="token-of-eve"))
        caller.ticket = replace(caller.ticket, **ticket)
        return await caller.come(full)

    answer = await come(may_be_carried=True)
    assert isinstance(answer, At) and answer.replica.name == emptier.registry.name
    answer = await come(may_be_carried=True, unreachable=frozenset({emptier.registry.name}))
    assert isinstance(answer, At) and answer.replica.name == busier.registry.name
    names = frozenset({emptier.registry.name, busier.registry.name})
    for ticket in ({}, {"may_be_carried": True, "unreachable": names}):
        answer = await come(**ticket)
        assert isinstance(answer, Refused)
        assert answer.code == wire.ErrorCode.ERROR_CODE_CAPACITY
    await closed(*processes)


@pytest.mark.parametrize("seed", range(40))
def test_of_several_who_come_back_to_one_process_one_has_the_session_taken(seed: int) -> None:
    """A client that gives up waiting comes again, with another nonce."""
    time, rng = VirtualTime(), random.Random(seed)

    async def main() -> None:
        first, second = service(time, 2, seed)
        caller, session = await begun(time, first)
        await dies(first)

        async def come() -> Any:
            await asyncio.sleep(rng.randrange(30) / 1000)
            return await Caller(back=caller.welcome).come(second)

        answers = await asyncio.gather(*(come() for _ in range(5)))
        [taken] = second.sessions
        assert (taken.id, taken.term, taken.over) == (session.id, 2, False)
        assert len(vars(second.registry)["_tasks"]) == 1  # no other one goes on beside it
        for answer in answers:
            if answer != Here(taken):
                assert isinstance(answer, Refused) and answer.retry_after_ms
        located = await second.store.locate(session.id)
        assert located is not None and (located.owner, located.term) == (second.registry.name, 2)
        await second.close()
        await closed(first)
        assert len(first.store) == first.store.places_of("ada") == 0

    time.run(main())


@pytest.mark.parametrize("seed", range(40))
def test_a_session_that_has_ended_is_not_taken_while_it_is_forgotten(seed: int) -> None:
    time, rng = VirtualTime(), random.Random(seed)

    async def main() -> None:
        [process] = service(time, 1, seed)
        caller, session = await begun(time, process)
        session.end(wire.EndReason.END_REASON_CLIENT)
        for _ in range(5):
            await asyncio.sleep(rng.randrange(20) / 1000)
            try:
                answer = await Caller(back=caller.welcome).come(process)
            except ChannelError:
                continue
            assert isinstance(answer, Refused)
        assert not [it for it in process.sessions if not it.over]
        await process.close()
        assert len(process.store) == process.store.places_of("ada") == 0

    time.run(main())


@in_virtual_time
async def test_who_has_gone_when_it_was_taken_finds_it_again(time: VirtualTime) -> None:
    first, second = service(time)
    caller, _ = await begun(time, first)
    await dies(first)
    coming = asyncio.create_task(Caller(back=caller.welcome).come(second))
    while (await second.store.locate(caller.welcome.session_id)).owner == first.registry.name:  # type: ignore[union-attr]
        pass
    coming.cancel()
    await asyncio.wait({coming})
    await time.advance(1000)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    await closed(first, second)


@in_virtual_time
async def test_a_process_that_lost_a_session_gives_no_place_of_its_user_back(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    await heard_of(first, second)
    caller, session = await begun(time, first)
    await dies(first)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    session.end(wire.EndReason.END_REASON_SERVER)  # before a beat tells it
    await time.advance(1000)
    assert session.over and first.store.places_of("ada") == 1
    await closed(first, second)


@in_virtual_time
async def test_no_position_of_the_media_clock_comes_twice(time: VirtualTime) -> None:
    first, second = service(time)
    began_ms = time.now_ms()
    vars(second.directory)["_wall_s"] = lambda: NOW_S + (time.now_ms() - began_ms) / 1000
    caller, session = await begun(time, first)
    playout = session.playout
    playout.attach(time.now_ms(), reports=True)
    await time.advance(20_000)
    playout.place(bytes(2 * 24 * 3000), time.now_ms(), new_stretch=True)
    session.changed()
    await time.advance(KEEPS_MS + 100)
    await dies(first)
    await time.advance(5000)
    played_ms = playout.end_ms  # the client has played all that it had
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    [taken] = second.sessions
    assert taken.playout.heard_ms(time.now_ms()) > played_ms
    taken.playout.attach(time.now_ms(), reports=True)
    placed_ms = taken.playout.place(bytes(4800), time.now_ms(), new_stretch=True) / 24
    assert played_ms < placed_ms < played_ms + 8000
    taken.playout.heard.report(played_ms, time.now_ms(), playing=False)
    assert taken.playout.heard_ms(time.now_ms()) <= placed_ms
    await closed(first, second)


@in_virtual_time
async def test_a_session_that_is_back_does_not_end_with_a_beat_from_before(
    time: VirtualTime,
) -> None:
    """The answer says that another process has it, which had it meanwhile."""
    first, second = service(time)
    caller, session = await begun(time, first)
    await dies(first)
    back = Caller(back=caller.welcome)
    assert isinstance(await back.come(second), Here)
    await time.advance(KEEPS_MS + 100)
    store, beat = first.store, first.store.beat
    answered, goes_on = asyncio.Event(), asyncio.Event()
    lost = set[str]()

    async def slow(*args: Any, **how: Any) -> Heard:
        heard = await beat(*args, **how)
        lost.update(heard.lost)
        answered.set()
        await goes_on.wait()
        return heard

    vars(store)["beat"] = slow
    beating = asyncio.create_task(first.directory.leases.beat())
    await answered.wait()
    del vars(store)["beat"]
    assert lost == {session.id}
    await dies(second)
    again = Caller(back=back.welcome)
    again.ticket = replace(again.ticket, unreachable=frozenset({second.registry.name}))
    assert isinstance(await again.come(first), Here)
    goes_on.set()
    await beating
    await time.advance(BEAT_MS)
    [taken] = [it for it in first.sessions if not it.over]
    assert (taken.id, taken.term) == (session.id, 3)
    await closed(first, second)


@in_virtual_time
async def test_who_came_back_to_one_process_comes_back_to_the_next(time: VirtualTime) -> None:
    first, second = service(time)
    caller, session = await begun(time, first)
    for _ in range(3):  # each time with the newest token; else nothing happens in the session
        back = Caller(back=caller.welcome)
        assert await back.come(first) == Here(session)
        caller = back
        await time.advance(KEEPS_MS + 100)
    await dies(first)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    await closed(first, second)


@in_virtual_time
async def test_who_comes_back_to_a_process_that_was_only_slow_is_brought_to_the_next(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    await second.directory.leases.beat()
    caller, session = await begun(time, first)
    await dies(first)
    back = Caller(back=caller.welcome)
    assert isinstance(await back.come(second), Here)
    again = Caller(back=back.welcome)  # the first one has not had a beat since
    answer = await again.come(first)
    assert isinstance(answer, At) and answer.replica.name == second.registry.name
    assert session.over and not second.sessions[0].over
    # and from there it goes back, as soon as the second one is dead
    await time.advance(KEEPS_MS + 100)
    await dies(second)
    unreachable = frozenset({second.registry.name})
    third = Caller(back=back.welcome)
    third.ticket = replace(third.ticket, unreachable=unreachable)
    assert isinstance(await third.come(first), Here)
    [taken] = [it for it in first.sessions if not it.over]
    assert (taken.id, taken.term) == (session.id, 3)
    await closed(first, second)


@in_virtual_time
async def test_a_store_that_was_away_has_not_heard_of_anybody_yet(time: VirtualTime) -> None:
    first, second = service(time, peer_url="ws://somewhere")
    await heard_of(first, second)
    caller, session = await begun(time, first)
    first.directory.leases.stop()
    vars(first.store)["_replicas"].clear()  # their leases have run out meanwhile
    vars(first.store)["_gone"].add(first.registry.name)
    for _ in range(2):
        for _ in range(5):  # strangers name processes that are not known: it is looked anew
            await second.directory.leases.beat()
        answer = await Caller(back=caller.welcome).come(second)
        assert isinstance(answer, At) and answer.replica.name == first.registry.name
        await time.advance(BEAT_MS)
    await second.directory.leases.beat()
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    assert not session.over  # it learns of it with its next beat
    await closed(first, second)
