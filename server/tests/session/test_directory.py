"""The one front door: who is let in, what is given back, and how a session ends that breaks."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import pytest

from tests.support.front_door import NOW_S, RESUME, Caller, House, Process, SlowStore, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.none import NoChannel
from voxwire_server.ports import SessionFacts
from voxwire_server.session.bot_task import BotTask
from voxwire_server.session.ice import SessionIce
from voxwire_server.session.leases import BEAT_MS
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.session import Session
from voxwire_server.session.store import Heard, Held, Replica, StoreUnreachableError
from voxwire_server.session.ticket import At, Here, Refused, Ticket

OTHER = Replica(name="other", public_url="ws://other:7860/v1/session")
EXPIRED = Refused(
    wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED, "the session is over, or it is not yours"
)
GOING = Refused(wire.ErrorCode.ERROR_CODE_GOING_AWAY, "the server is shutting down", 1000)
FULL = Refused(wire.ErrorCode.ERROR_CODE_CAPACITY, "the server is full", 2000)


async def let_in(caller: Caller, process: Process) -> Session:
    answer = await caller.come(process)
    assert isinstance(answer, Here), answer
    return answer.session


# born whole


@in_virtual_time
async def test_a_session_is_born_with_all_that_door_and_token_say(time: VirtualTime) -> None:
    process = Process(clock=time)
    caller = Caller(token_of(max_duration_s=60))
    caller.facts = SessionFacts(
        features=RESUME | {wire.Feature.FEATURE_CLIENT_TOOLS, wire.Feature.FEATURE_UNSPECIFIED},
        origin=b"https://page",
        client=wire.ClientInfo(library="test"),
        metadata_json='{"a": 1}',
        tools=(wire.ToolDeclaration(name="show", parameters_json='{"type": "object"}'),),
    )
    session = await let_in(caller, process)
    facts = session.facts
    assert (facts.bot, facts.examples, facts.user) == ("a", ("hello a",), "ada")
    assert (facts.origin, facts.client.library, facts.metadata_json) == (
        b"https://page",
        "test",
        '{"a": 1}',
    )
    assert (facts.max_duration_s, facts.token_expires_at_s) == (60, NOW_S + 300)
    assert session.limits.duration_ms == 60_000
    assert session.features == RESUME | {wire.Feature.FEATURE_CLIENT_TOOLS}
    await process.close()


class Call:
    """A telephone call: no Hello, no control channel."""

    def channel(self, *_: Any) -> NoChannel:
        return NoChannel()

    def bind(self, session: Session) -> None:
        self.session = session

    def leave(self, session: Session) -> None:
        session.end(wire.EndReason.END_REASON_CLIENT)


@in_virtual_time
async def test_a_session_is_born_without_a_hello(time: VirtualTime) -> None:
    hung_up = asyncio.Event()

    async def bot(_: Session) -> None:
        await hung_up.wait()

    process = Process(clock=time, key="", house=House(bot))
    answer = await process.directory.attach(Ticket(bot="a"), SessionFacts(), Call())
    assert isinstance(answer, Here)
    await time.advance(60_000)  # nobody says anything, and nobody is missed
    assert not answer.session.over
    hung_up.set()
    await answer.session.ended.wait()
    await process.close()


# the same attach, and coming back


@in_virtual_time
async def test_of_many_attempts_with_one_nonce_one_begins_the_session_and_all_get_it(
    time: VirtualTime,
) -> None:
    process, token, nonce = Process(SlowStore(1), clock=time), token_of(max_sessions=1), bytes(16)
    callers = [Caller(token, nonce=nonce) for _ in range(5)]
    sessions = set(await asyncio.gather(*(let_in(caller, process) for caller in callers)))
    [session] = sessions
    assert session.link is callers[-1].link
    assert len({caller.welcome.resume_token for caller in callers}) == 1
    await process.close()


@in_virtual_time
async def test_the_same_hello_begins_another_session_when_the_first_is_over(
    time: VirtualTime,
) -> None:
    process, token, nonce = Process(SlowStore(2), clock=time), token_of(max_sessions=1), bytes(16)
    first = await let_in(Caller(token, nonce=nonce), process)
    first.end(wire.EndReason.END_REASON_CLIENT)
    second = await let_in(Caller(token, nonce=nonce), process)  # while the first still ends
    assert first is not second
    used = await Caller(token).come(process)
    assert isinstance(used, Refused)
    assert used.reason == "the token was used already"
    await process.close()


@in_virtual_time
async def test_a_place_is_free_as_soon_as_it_is_decided_that_a_session_ends(
    time: VirtualTime,
) -> None:
    process = Process(SlowStore(3), clock=time)
    for number in range(3):
        token = token_of(token_id=f"number-{number}", max_sessions=1)
        session = await let_in(Caller(token), process)
        session.end(wire.EndReason.END_REASON_CLIENT)
    await process.close()


@in_virtual_time
async def test_who_comes_back_takes_the_session_over(time: VirtualTime) -> None:
    process = Process(SlowStore(4), clock=time)
    first = Caller(token_of())
    session = await let_in(first, process)
    again = Caller(back=first.welcome)
    assert await let_in(again, process) is session
    assert session.link is again.link
    assert first.link.closing.is_set()
    other = Caller(back=first.welcome, origin=b"https://other")
    assert await other.come(process) == EXPIRED
    assert await Caller(token_of("bob"), back=first.welcome).come(process) == EXPIRED
    await process.close()
    gone = await Caller(back=first.welcome).come(process)
    assert gone == GOING


# refused: nothing is left


@in_virtual_time
async def test_a_hello_whose_welcome_cannot_be_sent_gives_everything_back(
    time: VirtualTime,
) -> None:
    process = Process(SlowStore(5), clock=time)
    token = token_of(max_sessions=1)
    caller = Caller(token, max_message_bytes=4096)
    wide = wire.Welcome(server="y" * 5000)
    caller.bind = lambda session: session.numbered.rebind(  # type: ignore[method-assign]
        caller.link, caller.hello, wide
    )
    answer = await caller.come(process)
    assert isinstance(answer, Refused)
    assert answer.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
    assert (len(process.store), process.store.places_of("ada")) == (0, 0)
    assert not process.store.is_used("token-of-ada")
    await let_in(Caller(token), process)
    await process.close()


@in_virtual_time
async def test_a_process_that_shuts_down_while_the_store_is_asked_begins_nothing(
    time: VirtualTime,
) -> None:
    process = Process(SlowStore(6), clock=time)
    coming = asyncio.create_task(Caller(token_of()).come(process))
    await asyncio.sleep(0)
    await process.close()
    assert await coming == GOING
    assert len(process.store) == 0
    assert not process.store.is_used("token-of-ada")


@in_virtual_time
async def test_who_leaves_just_when_the_session_has_begun_is_as_if_his_socket_was_lost(
    time: VirtualTime,
) -> None:
    process = Process(clock=time)
    caller = Caller(token_of())
    coming = asyncio.create_task(caller.come(process))
    while caller.bound is None:
        await asyncio.sleep(0)
    coming.cancel()
    await asyncio.wait({coming})
    assert coming.cancelled()
    assert caller.left
    [session] = process.sessions
    assert session.link is None
    same = Caller(token_of(), nonce=caller.ticket.nonce)
    assert await let_in(same, process) is session
    await process.close()


class Unreachable(SlowStore):
    """Does not answer to one verb, though it may have done what it was asked for."""

    def __init__(self, verb: str, *, done: bool) -> None:
        super().__init__(7)
        self.verb, self.done = verb, done

    async def _slowly(self, verb: Any) -> Any:
        if verb.__name__ != self.verb:
            return await super()._slowly(verb)
        if self.done:
            await verb
        verb.close()
        await self.pause()
        raise StoreUnreachableError


@pytest.mark.parametrize("verb", ["take", "count", "claim"])
@pytest.mark.parametrize("done", [False, True])
def test_without_a_store_nobody_is_let_in_and_nothing_stays_used(verb: str, done: bool) -> None:
    time = VirtualTime()

    async def main() -> None:
        store = Unreachable(verb, done=done)
        process = Process(store, clock=time)
        answer = await Caller(token_of(max_sessions=1)).come(process)
        assert isinstance(answer, Refused)
        assert (answer.code, answer.retry_after_ms) == (wire.ErrorCode.ERROR_CODE_CAPACITY, 1000)
        assert process.idle
        assert len(process.registry) == 0
        if verb not in ("take", "claim"):  # those are what gives back
            assert len(store) == store.places_of("ada") == 0
            assert not store.is_used("token-of-ada")
        store.verb = ""
        if not done:
            await let_in(Caller(token_of(max_sessions=1)), process)
        await process.close()

    time.run(main())


@in_virtual_time
async def test_without_a_store_who_comes_back_is_asked_to_come_again(time: VirtualTime) -> None:
    process = Process(Unreachable("locate", done=False), clock=time)
    back = Caller(back=wire.Welcome(session_id="other.never", resume_token=bytes(16)))
    answer = await back.come(process)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.retry_after_ms) == (wire.ErrorCode.ERROR_CODE_CAPACITY, 1000)
    await process.close()


@in_virtual_time
async def test_without_a_store_who_needs_no_token_begins_once_and_is_entered_later(
    time: VirtualTime,
) -> None:
    store = Away()
    process = Process(store, key="", clock=time)
    process.directory.begin()
    caller = Caller()
    session = await let_in(caller, process)
    again = Caller(nonce=caller.ticket.nonce)
    assert await let_in(again, process) is session
    assert len(store) == 0
    store.away = False
    await time.advance(BEAT_MS + 100)
    located = await store.locate(session.id)
    assert located is not None and located.owner == process.registry.name
    await process.close()


class Away(LocalStore):
    """Cannot be reached at first."""

    def __init__(self) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.away = True

    def __getattribute__(self, name: str) -> Any:
        verb = object.__getattribute__(self, name)
        if name in ("beat", "locate", "take", "count", "claim") and self.away:
            return self._unreachable
        return verb

    async def _unreachable(self, *_: Any, **__: Any) -> Any:
        raise StoreUnreachableError


# several processes


@in_virtual_time
async def test_a_session_of_another_process_is_told_where_it_is(time: VirtualTime) -> None:
    store = SlowStore(8)
    here, there = Process(store, clock=time), Process(store, url=OTHER.public_url, clock=time)
    await there.directory.leases.beat()
    [replica] = there.directory.leases.replicas
    caller = Caller(token_of())
    await let_in(caller, there)
    assert await Caller(back=caller.welcome).come(here) == At(replica)
    assert await Caller(token_of(), nonce=caller.ticket.nonce).come(here) == At(replica)
    assert await Caller(token_of("bob", token_id="token-of-bob"), bot="c").come(here) == Refused(
        wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, "name one of: a, b"
    )
    never = Caller(back=wire.Welcome(session_id="other.never", resume_token=bytes(16)))
    assert await never.come(here) == EXPIRED
    assert here.idle
    await there.close()
    await here.close()


@in_virtual_time
async def test_a_session_that_another_process_took_is_ended_at_the_next_beat(
    time: VirtualTime,
) -> None:
    process = Process(SlowStore(9), clock=time)
    process.directory.begin()
    process.directory.begin()
    caller = Caller(token_of())
    session = await let_in(caller, process)
    await process.store.take(session.id, of=process.registry.name, by=OTHER.name)
    await time.advance(BEAT_MS + 100)
    assert session.over
    assert not [event for event in await caller.read() if event.HasField("error")]
    assert caller.closed is not None and caller.closed[0] == 4027
    await process.close()
    located = await process.store.locate(session.id)
    assert located is not None and (located.owner, located.term) == (OTHER.name, 2)


class Beaten(LocalStore):
    """Counts what it is told, and is not there for a while."""

    def __init__(self) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.beats: list[list[str]] = []
        self.gone = 0

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        self.gone += gone
        if not gone:
            self.beats.append([held.session_id for held in sessions])
        if len(self.beats) == 2:
            raise StoreUnreachableError
        return Heard()


@in_virtual_time
async def test_a_process_beats_until_it_ends_whether_or_not_the_store_answers(
    time: VirtualTime,
) -> None:
    store = Beaten()
    process = Process(store, clock=time)
    process.directory.begin()
    session = await let_in(Caller(token_of()), process)
    await time.advance(BEAT_MS * 5 + 10)
    assert store.beats == [[]] + [[session.id]] * 5
    await process.close()
    await time.advance(BEAT_MS * 5)
    assert (len(store.beats), store.gone) == (6, 1)


# an owner that breaks


class Breaks:
    """In place of a method of the owner's: raises the first time, or always."""

    def __init__(self, work: Callable[..., Any], *, once: bool) -> None:
        self._work = work
        self._once = once
        self._calls = 0

    def __get__(self, owner: object, _: type) -> Callable[..., Any]:
        return partial(self, owner)

    def __call__(self, owner: object, *args: Any) -> Any:
        self._calls += 1
        if self._calls > 1 and self._once:
            return self._work(owner, *args)
        raise RuntimeError("secret")


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize(
    ("part", "method"),
    [(SessionIce, "start"), (BotTask, "stop"), (Session, "_release")],
    ids=["at the begin", "at the end of the bot", "while it is taken down"],
)
def test_an_owner_that_crashes_ends_its_session_with_a_typed_error(
    part: type, method: str, once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = VirtualTime()

    async def main() -> None:
        process = Process(SlowStore(10), clock=time)
        caller = Caller(token_of(max_sessions=1))
        with monkeypatch.context() as patch:
            patch.setattr(part, method, Breaks(getattr(part, method), once=once))
            session = await let_in(caller, process)
            await time.settle()
            session.end(wire.EndReason.END_REASON_CLIENT)
            events = await caller.read()
            await session.ended.wait()
        told = [event.error for event in events if event.HasField("error")]
        if method != "_release":  # otherwise the farewell was said before
            [error] = told
            assert (error.code, error.fatal) == (wire.ErrorCode.ERROR_CODE_INTERNAL, True)
            assert error.action == wire.RecoveryAction.RECOVERY_ACTION_RECONNECT
            assert "secret" not in error.reason
        assert events[-1].HasField("session_ended")
        assert caller.closed is not None
        assert caller.closed[0] == 4000 + wire.ErrorCode.ERROR_CODE_INTERNAL
        await time.advance(1000)
        assert process.idle
        assert len(process.registry) == len(process.store) == 0
        assert len(session.tasks) == 0
        another = token_of(token_id="another-token", max_sessions=1)
        await let_in(Caller(another), process)
        await process.close()

    time.run(main())


@in_virtual_time
async def test_a_use_of_a_token_is_bound_to_attach_and_session(time: VirtualTime) -> None:
    process = Process(SlowStore(11), clock=time)
    caller = Caller(token_of())
    session = await let_in(caller, process)
    used = json.loads(await process.store.claim("token/token-of-ada", until_s=NOW_S + 300))
    assert used["session"] == session.id
    assert used["attach"] == hashlib.sha256(caller.ticket.nonce).hexdigest()
    await process.close()


class Forgetful(LocalStore):
    """Enters again with a beat what it has forgotten, as it may, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.beats: list[list[str]] = []
        self.fails = False

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        self.beats.append([held.session_id for held in sessions])
        if self.fails:
            raise RuntimeError("a fault of the store")
        return await super().beat(me, sessions, gone=gone)


@in_virtual_time
async def test_a_session_that_is_ending_is_not_entered_again(time: VirtualTime) -> None:
    store = Forgetful()
    process = Process(clock=time, store=store)
    process.directory.begin()
    session = await let_in(Caller(token_of()), process)
    await time.advance(BEAT_MS)
    assert store.beats[-1] == [session.id]
    session.end(wire.EndReason.END_REASON_BOT)
    await process.directory.leases.beat()
    assert session.id in [other.id for other in process.registry]
    assert store.beats[-1] == []
    await process.close()


@in_virtual_time
async def test_a_beat_that_fails_is_not_the_last(time: VirtualTime) -> None:
    store = Forgetful()
    process = Process(clock=time, store=store)
    process.directory.begin()
    store.fails = True
    await time.advance(10 * BEAT_MS)
    assert len(store.beats) >= 9
    await process.close()
