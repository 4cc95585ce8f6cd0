"""Tools as they are declared, and JSON as it may come: what can be used and what cannot."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError, dump_json, parse_json
from voxwire_protocol.tool_signature import read_signature
from voxwire_protocol.tool_spec import ToolSpec, declaration_of, read_declaration
from voxwire_protocol.tools import OnInterruption, ToolUseError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # surrogates cannot be sent
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.just("k"), inner),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert parse_json(dump_json(value)) == value


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(JsonTextError):
        assert parse_json(dump_json(parse_json(text))) == parse_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[-Infinity]",
        "1e999",
        '"\\ud800"',
        "9" * 5000,
        "[" * 9000,
        "[" * 9000 + "]" * 9000,
        "[" * 34 + "]" * 34,
        json.dumps([0] * 10_001),
    ],
    ids=lambda text: text[:12],
)
def test_what_could_do_harm_is_malformed(text: str) -> None:
    with pytest.raises(JsonTextError) as error:
        parse_json(text)
    assert error.value.code is ErrorCode.MALFORMED


def test_size_counts_in_bytes() -> None:
    assert parse_json('"\u20ac"', max_bytes=5) == "\u20ac"
    for text in ('"\u20ac"', "1" * 5):
        with pytest.raises(JsonTextError) as error:
            parse_json(text, max_bytes=4)
        assert error.value.code is ErrorCode.TOO_LARGE
    for value in ({1, 2}, float("nan"), {"k": object()}):
        with pytest.raises(JsonTextError):
            dump_json(value)


def test_a_declaration_says_what_the_tool_is() -> None:
    def find(what: str, count: int = 3) -> list[int]:
        """Find things."""
        return []

    signature = read_signature(find)
    spec = ToolSpec(
        signature.name,
        signature.description,
        signature.parameters,
        result=signature.result,
        timeout_ms=900,
        on_interruption=OnInterruption.ASK,
    )
    assert read_declaration(declaration_of(spec)) == spec
    assert spec.check_arguments({"what": "x"}) is None
    fault = spec.check_arguments({"what": "x", "count": "secret words"})
    assert fault is not None and fault.code is ErrorCode.INVALID_ARGUMENT
    assert "secret" not in fault.reason
    assert spec.check_result([1]) is None and spec.check_result(["x"]) is not None
    bare = read_declaration(wire.ToolDeclaration(name="bare"))
    assert bare.parameters == {"type": "object"}
    assert bare.on_interruption is OnInterruption.CANCEL
    assert bare.check_result(object()) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "\u00e9t\u00e9"},
        {"name": "a\n"},
        {"description": "x" * 2001},
        {"timeout_ms": 300_001},
        {"parameters_json": "["},
        {"parameters_json": "true"},
        {"parameters_json": '{"type": "string"}'},
        {"parameters_json": '{"type": "object", "properties": 5}'},
        {"parameters_json": '{"type": "object", "$ref": "#/$defs/none"}'},
        {"result_schema_json": '{"uniqueItems": true}'},
        {"on_interruption": 77},
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_used_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ToolUseError) as error:
        read_declaration(wire.ToolDeclaration(**{"name": "fine", **fields}))
    assert error.value.code is ErrorCode.INVALID_ARGUMENT
