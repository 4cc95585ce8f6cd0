"""A session whose process is gone goes on in another one, once, and says so to nobody else."""

import asyncio
import random
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from tests.support.front_door import KEY, NOW_S, Caller, House, Process, SlowStore, token_of
from tests.support.sealed import opened, sealed
from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.lifecycle import State
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.leases import BEAT_MS
from voxwire_server.session.session import Session
from voxwire_server.session.store import (
    NO_OWNER,
    Heard,
    Held,
    Replica,
    StoreUnreachableError,
)
from voxwire_server.session.ticket import At, Here, Refused

EXPIRED = wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED


def service(time: VirtualTime, num: int = 2, seed: int = 1, **settings: Any) -> list[Process]:
    store = SlowStore(seed)
    return [Process(store, clock=time, keeps=True, **settings) for _ in range(num)]


async def begun(time: VirtualTime, process: Process, **facts: Any) -> tuple[Caller, Session]:
    caller = Caller(token_of(max_sessions=1))
    caller.facts = replace(caller.facts, **facts)
    answer = await caller.come(process)
    assert isinstance(answer, Here)
    await time.advance(KEEPS_MS + 100)
    return caller, answer.session


async def dies(process: Process) -> None:
    """It is not heard of any more; what runs in it does not know."""
    leases = process.directory.leases
    leases.stop()
    await process.store.beat(leases.me, gone=True)


async def closed(*processes: Process) -> None:
    for process in processes:
        await process.directory.close(5000)


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


async def kept_by_newer(process: Process, session: Session, secret: str = KEY) -> None:
    """What is kept of a session is as a newer version keeps it, or one with another secret."""
    store = process.store
    located = await store.locate(session.id)
    assert located is not None
    said = opened(session.id, located.snapshot, KEY.encode())
    said |= {"v": 2, "told": {"turns": ["in another way"]}, "messages": 7, "more": True}
    snapshot = sealed(session.id, said, secret.encode())
    assert await store.save(session.id, process.registry.name, snapshot, term=session.term)


@in_virtual_time
async def test_a_session_that_a_newer_version_has_kept_begins_anew_for_its_client(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = service(time)
    caller, session = await begun(time, first, metadata_json='{"a": 1}')
    session.emit(transcript=wire.Transcript(turn_id="t1", text="good morning", final=True))
    session.keep_state('{"step": 3}')
    session.capture.muted = True
    session.changed()
    await time.advance(KEEPS_MS + 100)
    await kept_by_newer(first, session)
    await dies(first)
    back = Caller(back=caller.welcome)
    answer = await back.come(second)
    assert isinstance(answer, Here)
    taken, welcome = answer.session, back.welcome
    assert (welcome.session_id, welcome.epoch, welcome.resumed) == (session.id, 2, False)
    assert welcome.HasField("snapshot") and not welcome.snapshot.turns
    assert wires_of(taken).kept is None  # its bot greets
    assert (taken.facts.user, taken.facts.metadata_json) == ("ada", '{"a": 1}')
    assert (taken.term, taken.capture.muted, taken.state_json) == (2, True, "")
    assert taken.began_unix_ms == session.began_unix_ms  # no longer than it might last
    assert "it begins anew" in caplog.text
    again = Caller(back=welcome)
    assert await again.come(second) == Here(taken)
    # and from here it goes on as any other
    taken.emit(transcript=wire.Transcript(turn_id="t2", text="good evening", final=True))
    await time.advance(KEEPS_MS + 100)
    await dies(second)
    third = Process(first.store, clock=time, keeps=True)
    last = Caller(back=again.welcome)
    assert isinstance(await last.come(third), Here)
    assert [turn.text for turn in last.welcome.snapshot.turns] == ["good evening"]
    assert first.store.places_of("ada") == 1
    await closed(third, second, first)


@in_virtual_time
async def test_a_session_that_no_key_opens_is_nobody_s_here_and_stays_for_who_has_the_key(
    time: VirtualTime,
) -> None:
    """Nothing that a client brings along says that it is his: not even who he would be."""
    first, second = service(time)
    caller, session = await begun(time, first)
    located = await first.store.locate(session.id)
    assert located is not None
    await kept_by_newer(first, session, "another secret that this service does not have")
    await dies(first)
    for token in ("", token_of(token_id="another-token-of-ada")):
        answer = await Caller(token, back=caller.welcome).come(second)
        assert isinstance(answer, Refused) and answer.code == EXPIRED
    assert not second.sessions
    there = await second.store.locate(session.id)
    assert there is not None and (there.owner, there.term) == (first.registry.name, 1)
    name = first.registry.name
    assert await first.store.save(session.id, name, located.snapshot, term=1)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    await closed(first, second)


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("wrong", ["token", "origin", "user", "bot"])
def test_who_may_not_resume_it_may_not_take_it_over(wrong: str, newer: bool) -> None:
    time = VirtualTime()

    async def main() -> None:
        first, second = service(time)
        if wrong == "bot":
            vars(vars(second.directory.doorkeeper)["_admission"])["_bots"] = _OtherHouse()
        caller, session = await begun(time, first)
        if newer:
            await kept_by_newer(first, session)
        await dies(first)
        welcome = wire.Welcome()
        welcome.CopyFrom(caller.welcome)
        if wrong == "token":
            welcome.resume_token = bytes(16)
        token = token_of("bob", token_id="token-of-bob") if wrong == "user" else ""
        origin = b"https://another" if wrong == "origin" else b""
        answer = await Caller(token, back=welcome, origin=origin).come(second)
        assert isinstance(answer, Refused) and answer.code == EXPIRED
        located = await second.store.locate(session.id)
        assert located is not None and located.term == 1  # it waits for its client
        if wrong != "bot":
            assert isinstance(await Caller(back=caller.welcome).come(second), Here)
        await closed(first, second)

    time.run(main())


class _OtherHouse(House):
    def choose(self, name: str) -> Any:
        return super().choose("no such bot")


@pytest.mark.parametrize("seed", range(20))
def test_of_several_processes_one_takes_it_and_the_others_know_where_it_is(seed: int) -> None:
    time = VirtualTime()

    async def main() -> None:
        first, *others = service(time, 4, seed)
        for process in others:
            await process.directory.leases.beat()
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
    for process in (first, second, third):
        await process.directory.leases.beat()
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
    for process in [*processes[1:], full]:
        await process.directory.leases.beat()

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
async def test_a_process_that_leaves_hands_its_sessions_over(time: VirtualTime) -> None:
    first, second = service(time)
    for process in (second, first):
        await process.directory.leases.beat()
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
        for process in (second, first):
            await process.directory.leases.beat()
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
async def test_who_comes_to_a_process_that_leaves_is_brought_to_one_that_stays(
    time: VirtualTime,
) -> None:
    store = SlowStore(1)
    first, second = (
        Process(store, clock=time, keeps=True, peer_url=url) for url in ("ws://1", "ws://2")
    )
    for process in (second, first):
        await process.directory.leases.beat()
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
        for process in (second, first):
            await process.directory.leases.beat()
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


@in_virtual_time
async def test_sessions_are_written_at_once(time: VirtualTime) -> None:
    [process] = service(time, 1)
    sessions: list[Session] = []
    for number in range(20):
        answer = await Caller(token_of(f"user-{number}", token_id=f"token-no-{number}")).come(
            process
        )
        assert isinstance(answer, Here)
        sessions.append(answer.session)
    await time.advance(1000)
    for number, session in enumerate(sessions):
        session.keep_state(str(number))
    await time.advance(KEEPS_MS + 50)  # one after the other takes longer
    keeper: Any = vars(process.directory)["_keeper"]
    for number, session in enumerate(sessions):
        located = await process.store.locate(session.id)
        assert located is not None
        assert keeper.read(session.id, located.snapshot).state == str(number)
    await closed(process)


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
async def test_what_is_kept_is_written_again_for_a_store_that_came_back_empty(
    time: VirtualTime,
) -> None:
    first, second = service(time)
    first.directory.begin()
    caller, session = await begun(time, first)
    vars(first.store)["_records"].clear()
    await time.advance(BEAT_MS + KEEPS_MS + 200)  # nothing happens in the session meanwhile
    await dies(first)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    assert [it.id for it in second.sessions] == [session.id]
    await closed(first, second)


@in_virtual_time
async def test_it_is_written_again_though_nobody_heard_that_the_store_had_forgotten_it(
    time: VirtualTime,
) -> None:
    """The beat that enters it is answered too late, and the next one finds it there."""
    first, second = service(time)
    first.directory.begin()
    caller, session = await begun(time, first)
    store, beat, unanswered = first.store, first.store.beat, list[str]()

    async def late(me: Replica, sessions: Collection[Held] = (), **how: Any) -> Heard:
        heard = await beat(me, sessions, **how)
        if me.name == first.registry.name and not unanswered:
            unanswered.extend(heard.entered)
            raise StoreUnreachableError
        return heard

    vars(store)["_records"].clear()
    vars(store)["beat"] = late
    await time.advance(2 * BEAT_MS + KEEPS_MS + 200)  # nothing happens in the session meanwhile
    assert unanswered == [session.id]
    saves = list[str]()
    save = store.save

    async def noted(session_id: str, *args: Any, **how: Any) -> bool:
        saves.append(session_id)
        return await save(session_id, *args, **how)

    vars(store)["save"] = noted
    await time.advance(3 * BEAT_MS)
    assert not saves  # once is enough
    del vars(store)["beat"], vars(store)["save"]
    await dies(first)
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
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
    for process in (first, second):
        await process.directory.leases.beat()
    caller, session = await begun(time, first)
    first.directory.leases.stop()
    vars(first.store)["_replicas"].clear()  # their leases have run out meanwhile
    vars(first.store)["_gone"].add(first.registry.name)
    for _ in range(2):
        await second.directory.leases.beat()
        answer = await Caller(back=caller.welcome).come(second)
        assert isinstance(answer, At) and answer.replica.name == first.registry.name
    await second.directory.leases.beat()
    assert isinstance(await Caller(back=caller.welcome).come(second), Here)
    assert not session.over  # it learns of it with its next beat
    await closed(first, second)
