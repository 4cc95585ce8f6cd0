"""Readers beside each other: who takes which event, and what a program's function may do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire._dispatcher import Dispatcher
from voxwire._events import MAX_QUEUED
from voxwire.testing import FakeServer, FakeSession, VirtualTime


async def three_words(session: FakeSession) -> None:
    await session.text()
    await session.say("one two three")


def words(events: list[Any]) -> list[str]:
    return [it.text for it in events if isinstance(it, voxwire.BotWord)]


@virtual
async def test_waiting_takes_nothing_from_a_loop_that_is_busy_with_an_event() -> None:
    async with FakeServer(three_words) as server, session_of(server) as session:
        seen: list[voxwire.Event] = []

        async def read() -> None:
            async for event in session:
                seen.append(event)
                await asyncio.sleep(0.2)  # events queue up meanwhile

        reading = asyncio.create_task(read())
        await session.send_text("go")
        word = await session.wait_for(voxwire.BotWord)
        assert (await session.wait_for(voxwire.UtteranceEnded)).end == "completed"
        await reading
    assert word.text == "one"
    assert words(seen) == ["one", "two", "three"]
    assert isinstance(seen[-1], voxwire.SessionEnded)


@virtual
async def test_a_loop_may_begin_while_another_task_waits() -> None:
    async with FakeServer(three_words) as server, session_of(server) as session:
        waiting = asyncio.create_task(session.wait_for(voxwire.UtteranceEnded))
        later = asyncio.create_task(session.wait_for(voxwire.SessionEnded))
        await asyncio.sleep(0.1)
        await session.send_text("go")
        seen = [event async for event in session]
        assert words(seen) == ["one", "two", "three"]
        assert (await waiting).end == "completed"
        assert (await later).reason == voxwire.EndReason.BOT


@virtual
async def test_what_was_waited_for_in_vain_is_still_there_to_be_read() -> None:
    async with FakeServer(three_words) as server, session_of(server) as session:
        with pytest.raises(voxwire.TransportError):
            await session.wait_for(voxwire.Interrupted, timeout_ms=100)
        await session.send_text("go")
        await session.wait_for(voxwire.UtteranceEnded)
        assert isinstance(await session.wait_for(voxwire.SessionEnded), voxwire.SessionEnded)
        assert [event async for event in session] == []


@virtual
async def test_a_loop_that_was_left_does_not_keep_the_events_from_who_waits() -> None:
    async with FakeServer(three_words) as server, session_of(server) as session:
        await session.send_text("go")
        async for event in session:
            if isinstance(event, voxwire.UtteranceStarted):
                break
        await asyncio.sleep(2)
        word = await asyncio.create_task(session.wait_for(voxwire.BotWord))
        assert word.text == "one"
        assert (await session.wait_for(voxwire.BotWord)).text == "two"


@virtual
async def test_a_failure_is_raised_at_the_end_though_an_async_function_listens() -> None:
    async def note(event: voxwire.Event) -> None:
        return

    async with FakeServer() as server:
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, resume=False) as session:
                session.on(object, note)
                server.session.drop()
                await asyncio.sleep(1)


@virtual
async def test_a_function_that_was_taken_off_is_not_called_any_more() -> None:
    called: list[str] = []
    off: list[Callable[[], None]] = []

    async def slowly(event: voxwire.BotWord) -> None:
        called.append(event.text)
        await asyncio.sleep(3)

    async with FakeServer(three_words) as server, session_of(server) as session:
        session.on(voxwire.BotWord, lambda _: off[0]())
        off.append(session.on(voxwire.BotWord, lambda _: pytest.fail("it was taken off")))
        off_slow = session.on(voxwire.BotWord, slowly)
        await session.send_text("go")
        await session.wait_for(voxwire.UtteranceEnded)
        off_slow()
        await asyncio.sleep(4)
    assert called == ["one"]


@virtual
async def test_what_a_plain_function_returns_is_awaited_in_order() -> None:
    async with FakeServer(three_words) as server, session_of(server) as session:
        done: list[str] = []

        async def note(text: str) -> None:
            await asyncio.sleep(0.3 if text == "one" else 0)
            done.append(text)

        session.on(voxwire.BotWord, lambda event: note(event.text))
        await session.send_text("go")
        await session.wait_for(voxwire.SessionEnded)
    assert done == ["one", "two", "three"]


async def _cancelled_wait(event: Any) -> None:
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()
    await gone


def _cancelled_result(event: Any) -> None:
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()
    gone.result()


@pytest.mark.parametrize("function", [_cancelled_wait, _cancelled_result])
@virtual
async def test_a_function_that_meets_something_cancelled_has_failed_and_no_more(
    caplog: pytest.LogCaptureFixture, function: Callable[[Any], Awaitable[None] | None]
) -> None:
    with caplog.at_level(logging.ERROR, logger="voxwire"):
        async with FakeServer(three_words) as server, session_of(server) as session:
            session.on(voxwire.BotWord, function)
            await session.send_text("go")
            seen = [event async for event in session]
    assert isinstance(seen[-1], voxwire.SessionEnded)
    assert [it.message for it in caplog.records] == ["a handler of BotWord failed"] * 3


@virtual
async def test_a_slow_function_gets_what_it_asked_for_and_the_newest_of_it(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []

    async def slowly(event: voxwire.GoingAway) -> None:
        await asyncio.sleep(0.001)
        got.append(event)

    dispatcher = Dispatcher(lambda _: None)
    dispatcher.on((voxwire.GoingAway,), slowly)
    for number in range(MAX_QUEUED + 10):
        dispatcher.put(voxwire.GoingAway("", number))
    dispatcher.close()
    await dispatcher.finish()
    assert {type(event) for event in got} == {voxwire.GoingAway}
    assert got[0] != voxwire.GoingAway("", 0)
    assert len(caplog.records) == 1
