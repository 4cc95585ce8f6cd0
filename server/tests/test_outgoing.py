"""What a bot brings is made fit for the wire, or refused with its reason."""

import datetime
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError
from voxwire_server.outgoing import MAX_APP_MESSAGE_BYTES, app_json, sendable, shown_json

text = st.text(st.characters(exclude_categories=()), max_size=20)


@given(text)
def test_any_text_can_be_sent_and_good_text_stays_as_it_is(value: str) -> None:
    sent = sendable(value)
    sent.encode()
    if not any("\ud800" <= c <= "\udfff" for c in value):
        assert sent == value


def test_every_lone_half_is_one_mark_and_two_halves_are_their_character() -> None:
    assert sendable("a\ud83d\ud83db") == "a\ufffd\ufffdb"
    assert sendable("\ud83d\ude00") == "😀"


@given(st.recursive(st.none() | st.booleans() | st.integers() | text, st.lists, max_leaves=8))
def test_what_json_can_hold_is_sent_as_json(value: Any) -> None:
    assert len(app_json(value).encode()) <= MAX_APP_MESSAGE_BYTES
    json.loads(app_json(value))


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def cycle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [datetime.datetime(2026, 1, 1), b"x", math.nan, math.inf, {1}, {(1, 2): 3}, 10**5000, object()],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused_and_shown_by_its_kind(value: object) -> None:
    with pytest.raises(JsonTextError) as refused:
        app_json({"value": value})
    assert refused.value.code is ErrorCode.MALFORMED
    json.loads(shown_json(value), parse_constant=pytest.fail)


@pytest.mark.parametrize("make", [deep, cycle])
def test_what_is_nested_too_deep_is_refused(make: Any) -> None:
    value = make()
    with pytest.raises(JsonTextError, match="deep"):
        app_json(value)
    assert shown_json(value) == json.dumps(type(value).__name__)


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(JsonTextError) as refused:
        app_json("x" * MAX_APP_MESSAGE_BYTES)
    assert refused.value.code is ErrorCode.TOO_LARGE
