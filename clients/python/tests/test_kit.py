"""The test kit: a conversation in a moment, devices that say what was played when, a network."""

import asyncio
import subprocess
import sys
import time as machine
from typing import Any

import numpy as np
import pytest
from virtual import Log, session_of, virtual

import voxwire
from voxwire import testing
from voxwire.testing import (
    FakeMicrophone,
    FakeServer,
    FakeSession,
    FakeSpeaker,
    Heard,
    NetworkState,
    PushSpeaker,
    SocketClosed,
    ToolAnswer,
    VirtualTime,
    loud_ms,
    onsets_ms,
    spoken_words,
    tone,
)
from voxwire_protocol import wire

PUBLIC = [
    "AsyncVoiceSession",
    "Clock",
    "Dial",
    "Environment",
    "FakeDevice",
    "FakeDevices",
    "FakeFile",
    "FakeMicrophone",
    "FakeServer",
    "FakeSession",
    "FakeSpeaker",
    "Heard",
    "Network",
    "NetworkState",
    "NothingLeftError",
    "Played",
    "PushSpeaker",
    "ScriptedBot",
    "SocketClosed",
    "Timer",
    "ToolAnswer",
    "VirtualTime",
    "VoiceSession",
    "WebSocket",
    "in_virtual_time",
    "loud_ms",
    "onsets_ms",
    "record",
    "replay",
    "running_clock",
    "spoken_words",
    "tone",
]


def test_the_public_api_is_what_it_was() -> None:
    assert testing.__all__ == PUBLIC
    assert all(hasattr(testing, name) for name in PUBLIC)


def test_the_client_does_not_bring_in_its_test_kit() -> None:
    program = "import sys, voxwire; print([n for n in sys.modules if n.startswith('voxwire.test')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@voxwire.tool(timeout_ms=5000)
async def weather(place: str) -> str:
    """The weather of a place.

    Args:
        place: A city.
    """
    await asyncio.sleep(3)
    return f"sunny in {place}"


class Concierge:
    """A bot that does everything that a bot does."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answer: ToolAnswer | None = None
        self.client_said: Any = None

    async def __call__(self, session: FakeSession) -> None:
        self.heard.append(await session.say("Hello and welcome"))
        place = await session.text()
        self.answer = await session.call_tool("weather", {"place": place})
        self.heard.append(await session.say("It is sunny today and will be so tomorrow as well"))
        await session.listen("thank you")
        self.client_said = await session.message()
        self.heard.append(await session.say("Goodbye"))


async def app(url: str, microphone: FakeMicrophone, **options: Any) -> list[voxwire.Event]:
    """A program: types, interrupts by voice, has a tool, and listens to the end."""
    events: list[voxwire.Event] = []
    async with voxwire.connect(url, microphone=microphone, tools=[weather], **options) as session:
        async for event in session:
            events.append(event)
            match event:
                case voxwire.UtteranceEnded(utterance_id="u1"):
                    await session.send_text("Paris")
                case voxwire.BotWord(text="so"):
                    microphone.speak(700)
                case voxwire.UserTranscript(text="thank you"):
                    await session.send_message("done", {"stars": 5})
                case _:
                    pass
    return events


@virtual
async def test_a_whole_conversation_takes_less_than_a_second(time: VirtualTime) -> None:
    bot, microphone, speaker = Concierge(), FakeMicrophone(), FakeSpeaker()
    began_s, start_ms = machine.process_time(), time.now_ms()
    async with FakeServer(bot) as server:
        events = await app(server.url, microphone, speaker=speaker, environment=server.environment)
    assert machine.process_time() - began_s < 1
    assert time.now_ms() - start_ms > 6000
    assert [type(event).__name__ for event in events if _told(event)] == [
        *("SessionStarted", "UtteranceStarted", "UtteranceEnded", "UserTranscript"),
        *("ToolCallStarted", "ToolCallEnded", "UtteranceStarted", "Flushed", "UtteranceEnded"),
        *("Interrupted", "UserTranscript", "UtteranceStarted", "UtteranceEnded", "SessionEnded"),
    ]
    first, second, third = bot.heard
    assert first == Heard("Hello and welcome", 3, 600, False)
    assert second.text == "It is sunny today and will be so"
    assert (second.words, second.interrupted) == (8, True)
    assert third.text == "Goodbye"
    assert bot.answer == ToolAnswer(voxwire.ToolOutcome.DONE, "sunny in Paris")
    assert bot.client_said == ("done", {"stars": 5})
    assert len(speaker.onsets_ms) == 3 + 8 + 1
    assert len([event for event in events if isinstance(event, voxwire.BotWord)]) == 12
    assert loud_ms(server.session.user_samples, sample_rate=16_000) == pytest.approx(700, abs=2)
    assert speaker.closed


def _told(event: voxwire.Event) -> bool:
    quiet = (
        *(voxwire.StateChanged, voxwire.PathChanged, voxwire.BotWord, voxwire.UtteranceWords),
        *(voxwire.BotResponseStarted, voxwire.BotResponseText, voxwire.BotResponseEnded),
    )
    return not isinstance(event, quiet)


@virtual
async def test_it_is_the_same_every_time(time: VirtualTime) -> None:
    runs: list[list[Any]] = []
    for _ in range(3):
        microphone = FakeMicrophone()
        async with FakeServer(Concierge()) as server:
            events = await app(server.url, microphone, environment=server.environment)
        runs.append([event for event in events if not isinstance(event, voxwire.SessionEnded)])
    assert runs[0] == runs[1] == runs[2]


@virtual
async def test_a_word_fires_in_the_millisecond_that_it_sounds(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five", word_ms=333)

    speaker = FakeSpeaker()
    async with FakeServer(bot) as server, session_of(server, speaker=speaker) as session:
        start_ms = time.now_ms()
        log = Log(session, time)
        await log.over()
    for at_ms, word in log.timed:
        if isinstance(word, voxwire.BotWord):
            sounded_ms = speaker.sounded_at_ms(word.start_ms)
            assert sounded_ms is not None
            assert at_ms + start_ms == pytest.approx(sounded_ms, abs=0.01)
    assert speaker.onsets_ms == [333 * index for index in range(5)]
    assert speaker.sounded_at_ms(333 * 5 + 1) is None


@virtual
async def test_what_the_bot_asks_and_is_asked(time: VirtualTime) -> None:
    asked: list[Any] = []

    async def bot(session: FakeSession) -> None:
        asked.append(await session.request("colour", {"of": "sky"}))
        with pytest.raises(RuntimeError):
            await session.request("unknown")
        session.send_message("bye", 1)

    def fails(_: Any) -> None:
        raise ValueError("not today")

    answers = {"time": lambda data: f"noon in {data}", "fails": fails}
    async with FakeServer(bot, answers=answers) as server, session_of(server) as session:
        events: list[Any] = []
        async for event in session:
            events.append(event)
            match event:
                case voxwire.AppMessage(type="colour", request_id=request_id):
                    await session.send_message(
                        "colour", "blue", request_id=request_id, response=True
                    )
                    await session.send_message("time", "Rome", request_id="r1")
                    await session.send_message("fails", request_id="r2")
                    await session.send_message("nothing", request_id="r3")
                case voxwire.AppMessage(type="unknown", request_id=request_id):
                    error = wire.Error(code=4, reason="no", subject_id=request_id)  # type: ignore[arg-type]
                    session._runtime.send(wire.Envelope(error=error))
                case _:
                    pass
    assert asked == ["blue"]
    answer = next(e for e in events if isinstance(e, voxwire.AppMessage) and e.response)
    assert (answer.data, answer.request_id) == ("noon in Rome", "r1")
    errors = [e for e in events if isinstance(e, voxwire.ErrorEvent)]
    assert [(e.subject_id, e.code.name) for e in errors] == [
        ("r2", "INTERNAL"),
        ("r3", "UNSUPPORTED"),
    ]


@virtual
async def test_a_tool_that_takes_too_long_is_withdrawn_at_its_deadline(time: VirtualTime) -> None:
    answers: list[Any] = []
    cancelled: list[float] = []

    @voxwire.tool
    async def never() -> None:
        """Never ends."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(time.now_ms())

    async def bot(session: FakeSession) -> None:
        began_ms = time.now_ms()
        answers.append(await session.call_tool("never", timeout_ms=2000))
        answers.append(time.now_ms() - began_ms)
        answers.append(await session.call_tool("nobody has it"))
        task = asyncio.create_task(session.call_tool("never"))
        await asyncio.sleep(0.5)
        assert len(session.open_calls) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not session.open_calls

    async with FakeServer(bot) as server, session_of(server, tools=[never]) as session:
        ended = [e async for e in session if isinstance(e, voxwire.ToolCallEnded)]
    assert answers[0].outcome == voxwire.ToolOutcome.TIMED_OUT
    assert answers[1] == 2000
    assert (answers[2].outcome, answers[2].code) == ("failed", voxwire.ErrorCode.UNSUPPORTED)
    assert [event.outcome for event in ended] == ["timed_out", "failed", "cancelled"]
    assert len(cancelled) == 2


@virtual
async def test_a_bot_that_fails_fails_the_test(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        raise KeyError("a mistake in the script")

    with pytest.raises(KeyError, match="a mistake"):
        async with FakeServer(bot) as server:
            with pytest.raises(voxwire.BotError):
                async with session_of(server) as session:
                    async for _ in session:
                        pass


@virtual
async def test_a_server_that_ends_ends_its_sessions(time: VirtualTime) -> None:
    async with FakeServer() as server:
        session = await session_of(server).__aenter__()
        log = Log(session, time)
    await log.over()
    assert log.of(voxwire.SessionEnded)[0].reason == "server"
    assert FakeServer().sessions == []
    with pytest.raises(LookupError):
        _ = FakeServer().session


@virtual
async def test_a_muted_user_is_not_heard(time: VirtualTime) -> None:
    microphone = FakeMicrophone()
    async with FakeServer() as server, session_of(server, microphone=microphone) as session:
        await session.mute()
        microphone.speak(300)
        await time.advance(1000)
        assert server.session.muted
        assert loud_ms(server.session.user_samples, sample_rate=16_000) == 0
        await session.mute(False)
        microphone.speak(300)
        await time.advance(1000)
        assert loud_ms(server.session.user_samples, sample_rate=16_000) == pytest.approx(300, abs=2)


@virtual
async def test_the_users_voice_has_no_hole_across_a_lost_connection(time: VirtualTime) -> None:
    microphone = FakeMicrophone()
    async with FakeServer() as server, session_of(server, microphone=microphone) as session:
        microphone.speak(2000)
        await time.advance(500)
        server.session.drop()
        await time.advance(3000)
        assert loud_ms(server.session.user_samples, sample_rate=16_000) == pytest.approx(
            2000, abs=2
        )
        assert len(onsets_ms(server.session.user_samples, sample_rate=16_000)) == 1
        assert session.connection == "connected"


@virtual
async def test_a_path_that_the_server_gives_up_is_replaced(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.session.close_path()
        await time.advance(1000)
        assert [event.path_id for event in log.of(voxwire.PathChanged)] == [1, 2]
        assert server.session.path_id == 2
        await session.close()
        await log.over()


@virtual
async def test_a_network_that_is_dark_holds_what_was_sent(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 30
        async with session_of(server) as session:
            server.network.state = NetworkState.DARK
            await session.send_text("one")
            await session.send_text("two")
            await time.advance(400)
            assert not server.session.said("send_text")
            server.network.state = NetworkState.UP
            assert [it.text for it in server.session.said("send_text")] == ["one", "two"]


@virtual
async def test_both_ends_of_a_socket_behave_like_those_of_a_websocket(time: VirtualTime) -> None:
    async with FakeServer() as server:
        mine = await server.network.dial("ws://x", timeout_ms=100)
        (theirs,) = server.network.ends
        theirs.write(b"1")
        theirs.write(b"2")
        theirs.shut(4025, "superseded")
        await time.advance(5)
        assert [await mine.receive(), await mine.receive()] == [b"1", b"2"]
        with pytest.raises(SocketClosed) as closed:
            await mine.receive()
        assert (closed.value.code, closed.value.reason) == (4025, "superseded")
        with pytest.raises(SocketClosed):
            await mine.send(b"3")
        mine.abort()
        other = await server.network.dial("ws://x", timeout_ms=100)
        other.abort()
        with pytest.raises(SocketClosed, match="1006"):
            await other.receive()
        await time.advance(5)
        assert not server.network.ends
        third = await server.network.dial("ws://x", timeout_ms=100)
        await third.close()
        assert not third.open


def test_sounds_are_found_where_they_were_put() -> None:
    words = spoken_words(5, word_ms=120)
    assert onsets_ms(words) == [0, 120, 240, 360, 480]
    assert loud_ms(words) == pytest.approx(5 * 80, abs=5)
    assert onsets_ms(np.zeros(100, np.int16)) == []
    assert loud_ms(np.zeros(0, np.int16)) == 0
    late = np.concatenate((np.zeros(800, np.int16), tone(50, sample_rate=8000)))
    assert onsets_ms(late, sample_rate=8000) == [100]
    assert len(tone(10, sample_rate=8000)) == 80
    assert onsets_ms(spoken_words(2, word_ms=30)) == [0, 30]


@virtual
async def test_a_pushed_stream_plays_by_the_clock(time: VirtualTime) -> None:
    speaker = PushSpeaker(sample_rate=8000)
    reached: list[tuple[str, float]] = []
    start_ms = time.now_ms()

    def mark(name: str) -> None:
        speaker.mark(lambda: reached.append((name, time.now_ms() - start_ms)))

    words = spoken_words(10, word_ms=100, sample_rate=8000)
    speaker.feed(words[:4000])
    mark("half")
    speaker.feed(words[4000:].astype("<i2").tobytes())
    mark("all")
    await time.advance(250)
    assert (speaker.played_ms, speaker.waiting_ms) == (250, 750)
    assert (speaker.samples == words[:2000]).all()
    await time.advance(300)
    speaker.clear()
    assert reached == [("half", 500), ("all", 550)]
    await time.advance(1000)
    assert (speaker.samples == words[:4400]).all()
    speaker.feed(words[:800])
    mark("again")
    await time.advance(100)
    assert reached[-1] == ("again", 1650)
    assert (
        len(onsets_ms(speaker.samples, sample_rate=8000)) == 6
    )  # cut in the sixth, which goes on in the next


async def test_without_virtual_time_it_runs_in_real_time() -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("a b", word_ms=60)

    async with FakeServer(bot) as server, session_of(server) as session:
        words = [event.text async for event in session if isinstance(event, voxwire.BotWord)]
    assert words == ["a", "b"]


def test_what_is_no_environment_is_said() -> None:
    with pytest.raises(voxwire.UsageError, match="FakeServer is no environment"):
        voxwire.connect("ws://x", environment=FakeServer())  # type: ignore[arg-type]
    with pytest.raises(voxwire.UsageError, match="no WebRTC"):
        voxwire.connect("ws://x", environment=FakeServer().environment, transport="webrtc")
