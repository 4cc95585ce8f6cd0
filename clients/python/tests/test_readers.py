"""Several readers of one session: each hears what it asked for, and none waits for another."""

import asyncio
import gc
import logging
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, VirtualTime


async def two_sentences(session: FakeSession) -> None:
    await session.text()
    await session.say("one two")
    await session.say("three")


async def told(server: FakeServer, session: voxwire.Session) -> list[voxwire.Event]:
    await session.send_text("go")
    return [event async for event in session]


@virtual
async def test_each_stream_has_what_it_asked_for_in_order() -> None:
    async with FakeServer(two_sentences) as server, session_of(server) as session:
        words = session.events(voxwire.BotWord)
        ends = session.events(voxwire.UtteranceEnded, voxwire.SessionEnded)
        every = session.events()
        whole = await told(server, session)
        assert [it.text async for it in words] == ["one", "two", "three"]
        assert [type(it).__name__ async for it in ends] == [
            *("UtteranceEnded", "UtteranceEnded", "SessionEnded"),
        ]
        rest = [event async for event in every]
        assert whole[-len(rest) :] == rest
        assert len(rest) > 10


@virtual
async def test_a_stream_begins_when_it_is_made_and_ends_when_it_is_closed() -> None:
    async def bot(session: FakeSession) -> None:
        for number in ("first", "second", "third"):
            await session.text()
            await session.say(number)

    async with FakeServer(bot) as server, session_of(server) as session:
        await session.send_text("go")
        await session.wait_for(voxwire.UtteranceEnded)
        words = session.events(voxwire.BotWord)
        await session.send_text("go")
        assert (await anext(words)).text == "second"
        await session.wait_for(voxwire.UtteranceEnded)
        words.close()
        await session.send_text("go")
        await session.wait_for(voxwire.UtteranceEnded)
        assert [it.text async for it in words] == []


@virtual
async def test_a_stream_that_nobody_holds_keeps_nothing() -> None:
    async with FakeServer(two_sentences) as server, session_of(server) as session:
        await session.send_text("go")
        async for _ in session.events(voxwire.ConnectionChanged, voxwire.BotWord):
            break
        session.events()
        gc.collect()
        assert len(session._runtime.events._streams) == 0
        await session.close()


@virtual
async def test_waiting_beside_a_reader_sees_what_happens_from_now_on() -> None:
    async with FakeServer(two_sentences) as server, session_of(server) as session:
        reading = asyncio.create_task(told(server, session))
        await asyncio.sleep(0)
        word = await session.wait_for(voxwire.BotWord)
        assert word.text == "one"
        assert (await session.wait_for(voxwire.SessionEnded)).reason == voxwire.EndReason.BOT
        whole = await reading
        assert [it.text for it in whole if isinstance(it, voxwire.BotWord)] == [
            "one",
            "two",
            "three",
        ]


@virtual
async def test_functions_are_called_with_what_they_asked_for() -> None:
    plain: list[str] = []
    slow: list[str] = []
    everything: list[str] = []

    async def slowly(event: voxwire.BotWord) -> None:
        await asyncio.sleep(0.05)
        slow.append(event.text)

    async with FakeServer(two_sentences) as server, session_of(server) as session:
        off = session.on(voxwire.BotWord, lambda event: plain.append(event.text))
        session.on(voxwire.BotWord, slowly)
        session.on(object, lambda event: everything.append(type(event).__name__))
        session.on((voxwire.Interrupted, voxwire.UtteranceEnded), lambda _: off())
        await told(server, session)
    assert plain == ["one", "two"]  # until the first utterance ended
    assert slow == ["one", "two", "three"]  # one after the other, the last within the end's moment
    assert everything[-1] == "SessionEnded"


@virtual
async def test_a_function_that_raises_is_logged_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails(event: voxwire.BotWord) -> None:
        raise LookupError(event.index)

    def fails_at_once(event: voxwire.BotWord) -> None:
        raise LookupError(event.index)

    with caplog.at_level(logging.ERROR, logger="voxwire"):
        async with FakeServer(two_sentences) as server, session_of(server) as session:
            session.on(voxwire.BotWord, fails)
            session.on(voxwire.BotWord, fails_at_once)
            whole = await told(server, session)
    assert isinstance(whole[-1], voxwire.SessionEnded)
    assert [it.message for it in caplog.records] == ["a handler of BotWord failed"] * 6


@virtual
async def test_a_function_that_never_ends_does_not_keep_the_session(time: VirtualTime) -> None:
    async def hangs(event: Any) -> None:
        await asyncio.Event().wait()

    async with FakeServer(two_sentences) as server, session_of(server) as session:
        session.on(voxwire.StateChanged, hangs)
        await told(server, session)
        before = time.now_ms()
    assert time.now_ms() - before <= 1500


@virtual
async def test_a_function_may_end_the_session(time: VirtualTime) -> None:
    over = asyncio.Event()

    async with FakeServer(two_sentences) as server, session_of(server) as session:

        async def leave(event: voxwire.BotWord) -> None:
            await session.close()
            over.set()

        session.on(voxwire.BotWord, leave)
        await session.send_text("go")
        started = time.now_ms()
        await over.wait()
        assert time.now_ms() - started < 1500
        assert [it.text async for it in session.events(voxwire.BotWord)] == []


@virtual
async def test_a_failure_is_told_to_every_reader_and_raised_once_more_by_nobody() -> None:
    async with FakeServer() as server:
        async with session_of(server, resume=False) as session:
            stream = session.events()
            server.session.drop()
            with pytest.raises(voxwire.TransportError):
                async for _ in stream:
                    pass
            with pytest.raises(voxwire.TransportError):
                async for _ in session:
                    pass
            with pytest.raises(voxwire.TransportError):
                async for _ in session.events():
                    pass


@virtual
async def test_a_failure_that_nobody_read_is_raised_at_the_end() -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, resume=False) as session:
                session.events()
                session.on(object, lambda _: None)
                server.session.drop()
                await asyncio.sleep(1)
