"""What a newer version has kept, or nobody here can open, and who may take it over."""

from typing import Any

import pytest

from tests.support.front_door import KEY, Caller, House, Process, token_of
from tests.support.sealed import opened, sealed
from tests.support.service import begun, closed, dies, service
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import Here, Refused

EXPIRED = wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED


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
