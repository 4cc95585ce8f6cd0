"""Our Python client with a bot of Pipecat's own runner, unmodified, over both of its carriers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.support.following import Following, following
from tests.support.stock_bots import StockBotProcess
from voxwire.rtvi import PipecatBot
from voxwire.testing import FakeMicrophone

TRANSPORTS = ["webrtc", "websocket"]
LOUD = 500


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Every test that asks for it runs on both carriers."""
    return str(request.param)


@asynccontextmanager
async def talking(
    runner: StockBotProcess, transport: str, **options: Any
) -> AsyncIterator[tuple[voxwire.Session, Following]]:
    """A session with the bot of the runner, and what happens in it."""
    peer = PipecatBot(start=True)
    try:
        async with (
            voxwire.connect(
                runner.url, peer=peer, transport=transport, connect_timeout=60, **options
            ) as session,
            following(session) as heard,
        ):
            yield session, heard
    except BaseException:
        print(runner.log)
        raise


async def test_a_conversation(
    runner: StockBotProcess, transport: str, voices: dict[str, np.ndarray]
) -> None:
    """Ready, transcripts, words, tools here and there, barge-in, keys, messages, memory, bye."""
    shown: list[str] = []

    def show_on_map(place: str) -> dict[str, str]:
        """Show a place."""
        shown.append(place)
        return {"shown": place}

    microphone, speaker = FakeMicrophone(), voxwire.Recording()
    options: dict[str, Any] = {
        "microphone": microphone,
        "speaker": speaker,
        "tools": [voxwire.tool(show_on_map)],
    }
    async with talking(runner, transport, **options) as (session, heard):
        assert session.transport == transport
        assert session.id
        await heard.until(lambda: "Hello, I am" in heard.spoken())

        # spoken over the greeting: it stops, and a tool runs in this process
        at = len(heard.events)
        microphone.play(voices["show Paris on the map"])
        await heard.until(lambda: "map: Paris." in heard.spoken(since=at))
        said = [e.text for e in heard.of(voxwire.UserTranscript, since=at) if e.final]
        assert said == ["show paris on the map"]
        assert any(not e.final for e in heard.of(voxwire.UserTranscript, since=at))
        assert shown == ["Paris"]
        [call] = heard.of(voxwire.ToolCallEnded, since=at)
        assert (call.outcome, call.result) == (voxwire.ToolOutcome.DONE, {"shown": "Paris"})
        cut = heard.of(voxwire.UtteranceEnded, since=at)[0]
        assert cut.end == voxwire.UtteranceEnd.INTERRUPTED
        assert heard.of(voxwire.Interrupted, since=at)
        assert heard.of(voxwire.Flushed, since=at)

        # typed; a barge-in by voice; a tool of the bot
        at = len(heard.events)
        await session.send_text("tell me a long story")
        await heard.until(lambda: "upon a time" in heard.spoken(since=at))
        microphone.play(voices["what is the weather in London"])
        await heard.until(lambda: "In London" in heard.spoken(since=at))
        assert "listen to the gulls" not in heard.spoken(since=at)
        [weather] = heard.of(voxwire.ToolCallStarted, since=at)
        assert (weather.name, weather.arguments) == (
            "get_weather",
            {"city": "London", "day": "today"},
        )

        # messages of the application and keys
        at = len(heard.events)
        await session.send_message("hello", {"n": 1}, request_id="r1")
        await session.send_message("fail", request_id="r2")
        await session.send_message("announce", {"t": "news", "d": [1, None]})
        await session.send_message("dtmf", {"digits": "12#"})
        await heard.until(lambda: heard.told("hello", since=at) and heard.told("news", since=at))
        await heard.until(lambda: heard.of(voxwire.ErrorEvent, since=at))
        [answer], [news] = heard.told("hello", since=at), heard.told("news", since=at)
        assert (answer.request_id, answer.response) == ("r1", True)
        assert answer.data["asked"] == {"n": 1}
        assert news.data == [1, None]
        assert heard.of(voxwire.ErrorEvent, since=at)[0].subject_id == "r2"
        await heard.until(
            lambda: any("12#" in e.text for e in heard.of(voxwire.UserTranscript, since=at))
        )

        # memory over turns
        at = len(heard.events)
        await session.send_text("my name is Alice")
        await heard.until(lambda: "meet you, Alice." in heard.spoken(since=at))
        await session.send_text("what is my name")
        await heard.until(lambda: "name is Alice." in heard.spoken(since=at))

        await session.close()
        await heard.to_the_end()

    assert heard.error is None
    assert isinstance(heard.events[0], voxwire.SessionStarted)
    assert isinstance(ended := heard.events[-1], voxwire.SessionEnded)
    assert ended.reason == voxwire.EndReason.CLIENT
    states = {event.bot for event in heard.of(voxwire.StateChanged)}
    assert {voxwire.BotState.SPEAKING, voxwire.BotState.IDLE} <= states
    assert np.abs(speaker.samples.astype(np.int32)).max() > LOUD


async def test_what_it_cannot_do_is_said_and_nothing_is_made_up(
    runner: StockBotProcess, transport: str
) -> None:
    async with talking(runner, transport) as (session, heard):
        reconnects = {voxwire.Feature.RECONNECT} if transport == "webrtc" else set()
        assert session.features == reconnects
        with pytest.raises(voxwire.UsageError) as refused:
            await session.interrupt()
        assert refused.value.code == voxwire.ErrorCode.UNSUPPORTED
        await heard.until(lambda: "concierge" in heard.spoken())
        at = len(heard.events)
        await session.send_text("tell me a long story")
        await heard.until(lambda: heard.of(voxwire.UtteranceEnded, since=at))
        await heard.until(lambda: "time," in heard.spoken(since=at))
        assert session.round_trip_ms is None
    words = heard.of(voxwire.BotWord)
    assert {word.source for word in words} == {voxwire.TimingSource.ARRIVAL}
    assert all(word.start_ms == word.end_ms for word in words)
    sources = {event.heard_source for event in heard.of(voxwire.UtteranceEnded)}
    assert sources == {voxwire.HeardSource.UNKNOWN}


async def test_a_muted_user_is_not_heard(
    runner: StockBotProcess, transport: str, voices: dict[str, np.ndarray]
) -> None:
    microphone = FakeMicrophone()
    async with talking(runner, transport, microphone=microphone) as (session, heard):
        await heard.until(lambda: "concierge" in heard.spoken())
        await session.mute()
        await microphone.play(voices["tell me a joke"]).wait()
        await session.send_text("what is my name")
        await heard.until(lambda: "Alice." in heard.spoken())
        assert [e.typed for e in heard.of(voxwire.UserTranscript)] == [True]
        await session.mute(False)
        microphone.play(voices["tell me a joke"])
        await heard.until(lambda: heard.of(voxwire.ToolCallStarted))
        assert [e.typed for e in heard.of(voxwire.UserTranscript) if e.final] == [True, False]


async def test_a_lost_connection_comes_back_and_the_bot_has_noticed_nothing(
    runner: StockBotProcess,
) -> None:
    async with talking(runner, "webrtc") as (session, heard):
        await heard.until(lambda: "concierge" in heard.spoken())
        await session.send_text("my name is Alice")
        await heard.until(lambda: "Alice." in heard.spoken())
        at = len(heard.events)
        session.simulate.drop_control()
        await heard.until(lambda: heard.of(voxwire.PathChanged, since=at))
        states = [event.state for event in heard.of(voxwire.ConnectionChanged, since=at)]
        assert states == [
            voxwire.ConnectionState.RECONNECTING,
            voxwire.ConnectionState.CONNECTED,
        ]
        await session.send_text("what is my name")
        await heard.until(lambda: "name is Alice." in heard.spoken(since=at))
    assert "Reusing existing connection" in runner.log_path.read_text()


async def test_a_lost_websocket_is_the_end_and_says_why(runner: StockBotProcess) -> None:
    async with talking(runner, "websocket") as (session, heard):
        await heard.until(lambda: heard.of(voxwire.BotWord))
        session.simulate.drop_control()
        await heard.to_the_end()
        assert heard.error is not None
        assert heard.error.code == voxwire.ErrorCode.CONNECTION_LOST


async def test_a_socket_without_the_token_that_it_wants_is_refused(
    runner: StockBotProcess,
) -> None:
    connection = voxwire.connect(runner.url, peer=PipecatBot(), transport="websocket")
    with pytest.raises(voxwire.VoxwireError) as refused:
        async with connection:
            pass
    assert refused.value.code in (voxwire.ErrorCode.FORBIDDEN, voxwire.ErrorCode.UNAUTHORIZED)


async def test_metadata_is_the_body_that_the_bot_finds(runner: StockBotProcess) -> None:
    options: dict[str, Any] = {"metadata": {"plan": "gold"}, "token": "a.b.c"}
    connection = voxwire.connect(runner.url, peer=PipecatBot(), transport="webrtc", **options)
    async with connection as session, following(session) as heard:
        await session.send_message("hello", request_id="r")
        await heard.until(lambda: heard.told("hello"))
        [answer] = heard.told("hello")
        assert answer.data["body"] == {"plan": "gold"}
