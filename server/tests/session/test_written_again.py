"""What is kept of sessions is written in time, and again for a store that has lost it."""

from collections.abc import Collection
from typing import Any

from tests.support.front_door import Caller, token_of
from tests.support.service import begun, closed, dies, service
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.leases import BEAT_MS
from voxwire_server.session.session import Session
from voxwire_server.session.store import (
    Heard,
    Held,
    Replica,
    StoreUnreachableError,
)
from voxwire_server.session.ticket import Here


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
