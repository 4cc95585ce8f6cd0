"""Free wording is understood by its words; chat is answered; what cannot be done is said."""

from __future__ import annotations

import pytest

from tests.support.free_speech import HELD, TUNE
from voxwire_server.bots.offline.intents import Understood, parse
from voxwire_server.bots.offline.small_talk import cannot, small_talk
from voxwire_server.bots.offline.topic import Topic


@pytest.mark.parametrize(("text", "intent", "slots"), [*TUNE, *HELD], ids=lambda v: str(v)[:40])
def test_free_wording_is_understood(text, intent, slots):
    understood = parse(text)
    assert (understood.intent, dict(understood.slots)) == (intent, slots)


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("Hello, will it rain in Rome?", "weather", {"city": "rome"}),
        ("Thank you, that was nice.", "thanks", {}),
        ("Thanks! And what is the weather in Rome?", "weather", {"city": "rome"}),
        ("How is the weather in Madrid?", "weather", {"city": "madrid"}),
        ("What's it like outside in New York?", "weather", {"city": "new york"}),
        ("Is it warm in Rome on Friday?", "weather", {"city": "rome", "day": "later"}),
        ("What should I wear in the morning, is it cold?", "weather", {}),
        ("You are so funny!", "chat", {}),
        ("Please book a restaurant in Rome.", "beyond", {}),
        ("And in Tokyo?", "slots", {"city": "tokyo"}),
        ("Tomorrow.", "slots", {"day": "tomorrow"}),
        ("Sushi, please.", "restaurants", {"cuisine": "japanese"}),
        ("I'm Alice.", "set_name", {"name": "alice"}),
        ("I'm hungry", "restaurants", {}),
        ("The quick brown fox jumps over the lazy dog.", "unknown", {}),
    ],
)
def test_what_is_meant_wins_over_what_is_said_besides(text, intent, slots):
    understood = parse(text)
    assert (understood.intent, dict(understood.slots)) == (intent, slots)


def test_chat_has_an_answer_and_what_is_beyond_has_a_name():
    assert small_talk("how are you") and small_talk("no")
    assert not small_talk("excuse me i am hungry", about_us=True)
    assert cannot("could you book a hotel for me") == "book or order anything"
    assert not cannot("what is the weather in paris")


def test_a_question_that_goes_on_asks_the_same_of_something_else():
    topic = Topic("weather", {"city": "rome", "day": "today"})
    more = topic.taken_up(Understood("slots", {"city": "tokyo"}))
    assert (more.intent, dict(more.slots)) == ("weather", {"city": "tokyo", "day": "today"})
    again = topic.taken_up(Understood("weather", {"day": "tomorrow"}))
    assert dict(again.slots) == {"city": "rome", "day": "tomorrow"}
    assert topic.taken_up(Understood("weather")).slots == {}
    assert topic.taken_up(Understood("joke")).intent == "joke"
    assert Topic("joke").taken_up(Understood("slots", {"city": "rome"})).intent == "slots"
