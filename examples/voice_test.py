"""Tests of a voice bot, as its user hears it: ``pytest examples/voice_test.py``.

They start the offline bot; ``--voxwire-bot ws://127.0.0.1:7860`` asks one that runs.
"""

from pathlib import Path

import pytest

from voxwire.testing import VoiceSession

QUESTION = Path(__file__).with_name("question.wav")
pytestmark = pytest.mark.voxwire(bot="offline")


@pytest.fixture
def user(voice_session: VoiceSession) -> VoiceSession:
    """A user who has heard enough of the greeting."""
    voice_session.expect_words("hello")
    voice_session.interrupt()
    return voice_session


def test_it_knows_the_weather(user: VoiceSession) -> None:
    user.say("what is the weather in Rome tomorrow")
    user.expect_tool("get_weather", city="Rome", day="tomorrow")
    user.expect_words("in Rome", "tomorrow")


def test_it_understands_a_recording(user: VoiceSession) -> None:
    user.say("what is the weather in Paris", wav=QUESTION)
    user.expect_tool("get_weather", city="Paris")
    user.expect_words("a high of 21")


def test_it_is_silent_once_it_is_interrupted(user: VoiceSession) -> None:
    user.say("tell me a long story")
    user.expect_words("once upon a time")
    user.interrupt()
    user.expect_heard(user.heard)
    assert "gulls" not in user.heard


def test_what_is_typed_cuts_it_off(user: VoiceSession) -> None:
    user.say("tell me a long story")
    user.expect_words("once upon a time")
    user.say("thank you", interrupt=True)
    user.expect_heard("You are welcome.")
