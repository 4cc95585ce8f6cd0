"""Depth of JSON: counted by us, so that every interpreter and every caller gets one answer."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import event_codec, events, wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import (
    MAX_JSON_DEPTH,
    JsonTextError,
    dump_json,
    load_json,
    parse_json,
    text_is_deeper,
    value_is_deeper,
)

TEXTS = st.text(st.sampled_from('[]{}"\\:,a'), max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def text_of(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def value_of(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def freed(value: list[Any]) -> None:
    """A deep list must not be freed by recursion."""
    while value:
        value = value.pop()


def depth_of(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max(
            map(depth_of, value.values() if isinstance(value, dict) else value), default=0
        )
    return 0


@contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.fixture(params=["the interpreter's limit", "a high limit"], autouse=True)
def _limits(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the interpreter would still read or write must not matter."""
    high = request.param == "a high limit"
    with recursion_limit(20_000 if high else sys.getrecursionlimit()):
        yield


@given(VALUES, st.integers(0, 12))
def test_a_text_and_its_value_are_equally_deep(value: object, max_depth: int) -> None:
    deeper = depth_of(value) > max_depth
    assert text_is_deeper(json.dumps(value), max_depth) is deeper
    assert value_is_deeper(value, max_depth) is deeper


@pytest.mark.parametrize("depth", [34, 200, 5_000, 20_000])
def test_a_value_nested_too_deep_is_malformed_for_the_one_reason(depth: int) -> None:
    value = value_of(depth)
    for refused in (lambda: parse_json(text_of(depth)), lambda: dump_json(value)):
        with pytest.raises(JsonTextError, match="nested more than 32 deep") as error:
            refused()
        assert error.value.code is ErrorCode.MALFORMED
    freed(value)


def test_what_is_allowed_is_read_and_written() -> None:
    assert parse_json(dump_json(value_of(33))) == value_of(33)
    assert parse_json('{"a":' * 32 + "1" + "}" * 32)


@pytest.mark.parametrize("depth", [MAX_JSON_DEPTH, MAX_JSON_DEPTH + 1, 5_000, 20_000])
def test_what_an_event_shows_is_there_up_to_a_depth(depth: int) -> None:
    message = wire.ToolCallStarted(name="t", arguments_json=text_of(depth))
    event = event_codec.from_envelope(wire.Envelope(tool_call_started=message))
    assert isinstance(event, events.ToolCallStarted)
    assert event.arguments == (value_of(depth) if depth == MAX_JSON_DEPTH else None)


def test_a_fault_before_the_depth_is_the_fault() -> None:
    for text in ("]" * 5_000 + "[" * 5_000, "]", "[}", "["):
        with pytest.raises(json.JSONDecodeError):
            load_json(text)


def test_brackets_in_strings_do_not_count() -> None:
    for inner in ("[" * 500, '\\"[' * 500, "\\\\", "{" * 500 + "\\n"):
        assert not text_is_deeper(f'{{"{inner}": ["{inner}"]}}', 2)
        assert text_is_deeper(f'{{"{inner}": ["{inner}"]}}', 1)


def test_a_string_that_is_never_closed_is_looked_at_once() -> None:
    """Looked at anew from each quote, this would take hours."""
    for text in ('\\"' * 1_000_000, '"' + '\\"' * 1_000_000, '"' * 1_000_001):
        assert not text_is_deeper(text, 0)


def test_a_value_within_itself_cannot_be_written() -> None:
    value: list[Any] = []
    value.append({"again": value})
    with pytest.raises(JsonTextError):
        dump_json(value)
    value.clear()
