"""Tests of a voice bot, as its user hears it: ``pytest examples/voice_test.py``.

They start the offline bot; ``--voxwire-bot ws://127.0.0.1:7860`` asks one that runs.
"""

from pathlib import Path

import pytest

from voxwire.testing import VoiceSession

QUESTION = Path(__file__).with_name("question.wav")
pytestmark = pytest.mark.voxwire(bot="offline")


def test_it_greets(voice_session: VoiceSession) -> None:
    voice_session.expect_words("hello")


def test_it_knows_the_weather(voice_session: VoiceSession) -> None:
    voice_session.say("what is the weather in Paris", interrupt=True)
    voice_session.expect_tool("get_weather", city="Paris")
    voice_session.expect_words("Paris", "sunny")


def test_it_understands_a_recording(voice_session: VoiceSession) -> None:
    voice_session.interrupt()
    voice_session.say("what is the weather in Paris", wav=QUESTION)
    voice_session.expect_tool("get_weather", city="Paris")
    voice_session.expect_words("a high of 21")


def test_it_is_silent_when_it_is_interrupted(voice_session: VoiceSession) -> None:
    voice_session.say("tell me a long story", interrupt=True)
    voice_session.expect_words("lighthouse")
    voice_session.interrupt()
    heard = voice_session.heard
    assert voice_session.unheard, "it said more than was heard"
    voice_session.say("thank you")
    voice_session.expect_words("welcome")
    assert heard in str(voice_session.conversation)
