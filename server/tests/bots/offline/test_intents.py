"""Intents, templates, grammar and parser agree, because they have one source."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.espeak import VOICES, random_voice
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.grammar import jsgf, pronunciations, vocabulary
from voxwire_server.bots.offline.intents import (
    EXAMPLES,
    INTENTS,
    SLOTS,
    nearest_phrases,
    normalize,
    parse,
    unknown_shown,
)
from voxwire_server.bots.offline.phrases import random_phrases
from voxwire_server.bots.offline.templates import Template, TemplateError


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
def test_every_example_is_understood_as_its_intent(intent):
    assert parse(intent.example).intent == intent.name
    assert parse(intent.example.upper() + "?!").intent == intent.name


@given(st.integers(0, 2**32))
def test_every_phrase_that_the_grammar_can_make_parses_to_its_intent_and_slots(seed):
    for phrase in random_phrases(seed, 5):
        understood = parse(phrase.text)
        assert (understood.intent, dict(understood.slots)) == (phrase.intent, phrase.slots)


@given(st.text(max_size=200))
def test_any_text_is_understood_or_unknown_but_never_an_error(text):
    others = {"unknown", "chat", "beyond", "slots"}
    assert parse(text).intent in {*others, *(intent.name for intent in INTENTS)}
    assert normalize(normalize(text)) == normalize(text)
    assert len(nearest_phrases(text)) == 3


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        (
            "What\u2019s the weather in Paris, today?",
            "weather",
            {"city": "paris", "day": "today"},
        ),
        ("Hey! Could you please tell me a joke??", "joke", {}),
        (
            "do I need an umbrella in Tokyo tomorrow",
            "weather",
            {"city": "tokyo", "day": "tomorrow"},
        ),
        ("any greek food in ROME", "restaurants", {"cuisine": "greek", "city": "rome"}),
        ("my name is Zoltan.", "set_name", {"name": "zoltan"}),
        ("Bye!", "goodbye", {}),
        ("[unknown]", "unknown", {}),
        ("colourless green ideas", "unknown", {}),
    ],
)
def test_typed_text_is_understood_whatever_its_case_and_punctuation(text, intent, slots):
    understood = parse(text)
    assert (understood.intent, dict(understood.slots)) == (intent, slots)


def test_the_offered_phrases_are_understood_and_are_three():
    assert len(EXAMPLES) == 3
    assert all(parse(example).intent != "unknown" for example in EXAMPLES)
    assert nearest_phrases("") == list(EXAMPLES)
    assert nearest_phrases("what time is in")[0] == "what time is it"


def test_the_grammar_defines_every_rule_that_it_uses():
    source = jsgf()
    used = {word for word in source.replace(";", " ").split() if word.startswith("<")}
    defined = {line.split(" = ")[0].removeprefix("public ") for line in source.splitlines()[2:]}
    assert used <= defined


def test_every_word_of_the_grammar_has_a_pronunciation():
    entries = {entry.split("(")[0] for entry, _ in pronunciations()}
    assert entries == vocabulary()
    assert 50 < len(entries) < 250


def test_the_data_covers_every_city_that_can_be_said():
    assert set(tools.weather()) == set(SLOTS["city"])
    assert all(set(days) == set(SLOTS["day"]) for days in tools.weather().values())
    assert {r["city"] for r in tools.restaurants()} == set(SLOTS["city"])
    assert {r["cuisine"] for r in tools.restaurants()} <= set(SLOTS["cuisine"])
    assert len(tools.restaurants()) >= 24


def test_a_seed_draws_the_same_phrases_and_voice_again():
    assert random_phrases(7, 10) == random_phrases(7, 10) != random_phrases(8, 10)
    assert random_voice(7) == random_voice(7)
    assert {random_voice(seed).voice for seed in range(100)} == set(VOICES)
    assert {p.intent for p in random_phrases(1, 20, intents={"weather"})} == {"weather"}


@pytest.mark.parametrize("source", ["a [b", "a | ", "(a", "a)", "what?", "[]"])
def test_a_malformed_template_is_refused(source):
    with pytest.raises(TemplateError):
        Template(source)


def test_a_template_samples_with_articles_that_agree():
    template = Template("find (a|an) {cuisine} restaurant")
    drawn = {template.sample(random.Random(seed), SLOTS)[0] for seed in range(80)}
    assert "find an italian restaurant" in drawn
    assert not any(" a i" in phrase or " an j" in phrase for phrase in drawn)


def test_people_are_shown_the_nearest_phrases_of_what_was_not_understood():
    assert unknown_shown("what is my time").startswith(
        "(not understood; nearest: what is my name /"
    )
    assert unknown_shown("") == f"(not understood; try: {' / '.join(EXAMPLES)})"
