"""A user of a bot in a test: what he says comes to it, and what he expects is what was heard."""

import asyncio
import inspect
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import voxwire
from voxwire.testing import (
    AsyncVoiceSession,
    FakeSession,
    VoiceSession,
    in_virtual_time,
    tone,
)

QUESTION = Path(__file__).parents[3] / "examples/question.wav"
ANSWER = "In Paris it is sunny today, with a high of 22 degrees."
SVG = "{http://www.w3.org/2000/svg}"


async def weather_bot(session: FakeSession) -> None:
    """Greets, and answers each question with the weather of Paris."""
    await session.say("Hello there.")
    while True:
        await session.text()
        await session.call_tool("get_weather", {"city": "Paris", "day": "today"})
        await session.say(ANSWER)


def refusal(call: object, *arguments: object, **named: object) -> str:
    """What an expectation says that is not met."""
    assert callable(call)
    with pytest.raises(AssertionError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def asked(voice: VoiceSession) -> VoiceSession:
    voice.say("what is the weather in Paris")
    return voice


def test_words_count_when_they_are_heard_and_only_those_of_the_answer() -> None:
    with VoiceSession(weather_bot) as voice:
        assert voice.expect_words("hello there") == "Hello there."
        asked(voice)
        assert voice.heard == ""
        assert voice.expect_words("SUNNY today", "Paris") == "In Paris it is sunny today,"
        voice.expect_words("22 degrees", within_ms=2500)
        said = refusal(voice.expect_words, "hello", within_ms=3000)
    asked_for = '"hello" within 3000 ms after "what is the weather in Paris"'
    assert said == f'expected to hear {asked_for}\n  heard: "{ANSWER}"'


def test_what_comes_too_late_is_told_with_its_time() -> None:
    with VoiceSession(weather_bot) as voice:
        voice.expect_words("there")
        asked(voice).expect_words("sunny")  # the fifth word: 800 ms and a few blocks
        said = refusal(voice.expect_words, "sunny", within_ms=700)
    late_ms = int(said.partition("it was heard after ")[2].split()[0])
    assert 800 <= late_ms <= 1000


def test_what_was_cut_off_is_said_and_not_heard() -> None:
    with VoiceSession(weather_bot) as voice:
        asked(voice).expect_words("sunny")
        voice.interrupt()
        assert (voice.heard, voice.unheard) == (
            "In Paris it is sunny",
            "today, with a high of 22 degrees.",
        )
        voice.expect_heard("in Paris it is sunny")
        assert "it was said, but not heard" in refusal(voice.expect_words, "22 degrees")
        for other in ("In Paris it is", "In Paris it is sunny today", "In Rome it is sunny"):
            said = refusal(voice.expect_heard, other)
            assert said.startswith(f'expected that "{other}" is what is heard, and no more')


def test_all_that_is_heard_is_known_when_the_turn_is_over() -> None:
    with VoiceSession(weather_bot) as voice:
        asked(voice).expect_heard(ANSWER)
        said = refusal(asked(voice).expect_heard, ANSWER, within_ms=1000)
    assert "said, not heard: " in said


def test_each_expectation_takes_a_call_of_its_own() -> None:
    with VoiceSession(weather_bot) as voice:
        asked(voice)
        call = voice.expect_tool("get_weather", city="Paris")
        assert call.arguments == {"city": "Paris", "day": "today"}
        assert voice.tools == [call]
        said = refusal(voice.expect_tool, "get_weather")
        assert "there was get_weather(city='Paris', day='today')" in said
        asked(voice)
        said = refusal(voice.expect_tool, "get_weather", city="Rome")
        assert said.startswith("expected the tool get_weather(city='Rome') after")


async def slow_bot(session: FakeSession) -> None:
    await session.text()
    await session.say("Well, let me see.", word_ms=500)
    await session.call_tool("get_weather", {"city": "Rome"})
    await session.text()


def test_a_tool_that_is_called_too_late_or_not_at_all_is_told() -> None:
    with VoiceSession(slow_bot) as voice:
        asked(voice)
        said = refusal(voice.expect_tool, "get_weather", within_ms=1000)
        assert said.startswith("expected the tool get_weather() within 1000 ms after ")
        assert "; no tool was called" in said
        voice.expect_heard("Well, let me see.")
        refusal(voice.expect_tool, "get_weather", within_ms=1000)  # however late it is asked
        voice.expect_tool("get_weather", within_ms=3000)
    with VoiceSession(slow_bot) as voice:
        asked(voice).expect_words("see")
        voice.expect_tool("get_weather")
        late = refusal(asked(voice).expect_tool, "get_weather")
    assert "no tool was called" in late


def test_a_turn_that_ends_too_late_is_told() -> None:
    with VoiceSession(slow_bot) as voice:
        asked(voice).expect_tool("get_weather")  # behind the 2000 ms that it spoke
        said = refusal(voice.expect_heard, "Well, let me see.", within_ms=1500)
        assert said.startswith('"Well, let me see." was heard, but the turn has not ended within')
        voice.expect_heard("Well, let me see.", within_ms=2500)
        refusal(voice.expect_heard, "Well, let me see.", within_ms=1500)  # however late it is asked


def test_the_users_own_tools_run() -> None:
    @voxwire.tool
    async def get_weather(city: str, day: str) -> str:
        """Tell the weather."""
        return f"rain in {city} {day}"

    with VoiceSession(weather_bot, options={"tools": [get_weather]}) as voice:
        asked(voice).expect_words("sunny")
        [ended] = [it for _, it in voice.events if isinstance(it, voxwire.ToolCallEnded)]
    assert ended.result == "rain in Paris today"


@pytest.mark.parametrize("wav", [QUESTION, QUESTION.read_bytes(), tone(900, sample_rate=16_000)])
def test_a_recording_is_what_the_bot_hears(wav: object) -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen("what is the weather")
        await session.say(ANSWER)

    with VoiceSession(bot) as voice:
        voice.say("the weather", wav=wav)
        voice.expect_words("sunny")
        assert voice.server is not None
        heard = voice.server.session.user_samples
        assert str(voice.conversation).startswith("user: what is the weather\nbot: In Paris")
    assert np.abs(heard).max() > 4000
    assert len(heard) >= 16_000 * 0.9


def test_a_polite_user_waits_and_another_one_does_not() -> None:
    with VoiceSession(weather_bot) as voice:
        asked(voice).expect_words("sunny")
        asked(voice)
        first, *_ = (turn for turn in voice.conversation.turns if turn.role == "bot")
        assert not first.interrupted
        voice.expect_words("sunny")
        voice.say("stop", interrupt=True)
        assert voice.heard == ""
        voice.expect_words("sunny")
        bot = [turn for turn in voice.conversation.turns if turn.role == "bot"]
    assert [turn.interrupted for turn in bot] == [False, False, True, False]


def test_a_bot_that_does_not_yield_the_floor_is_told() -> None:
    async def bot(session: FakeSession) -> None:
        while True:
            await session.say("and so on", word_ms=4000)

    with VoiceSession(bot) as voice:
        voice.expect_words("so")
        assert refusal(asked, voice).startswith('"what is the weather in Paris" was not said')


def test_what_the_script_raises_is_the_cause_and_ends_the_wait() -> None:
    async def bot(session: FakeSession) -> None:
        await session.text()
        raise ValueError("the script is wrong")

    voice = VoiceSession(bot)
    asked(voice)
    with pytest.raises(AssertionError) as caught:
        voice.expect_words("sunny")
    assert isinstance(caught.value.__cause__, ValueError)
    assert "the session failed: BOT_FAILED" in str(caught.value)
    with pytest.raises(ValueError, match="the script is wrong"):
        voice.close()


def test_a_session_that_ends_is_told_at_once() -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("Goodbye.")

    with VoiceSession(bot) as voice:
        before_ms = voice.events[-1][0] if voice.events else 0
        assert "the session has ended" in refusal(voice.expect_words, "hello")
        assert voice.events[-1][0] - before_ms < 5000


def test_the_session_is_there_for_the_rest() -> None:
    with VoiceSession(weather_bot) as voice:
        voice.expect_words("there")
        voice.session.simulate.drop_control()
        asked(voice).expect_words("sunny")
        with voice.session.push_to_talk():
            pass
        assert voice.session.bot == "scripted"
    states = [it.state.value for _, it in voice.events if isinstance(it, voxwire.ConnectionChanged)]
    assert states == ["reconnecting", "connected"]


def test_its_verbs_wait_and_its_streams_are_read_in_virtual_time() -> None:
    wrong: list[str] = []

    async def bot(session: FakeSession) -> None:
        await session.say("Hello there.")
        await session.text()
        await session.say(ANSWER)
        await session.text()

    with VoiceSession(bot) as voice:
        session = voice.session
        words = session.events(voxwire.BotWord)

        def asked_inside(_: voxwire.UtteranceEnded) -> None:
            with pytest.raises(voxwire.UsageError) as caught:
                session.close()
            wrong.append(caught.value.reason)

        off = session.on(voxwire.UtteranceEnded, asked_inside)
        voice.expect_words("there")
        assert next(words).text == "there."
        with pytest.raises(voxwire.VoxwireError, match="no such request"):
            session.call("double", 21)
        with session.push_to_talk():
            session.send_text("what is the weather in Paris")
        session.mute(False)
        assert session.wait_for(voxwire.BotWord).text == "In"
        voice.expect_words("sunny")
        voice.say("bye")
        off()
        session.close()
        assert list(session.events()) == []
    assert set(wrong) == {"a function that the session calls must not wait for it: use a thread"}
    with pytest.raises(voxwire.UsageError, match="the session has ended"):
        session.send_text("late")
    assert session.bot == "scripted"


@in_virtual_time
async def test_it_is_the_same_with_async() -> None:
    async with AsyncVoiceSession(weather_bot) as voice:
        await voice.say("what is the weather in Paris")
        await voice.expect_tool("get_weather", city="Paris")
        await voice.expect_words("sunny", within_ms=2000)
        await voice.interrupt()
        await voice.expect_heard("In Paris it is sunny")
        assert voice.session.conversation == voice.conversation
        with pytest.raises(AssertionError, match="rain"):
            await voice.expect_words("rain")


def test_both_have_the_same_names_and_arguments() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        names = [name for name in dir(kind) if not name.startswith("_")]
        found = {name: inspect.getattr_static(kind, name) for name in names}
        return {
            name: list(inspect.signature(value).parameters) if callable(value) else []
            for name, value in found.items()
        }

    instance = AsyncVoiceSession(weather_bot)
    own = {name: [] for name in vars(instance) if not name.startswith("_")}
    assert public(VoiceSession) == {**public(AsyncVoiceSession), **own}


def test_a_recording_answers_as_its_bot_did(tmp_path: Path) -> None:
    path = tmp_path / "talk.voxrec"

    def talk(voice: VoiceSession) -> list[str]:
        with voice:
            voice.expect_words("hello")
            asked(voice).expect_tool("get_weather")
            voice.expect_words("sunny")
            voice.interrupt()
            return [voice.heard, voice.unheard, str(voice.conversation)]

    assert talk(VoiceSession(weather_bot, recording=path)) == talk(VoiceSession(path))


def test_the_picture_shows_what_was_heard_and_what_was_not() -> None:
    with VoiceSession(weather_bot) as voice:
        voice.expect_words("there")
        voice.say("what is <the> weather", wav=QUESTION)
        asked(voice).expect_words("sunny")
        voice.interrupt()
        refusal(voice.expect_words, "rain", within_ms=500)
        root = ElementTree.fromstring(voice.picture("a & b"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "a & b" in texts
    assert "“what is <the> weather”" in texts
    for word in ("Hello", "sunny"):
        assert word in texts
    assert "today, with a high of 22 degrees." in texts
    assert "degrees." not in texts
    assert "get_weather(city='Paris', day='today')" in texts
    assert "cut by the client" in texts
    assert "failed" in texts
    voices = [path for path in root.iter(f"{SVG}path") if path.get("stroke")]
    assert len(voices) == 2  # both have sounded


def test_a_session_that_never_was_has_a_picture_too() -> None:
    root = ElementTree.fromstring(VoiceSession(weather_bot).picture("nothing"))
    assert "nothing" in [text.text for text in root.iter(f"{SVG}text")]


def test_what_a_voice_session_has_itself_is_refused() -> None:
    for name in ("environment", "microphone"):
        with pytest.raises(voxwire.UsageError, match=name):
            VoiceSession(weather_bot, options={name: None})


@in_virtual_time
async def test_an_ear_waits_for_the_speaker_behind_it() -> None:
    taken: list[int] = []

    async def slow(samples: object, media_ms: int) -> None:
        await asyncio.sleep(0.03)
        taken.append(media_ms)

    async def bot(session: FakeSession) -> None:
        await session.say("one two three")

    async with AsyncVoiceSession(bot, options={"speaker": slow}) as voice:
        await voice.expect_words("three")
        before = len(taken)
        ear = voice._to_bot.ear
        assert ear.speaker._blocks
        await ear.drain()
        assert len(taken) > before
