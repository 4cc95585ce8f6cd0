"""How caps are written, and what a day is."""

import re

import pytest

from voxwire_server.caps import Amounts, CapReachedError, Caps, day_of, rest_of_day_ms
from voxwire_server.config import Settings

MIDNIGHT_S = 20_000 * 86_400.0


def test_caps_are_written_in_any_order_and_each_may_be_left_out() -> None:
    everything = "seconds=3600,turns=500,llm_tokens=200000,tts_characters=100000"
    assert Caps.parse(everything) == Caps(3600, 500, 200_000, 100_000)
    assert Caps.parse(" turns = 5 , seconds=60 ,") == Caps(seconds=60, turns=5)
    assert Caps.parse("") == Caps()


@pytest.mark.parametrize(
    ("notation", "said"),
    [
        ("turns", "write it as seconds=3600,turns=500"),
        ("turns=", "write it as"),
        ("turns=many", "write it as"),
        ("turns=-1", "write it as"),
        ("turns=1.5", "write it as"),
        ("turns=٣", "write it as"),
        ("words=5", "tts_characters"),
        ("turns=5;seconds=6", "write it as"),
        ("turns=5,turns=6", "turns is there twice"),
        ("turns=0", "turns is 1 to"),
        ("turns=1" + "0" * 5000, "turns is 1 to"),
    ],
)
def test_anything_else_is_refused_and_said_how_to_write_it(notation: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Caps.parse(notation)
    for name in ("caps_per_user", "caps_per_bot"):
        with pytest.raises(ValueError, match=said):
            Settings(**{name: notation})


def test_of_two_caps_the_lower_one_counts() -> None:
    server, token = Caps(seconds=60, turns=5), Caps(turns=9, llm_tokens=7)
    lower = Caps(seconds=60, turns=5, llm_tokens=7)
    assert server.within(token) == token.within(server) == lower
    assert list(lower.left_of(Amounts(seconds=61, turns=4))) == [
        ("seconds", 60, -1),
        ("turns", 5, 1),
        ("llm_tokens", 7, 7),
    ]


def test_a_day_is_one_of_utc_and_whoever_is_refused_is_told_when_the_next_one_begins() -> None:
    assert [day_of(MIDNIGHT_S + s) for s in (-0.001, 0, 86_399.999)] == [19_999, 20_000, 20_000]
    assert [rest_of_day_ms(MIDNIGHT_S + s) for s in (-0.25, -0.0001, 0)] == [250, 1, 86_400_000]
    refused = CapReachedError("bot", "llm_tokens", MIDNIGHT_S - 3600)
    assert refused.retry_after_ms == 3_600_000
    assert refused.reason == (
        "this bot has used up the day's language model tokens; the next day begins at 00:00 UTC"
    )


def test_a_bot_says_its_caps_as_a_mapping_and_they_can_be_written_as_the_setting_is() -> None:
    assert Caps.of({"turns": 5, "seconds": 60}) == Caps(seconds=60, turns=5)
    assert Caps.of({}) == Caps()
    for caps in (Caps(3600, 500, 200_000, 100_000), Caps(turns=5), Caps()):
        assert Caps.parse(caps.notation) == caps
        assert Caps.of({name: cap for name, cap in caps._asdict().items() if cap}) == caps


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("turns=5", 'write it as {"seconds": 3600'),
        (None, "write it as"),
        (["turns"], "write it as"),
        ({"words": 5}, "llm_tokens, tts_characters"),
        ({5: 5}, "write it as"),
        ({"turns": "5"}, "write it as"),
        ({"turns": 5.0}, "write it as"),
        ({"turns": True}, "write it as"),
        ({"turns": None}, "write it as"),
        ({"turns": 0}, "turns is 1 to"),
        ({"turns": -1}, "turns is 1 to"),
        ({"turns": 10**13}, "turns is 1 to"),
    ],
)
def test_what_a_bot_says_that_is_no_cap_is_refused_and_said_how_to_write_it(
    given: object, said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Caps.of(given)


def test_what_one_does_not_say_is_the_other_s() -> None:
    bot, server = Caps(turns=9, seconds=5), Caps(turns=5, llm_tokens=7)
    assert bot.or_else(server) == Caps(seconds=5, turns=9, llm_tokens=7)
    assert Caps().or_else(server) == server.or_else(Caps()) == server
