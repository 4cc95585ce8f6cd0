"""Our Python client with a bot of Pipecat's own runner, unmodified, over both of its carriers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.support.following import Following, following
from tests.support.pace import SLOW
from tests.support.stock_bots import StockBotProcess, stock_bot
from tests.support.waiting import LONG
from voxwire.rtvi import PipecatBot
from voxwire.testing import FakeMicrophone

LOUD = 500
ATTEMPTS = 4
MISSED = "did not catch"
LATER = "yellow coat"
"""What the story comes to after three quarters of a minute."""


async def on_both(
    held: Callable[[str], Awaitable[None]], *, at_once: int = 1 if SLOW else 2
) -> None:
    """The same over both carriers, side by side: it is the bot's speech that takes the time."""
    free = asyncio.Semaphore(at_once)

    async def hold(transport: str) -> None:
        async with free:
            await held(transport)

    async with asyncio.TaskGroup() as group:
        for transport in ("webrtc", "websocket"):
            group.create_task(hold(transport), name=transport)


@asynccontextmanager
async def talking(
    runner: StockBotProcess, transport: str, **options: Any
) -> AsyncIterator[tuple[voxwire.Session, Following]]:
    """A session with the bot of the runner, and what happens in it."""
    options = {
        "peer": PipecatBot(start=True),
        "timeouts": LONG,
        **options,
    }
    try:
        async with (
            voxwire.connect(runner.url, transport=transport, **options) as session,
            following(session) as heard,
        ):
            yield session, heard
    except BaseException:
        print(f"over {transport}:\n{runner.log}")
        raise


async def test_a_conversation(runner: StockBotProcess, voices: dict[str, np.ndarray]) -> None:
    async def hold(transport: str) -> None:
        shown: list[str] = []

        def show_on_map(place: str) -> dict[str, str]:
            """Show a place."""
            shown.append(place)
            return {"shown": place}

        options: dict[str, Any] = {
            "microphone": (microphone := FakeMicrophone()),
            "speaker": (speaker := voxwire.Recording()),
            "tools": [voxwire.tool(show_on_map)],
        }
        async with talking(runner, transport, **options) as (session, heard):
            assert (session.transport, session.connection) == (transport, "connected")
            assert session.id
            await heard.until(lambda: "Hello, I" in heard.spoken())
            await _has_a_tool_here(heard, microphone, voices)
            assert shown == ["Paris"]
            await _is_cut_off_by_voice(session, heard, microphone, voices)
            await _answers_messages_and_keys(session, heard)
            await _remembers(session, heard)
            await session.close()
            await heard.to_the_end()
        _ended_in_order(heard)
        assert np.abs(speaker.samples.astype(np.int32)).max() > LOUD

    await on_both(hold)


async def _has_a_tool_here(
    heard: Following, microphone: FakeMicrophone, voices: dict[str, np.ndarray]
) -> None:
    """Spoken over the greeting: that stops, and a tool runs in this process."""
    at = len(heard.events)
    microphone.play(voices["show Paris on the map"])
    await heard.until(lambda: "map: Paris." in heard.spoken(since=at))
    said = heard.of(voxwire.UserTranscript, since=at)
    assert [e.text for e in said if e.final] == ["show paris on the map"]
    assert any(not e.final for e in said)
    assert len({e.transcript_id for e in said}) == 1
    [call] = heard.of(voxwire.ToolCallEnded, since=at)
    assert (call.name, call.outcome) == ("show_on_map", voxwire.ToolOutcome.DONE)
    assert call.result == {"shown": "Paris"}
    cut = heard.of(voxwire.UtteranceEnded, since=at)[0]
    assert cut.end == voxwire.UtteranceEnd.INTERRUPTED
    assert heard.of(voxwire.Interrupted, since=at)
    assert heard.of(voxwire.Flushed, since=at)


async def _is_cut_off_by_voice(
    session: voxwire.Session,
    heard: Following,
    microphone: FakeMicrophone,
    voices: dict[str, np.ndarray],
) -> None:
    """A long answer stops for a question, which a tool of the bot answers."""
    at = len(heard.events)
    await session.send_text("tell me a long story")
    await heard.until(lambda: "upon a" in heard.spoken(since=at))

    def is_answered() -> bool:
        return "In London" in heard.spoken(since=at)

    def is_missed(times: int) -> bool:
        return is_answered() or heard.spoken(since=at).count(MISSED) >= times

    for times in range(1, ATTEMPTS + 1):  # on a busy machine a microphone stumbles: say it again
        microphone.play(voices["what is the weather in London"])
        await heard.until(partial(is_missed, times))
        if is_answered():
            break
    assert is_answered()
    assert LATER not in heard.spoken(since=at)
    [weather] = heard.of(voxwire.ToolCallStarted, since=at)
    asked = {"city": "London", "day": "today"}
    assert (weather.name, weather.arguments) == ("get_weather", asked)


async def _answers_messages_and_keys(session: voxwire.Session, heard: Following) -> None:
    at = len(heard.events)
    await session.send_message("hello", {"n": 1}, request_id="r1")
    await session.send_message("fail", request_id="r2")
    await session.send_message("announce", {"t": "news", "d": [1, None]})
    await session.send_message("dtmf", {"digits": "12#"})
    await heard.until(lambda: heard.told("hello", since=at) and heard.told("news", since=at))
    [answer], [news] = heard.told("hello", since=at), heard.told("news", since=at)
    assert (answer.request_id, answer.response) == ("r1", True)
    assert answer.data["asked"] == {"n": 1}
    assert news.data == [1, None]
    await heard.until(lambda: heard.of(voxwire.ErrorEvent, since=at))
    assert heard.of(voxwire.ErrorEvent, since=at)[0].subject_id == "r2"
    keys = "DTMF: 12#"
    await heard.until(
        lambda: any(e.text == keys for e in heard.of(voxwire.UserTranscript, since=at))
    )


async def _remembers(session: voxwire.Session, heard: Following) -> None:
    at = len(heard.events)
    await session.send_text("my name is Alice")
    await heard.until(lambda: "meet you, Alice." in heard.spoken(since=at))
    await session.send_text("what is my name")
    await heard.until(lambda: "name is Alice." in heard.spoken(since=at))


def _ended_in_order(heard: Following) -> None:
    """What must hold of every session with a stock bot."""
    assert heard.error is None
    assert isinstance(heard.events[0], voxwire.SessionStarted)
    assert isinstance(ended := heard.events[-1], voxwire.SessionEnded)
    assert ended.reason == voxwire.EndReason.CLIENT
    states = {event.bot for event in heard.of(voxwire.StateChanged)}
    assert {voxwire.BotState.SPEAKING, voxwire.BotState.LISTENING} <= states
    words = heard.of(voxwire.BotWord)
    assert {word.source for word in words} == {voxwire.TimingSource.ARRIVAL}
    assert all(word.start_ms == word.end_ms for word in words)
    positions = [word.start_ms for word in words]
    assert positions == sorted(positions)
    sources = {event.heard_source for event in heard.of(voxwire.UtteranceEnded)}
    assert sources == {voxwire.HeardSource.UNKNOWN}


async def test_what_it_cannot_do_is_said_and_nothing_is_made_up(runner: StockBotProcess) -> None:
    async def hold(transport: str) -> None:
        async with talking(runner, transport) as (session, heard):
            reconnects = {voxwire.Feature.RECONNECT} if transport == "webrtc" else set()
            assert session.features == reconnects
            assert session.round_trip_ms is None
            await heard.until(lambda: heard.of(voxwire.BotWord))
            with pytest.raises(voxwire.UsageError) as refused:
                await session.interrupt()
            assert refused.value.code == voxwire.ErrorCode.UNSUPPORTED
            await heard.until(lambda: "concierge" in heard.spoken())
        assert not heard.of(voxwire.UserTranscript)

    await on_both(hold)


async def test_a_muted_user_is_not_heard(
    runner: StockBotProcess, voices: dict[str, np.ndarray]
) -> None:
    async def hold(transport: str) -> None:
        microphone = FakeMicrophone()
        async with talking(runner, transport, microphone=microphone) as (session, heard):
            await session.mute()
            await microphone.play(voices["tell me a joke"]).wait()
            await session.send_text("what is my name")
            await heard.until(lambda: "Alice." in heard.spoken())
            assert [e.typed for e in heard.of(voxwire.UserTranscript)] == [True]
            await session.mute(False)
            microphone.play(voices["tell me a joke"])
            await heard.until(lambda: heard.of(voxwire.ToolCallStarted))
            assert [e.typed for e in heard.of(voxwire.UserTranscript) if e.final] == [True, False]

    await on_both(hold)


async def test_a_lost_connection_comes_back_and_the_bot_has_noticed_nothing(
    runner: StockBotProcess,
) -> None:
    async with talking(runner, "webrtc") as (session, heard):
        await session.send_text("my name is Alice")
        await heard.until(lambda: "meet you," in heard.spoken())
        at = len(heard.events)
        session.simulate.drop_control()  # in mid-sentence
        await session.send_text("what is my name")  # waits for the connection
        await heard.until(lambda: "name is Alice." in heard.spoken(since=at))
        states = [event.state for event in heard.of(voxwire.ConnectionChanged, since=at)]
        assert states == ["reconnecting", "connected"]
        assert heard.of(voxwire.PathChanged, since=at)
        assert heard.of(voxwire.EventsSkipped) == [voxwire.EventsSkipped(0)]
        cut, *_ = heard.of(voxwire.UtteranceEnded, since=at)
        assert cut.end == voxwire.UtteranceEnd.INTERRUPTED
    assert "Reusing existing connection" in runner.log_path.read_text()


async def test_a_lost_websocket_is_the_end_and_says_why(runner: StockBotProcess) -> None:
    async with talking(runner, "websocket") as (session, heard):
        session.simulate.drop_control()
        await heard.to_the_end()
    assert heard.error is not None
    assert heard.error.code == voxwire.ErrorCode.CONNECTION_LOST


async def test_without_resume_a_lost_connection_is_the_end_everywhere(
    runner: StockBotProcess,
) -> None:
    async with talking(runner, "webrtc", resume=False) as (session, heard):
        assert session.features == frozenset()
        session.simulate.drop_media()
        await heard.to_the_end()
    assert heard.error is not None
    assert heard.error.code == voxwire.ErrorCode.CONNECTION_LOST


async def test_a_socket_without_the_token_that_it_wants_is_refused(
    runner: StockBotProcess,
) -> None:
    with pytest.raises(voxwire.SessionError) as refused:
        async with voxwire.connect(runner.url, peer=PipecatBot(), transport="websocket"):
            pass
    assert refused.value.code == voxwire.ErrorCode.FORBIDDEN


async def test_metadata_is_the_body_that_the_bot_finds(runner: StockBotProcess) -> None:
    options: dict[str, Any] = {"metadata": {"plan": "gold"}, "token": "a.b.c"}
    async with talking(runner, "webrtc", peer=PipecatBot(), **options) as (session, heard):
        await session.send_message("hello", request_id="r")
        await heard.until(lambda: heard.told("hello"))
        [answer] = heard.told("hello")
        assert answer.data["body"] == {"plan": "gold"}


async def test_a_bot_that_is_killed_ends_its_sessions_with_the_reason() -> None:
    async with stock_bot() as doomed:

        async def hold(transport: str) -> None:
            peer = PipecatBot()  # a runner that asks for no token, without a start
            async with talking(doomed, transport, peer=peer) as (_, heard):
                await heard.until(lambda: heard.of(voxwire.BotWord))
                ready.append(transport)
                if len(ready) == 2:
                    doomed.kill()
                await heard.to_the_end()
            assert heard.error is not None
            code = {
                "webrtc": voxwire.ErrorCode.SESSION_EXPIRED,
                "websocket": voxwire.ErrorCode.CONNECTION_LOST,
            }[transport]
            assert heard.error.code == code
            assert ("process is gone" in heard.error.reason) is (transport == "webrtc")
            assert not heard.of(voxwire.SessionEnded)

        ready: list[str] = []
        await on_both(hold, at_once=2)  # one waits for the other
