"""A schema says what fits; checking takes bounded work and repeats nothing of a value."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_protocol.json_schema import (
    MAX_DEPTH,
    MAX_FAULTS,
    MAX_PATTERN_INPUT_CHARS,
    MAX_VALUE_DEPTH,
    MAX_VALUE_NODES,
    MAX_WORK,
    Fault,
    JsonSchema,
    SchemaError,
    check_schema,
)

TOO_MUCH = (Fault("", "takes too much work to check"),)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


class TestValues:
    @pytest.mark.parametrize(
        ("schema", "good", "bad"),
        [
            ({"type": "null"}, [None], [0, "", False]),
            ({"type": "boolean"}, [True, False], [0, 1, None]),
            ({"type": "integer"}, [0, -5, 3.0, 10**400], [1.5, True, "1"]),
            ({"type": "number"}, [0, 1.5], [False, "1"]),
            ({"type": "string"}, ["", "é"], [1, None]),
            ({"type": "array"}, [[], [1]], [{}, "a"]),
            ({"type": "object"}, [{}, {"a": 1}], [[], None]),
            ({"type": ["string", "null"]}, ["a", None], [1, False]),
            ({"type": "string", "nullable": True}, ["a", None], [1]),
            ({"type": "string", "nullable": False}, ["a"], [None]),
            ({"minimum": 1, "maximum": 3}, [1, 3, 2.5, "x"], [0, 3.1, 10**400]),
            ({"exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2, 1.1], [1, 3]),
            ({"minLength": 1, "maxLength": 2}, ["é", "🙂🙂", 7], ["", "abc"]),
            ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "x"], [[], [1, 2, 3]]),
            ({"items": {"type": "integer"}}, [[], [1, 2]], [[1, "a"]]),
            ({"items": False}, [[]], [[1]]),
            ({"enum": [1, "a", None, [1, {"b": 2}]]}, [1.0, "a", [1, {"b": 2.0}]], [True, [1, {}]]),
            ({"const": {"a": [True]}}, [{"a": [True]}], [{"a": [1]}, {}, {"a": [True, 1]}, 3]),
            ({"const": False}, [False], [0, None]),
            ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["a", 6], [4]),
            ({"oneOf": [{"minimum": 5}, {"maximum": 10}]}, [4, 11], [7]),
            ({"allOf": [{"minimum": 5}, {"maximum": 10}]}, [7], [4, 11]),
            ({"properties": {"a": {"type": "integer"}}}, [{}, {"a": 1, "b": 0}], [{"a": "x"}]),
            ({"required": ["a"]}, [{"a": None}], [{}]),
            ({"additionalProperties": False}, [{}], [{"a": 1}]),
            ({"additionalProperties": {"type": "integer"}}, [{"a": 1}], [{"a": "x"}]),
            (True, [1, None], []),
            (False, [], [1, None]),
            ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, [1], ["a"]),
        ],
    )
    def test_a_keyword_means_what_the_standard_says(
        self, schema: Any, good: list[Any], bad: list[Any]
    ) -> None:
        checked = JsonSchema(schema)
        assert [value for value in good if checked.faults(value)] == []
        assert [value for value in bad if not checked.faults(value)] == []

    def test_a_function_call(self) -> None:
        checked = JsonSchema(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "description": "ignored",
                "properties": {
                    "city": {"type": "string", "minLength": 1, "format": "whatever"},
                    "day/night": {"enum": ["day", "night"]},
                    "stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}},
                },
                "required": ["city"],
                "additionalProperties": False,
                "$defs": {
                    "stop": {
                        "type": "object",
                        "properties": {"next": {"$ref": "#/$defs/stop"}},
                        "additionalProperties": {"type": "integer"},
                    }
                },
            }
        )
        assert checked.faults({"city": "Paris", "stops": [{"next": {"minutes": 3}}]}) == ()
        assert checked.faults({"day/night": "noon", "stops": [{}, {"next": {"x": "y"}}]}) == (
            Fault("/city", "is required"),
            Fault("/day~1night", "must be one of the listed values"),
            Fault("/stops/1/next/*", "must be integer"),
        )

    def test_what_is_said_does_not_contain_the_value(self) -> None:
        checked = JsonSchema(
            {
                "properties": {"a": {"type": "integer", "enum": [1], "const": 1, "maxLength": 1}},
                "additionalProperties": False,
                "required": ["b"],
            }
        )
        said = str(checked.faults({"a": "4711-4711", "4711": 1}))
        assert "4711" not in said
        assert "has a property that is not allowed" in said
        free = JsonSchema({"additionalProperties": {"type": "null"}})
        assert free.faults({"4711": "4711"}) == (Fault("/*", "must be null"),)

    def test_few_faults_are_reported_of_many(self) -> None:
        assert len(JsonSchema({"items": False}).faults([0] * 100)) == MAX_FAULTS

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), (1,), b"", {1: 2}, object()])
    def test_what_is_no_json_is_refused(self, value: object) -> None:
        assert JsonSchema(True).faults([value]) == (Fault("", "is not JSON"),)


class TestBounds:
    def test_a_deep_value_is_refused_before_it_is_walked(self) -> None:
        value: Any = 1
        for _ in range(MAX_VALUE_DEPTH):
            value = [value]
        assert JsonSchema(True).faults(value) == ()
        assert "deep" in JsonSchema(True).faults([value])[0].message
        for _ in range(100_000):
            value = [value]
        assert "deep" in JsonSchema(True).faults(value)[0].message
        while isinstance(value, list):  # a deep list must not be freed by recursion
            value = value[0]

    def test_a_large_value_is_refused(self) -> None:
        assert JsonSchema(True).faults([0] * (MAX_VALUE_NODES - 1)) == ()
        assert "parts" in JsonSchema(True).faults([0] * MAX_VALUE_NODES)[0].message

    def test_a_reference_to_itself_ends(self) -> None:
        checked = JsonSchema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})
        assert checked.faults(1) == TOO_MUCH

    def test_alternatives_that_multiply_end(self) -> None:
        names = [f"n{number}" for number in range(31)]
        defs: dict[str, Any] = {
            name: {"anyOf": [{"$ref": f"#/$defs/{after}"}] * 2}
            for name, after in zip(names, names[1:], strict=False)
        }
        defs["n30"] = {"type": "string"}
        checked = JsonSchema({"$ref": "#/$defs/n0", "$defs": defs})
        assert checked.faults(1) == TOO_MUCH

    def test_many_comparisons_end(self) -> None:
        checked = JsonSchema({"items": {"enum": list(range(1000))}})
        assert checked.faults([999] * (MAX_WORK // 1000 + 1)) == TOO_MUCH

    @pytest.mark.parametrize(
        "pattern",
        [
            "^(a+)+$",
            "^(a|a)*$",
            "^(a|aa)+$",
            "^(a*)*b$",
            "a*a*a*a*a*a*b",
            "((((a{256}){256}){256}){256}){256}",
            "(((((){256}){256}){256}){256}){256}",
            "(((a?){256}){256}){256}b",
            "((((^){256}){256}){256}){256}",
            "((((b{256}){256}){256}){256}){256}",
            "(" * 8 + "a*" + ")*" * 8,
        ],
    )
    def test_no_pattern_takes_long(self, pattern: str) -> None:
        checked = JsonSchema({"pattern": pattern})
        before = time.process_time()
        checked.faults("a" * (MAX_PATTERN_INPUT_CHARS - 1) + "!")
        checked.faults("")
        assert time.process_time() - before < 2  # a backtracking engine takes years

    def test_a_long_string_is_not_held_against_a_pattern(self) -> None:
        checked = JsonSchema({"pattern": "a"})
        assert checked.faults("a" * MAX_PATTERN_INPUT_CHARS) == ()
        assert "characters" in checked.faults("a" * (MAX_PATTERN_INPUT_CHARS + 1))[0].message


class TestSchemas:
    @pytest.mark.parametrize(
        ("schema", "path"),
        [
            (None, ""),
            ([], ""),
            ({"type": "text"}, "/type"),
            ({"type": []}, "/type"),
            ({"type": ["string", 1]}, "/type"),
            ({"type": 1}, "/type"),
            ({"properties": []}, "/properties"),
            ({"properties": {"a/b": 1}}, "/properties/a~1b"),
            ({"properties": {"a": {"items": 1}}}, "/properties/a/items"),
            ({"required": "a"}, "/required"),
            ({"required": [1]}, "/required"),
            ({"enum": []}, "/enum"),
            ({"enum": "a"}, "/enum"),
            ({"anyOf": {}}, "/anyOf"),
            ({"allOf": [1]}, "/allOf/0"),
            ({"minimum": "1"}, "/minimum"),
            ({"minimum": True}, "/minimum"),
            ({"maximum": float("inf")}, "/maximum"),
            ({"minLength": -1}, "/minLength"),
            ({"maxItems": 1.5}, "/maxItems"),
            ({"maxItems": True}, "/maxItems"),
            ({"nullable": 1}, "/nullable"),
            ({"pattern": 1}, "/pattern"),
            ({"pattern": "("}, "/pattern"),
            ({"$ref": "http://example.com/a"}, "/$ref"),
            ({"$ref": "#"}, "/$ref"),
            ({"$ref": "#/$defs/a"}, "/$ref"),
            ({"$ref": "a", "$defs": {"a": True}}, "/$ref"),
            ({"$ref": 1}, "/$ref"),
            ({"$defs": []}, "/$defs"),
            ({"items": {"$defs": {}}}, "/items/$defs"),
            ({"not": {}}, "/not"),
            ({"uniqueItems": True}, "/uniqueItems"),
        ],
    )
    def test_what_cannot_be_used_is_refused_and_says_where(self, schema: Any, path: str) -> None:
        assert [fault.path for fault in check_schema(schema)] == [path]
        with pytest.raises(SchemaError, match=re.escape(path or "/")) as raised:
            JsonSchema(schema)
        assert raised.value.faults == check_schema(schema)

    def test_depth_and_size_are_bounded(self) -> None:
        assert check_schema(nested(MAX_DEPTH)) == ()
        assert "deep" in check_schema(nested(MAX_DEPTH + 1))[0].message
        assert "deep" in check_schema(nested(500))[0].message
        assert check_schema({"properties": {str(n): {} for n in range(999)}}) == ()
        assert "parts" in check_schema({"properties": {str(n): {} for n in range(1000)}})[0].message

    def test_few_faults_are_reported_of_a_schema(self) -> None:
        bad = {"properties": {str(number): {"type": "x"} for number in range(100)}}
        assert len(check_schema(bad)) == MAX_FAULTS


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "good", "bad"),
        [
            ("", ["", "a"], []),
            ("b", ["abc"], ["ac"]),
            ("^b", ["bc"], ["ab"]),
            ("b$", ["ab"], ["bc", "b\n"]),
            (r"^\d{4}-\d{2}-\d{2}$", ["2026-08-01"], ["2026-8-1", "x2026-08-01", "٤٤٤٤-٤٤-٤٤"]),
            (r"^\+?[0-9]{7,15}$", ["+4912345678", "1234567"], ["123456", "1" * 16]),
            (r"^[a-z0-9]+(?:-[a-z0-9]+)*$", ["a", "a-b-c1"], ["-a", "a--b", "A"]),
            (r"^([01]\d|2[0-3]):[0-5]\d$", ["09:30", "23:59"], ["24:00", "9:30"]),
            (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", ["a@b.de"], ["a@b", "a b@c.de"]),
            ("^(a|b|)c$", ["ac", "c"], ["abc"]),
            ("^a{2}b{0,1}?c{1,}$", ["aac", "aabcc"], ["ac", "aabbc"]),
            ("^.$", ["é", "🙂"], ["", "\n", "ab"]),
            (r"^[\]\-\\\[]+$", ["]-\\["], ["a"]),
            (r"^\x41\u0042\t$", ["AB\t"], ["ab\t"]),
            (r"^\W\S\D$", ["-.-"], ["a.-", "- -", "-.1"]),
        ],
    )
    def test_a_pattern_finds_what_it_should(
        self, pattern: str, good: list[str], bad: list[str]
    ) -> None:
        checked = JsonSchema({"pattern": pattern})
        assert [text for text in good if checked.faults(text)] == []
        assert [text for text in bad if not checked.faults(text)] == []

    @pytest.mark.parametrize(
        "pattern",
        [
            *("(?=a)", "(?<n>a)", r"(a)\1", r"\bword", r"\p{L}", "a**", "*", "a)", "(a", "{", "a]"),
            *("[z-a]", "[]", "[^]]", "[a", "[a||b]", "a{257}", "a{3,2}", "a" * 257, "(" * 9),
        ],
    )
    def test_what_is_not_supported_is_refused(self, pattern: str) -> None:
        (fault,) = check_schema({"pattern": pattern})
        assert fault.path == "/pattern"
        assert pattern not in fault.message or len(pattern) == 1

    @given(
        pattern=st.recursive(
            st.sampled_from(["a", "b", "[ab]", ".", "^", "$", r"\w", ""]),
            lambda part: st.one_of(
                st.tuples(part, part).map("".join),
                st.tuples(part, part).map(lambda two: f"({two[0]}|{two[1]})"),
                st.tuples(part, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])).map(
                    lambda two: f"(?:{two[0]}){two[1]}"
                ),
            ),
            max_leaves=6,
        ),
        text=st.text("abc", max_size=6),
    )
    @settings(max_examples=300, deadline=None)
    def test_it_agrees_with_the_stock_engine(self, pattern: str, text: str) -> None:
        faults = check_schema({"pattern": pattern})
        if faults:
            assert "deep" in faults[0].message
            return
        found = not JsonSchema({"pattern": pattern}).faults(text)
        assert found == bool(re.search(pattern.replace("$", r"\Z"), text, re.ASCII))
