"""Of a grammar and of ears, who is believed when."""

from __future__ import annotations

import math

from voxwire_server.bots.offline.decoders import MIN_SCORE, Heard
from voxwire_server.bots.offline.ears import Guess
from voxwire_server.bots.offline.hearing import Speaker, is_speech, is_unfinished, settled

CLEAR = Guess("Can you make me laugh?", -0.13, 0.01)
NOISE = Guess("You", -3.7, 0.6)
NOTHING = Heard("", -math.inf)


def test_a_phrase_that_scores_well_needs_no_second_opinion():
    speaker = Speaker()
    assert speaker.is_sure(Heard("tell me a joke", -20))
    assert not speaker.is_sure(Heard("tell me a joke", -26))
    assert not speaker.is_sure(NOTHING)


def test_whoever_speaks_clearly_is_expected_to():
    speaker = Speaker()
    for _ in range(5):
        speaker.said(Heard("tell me a joke", -15))
    assert not speaker.is_sure(Heard("tell me a joke", -22))
    assert speaker.is_sure(Heard("tell me a joke", -20))


def test_ears_that_are_sure_are_believed():
    assert is_speech(CLEAR) and not is_speech(NOISE)
    assert not is_speech(Guess("...", 0, 0))
    for heard in (NOTHING, Heard("can you repeat that", -34)):
        assert settled(heard, CLEAR).text == CLEAR.text
        assert settled(heard, CLEAR).score >= MIN_SCORE


def test_a_likely_phrase_stands_against_ears_that_are_unsure_or_heard_what_means_nothing():
    phrase = Heard("find me a mexican restaurant in istanbul", -29)
    assert settled(phrase, Guess("Find the American restaurant.", -0.6, 0.05)) == phrase
    assert settled(phrase, Guess("The mend of ants.", -0.1, 0.05)) == phrase
    for unlikely in (Heard(phrase.text, -36), NOTHING):
        assert settled(unlikely, Guess("The mend of ants.", -0.1, 0.05)).free


def test_a_sound_of_the_mouth_is_no_sentence():
    assert not is_speech(Guess("Oh,", -0.4, 0.1))
    assert is_speech(Guess("Oh, what time is it?", -0.4, 0.1))


def test_ears_that_heard_noise_change_nothing_but_a_short_phrase():
    doubtful = Heard("can you repeat that", -34)
    assert settled(doubtful, NOISE) == doubtful
    assert settled(NOTHING, NOISE) == NOTHING
    assert settled(Heard("thank you", -25), NOISE).score < MIN_SCORE


def test_the_grammars_phrase_stands_when_the_ears_heard_about_the_same():
    phrase = Heard("what is the weather in rome", -34)
    assert settled(phrase, Guess("What is the weather in Rhone?", -0.3, 0.05)) == phrase
    assert settled(phrase, Guess("How's the weather in Rome?", -0.3, 0.05)) == phrase


def test_a_sentence_that_stops_where_none_ends_is_unfinished():
    for text in ("What is the weather in", "Find me a", "I would like", "My name is"):
        assert is_unfinished(text)
    for text in ("", "What time is it?", "How are you?", "In Rome."):
        assert not is_unfinished(text)
