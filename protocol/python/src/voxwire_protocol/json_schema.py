"""The part of JSON Schema that function calling uses, checked with bounded work.

Own code and not the ``jsonschema`` package, because schemas and values come from peers: that
package follows patterns that backtrack for ever and references that never end, and puts values
into its messages, which then reach logs; around it we would need this walk again. Known keywords
mean what draft 2020-12 says; ``nullable`` is OpenAPI 3.0's. What is not supported is refused when
a schema is made, never ignored when a value is checked.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from voxwire_protocol._json_value import MAX_VALUE_DEPTH, MAX_VALUE_NODES, value_fault
from voxwire_protocol._pattern import Pattern, parse_pattern
from voxwire_protocol._schema_form import (
    MAX_DEPTH,
    REF,
    Fault,
    SchemaError,
    escaped,
    form_faults,
    is_number,
    subschemas,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_FAULTS",
    "MAX_PATTERN_INPUT_CHARS",
    "MAX_VALUE_DEPTH",
    "MAX_VALUE_NODES",
    "MAX_WORK",
    "Fault",
    "JsonSchema",
    "SchemaError",
    "check_schema",
]

MAX_PATTERN_INPUT_CHARS: Final = 1_024
"""Longest string that is held against a pattern, code points."""

MAX_WORK: Final = 100_000
"""Most steps that one check takes; a value that needs more is refused."""

MAX_FAULTS: Final = 8
"""Most faults that one check reports."""

_MAX_APPLIED: Final = 64
_Object = dict[str, Any]


class _TooMuchWork(Exception):
    pass


def check_schema(schema: object) -> tuple[Fault, ...]:
    """Says what is wrong with a schema; empty = it can be used.

    Args:
        schema: What ``json.loads`` made of it.
    """
    return form_faults(schema)[:MAX_FAULTS]


class JsonSchema:
    """A schema that was checked. Immutable; may be shared."""

    def __init__(self, schema: object) -> None:
        """Checks a schema and keeps it; the caller does not change it afterwards.

        Args:
            schema: What ``json.loads`` made of it.

        Raises:
            SchemaError: It is not valid, or uses what is not supported.
        """
        faults = check_schema(schema)
        if faults:
            raise SchemaError(faults)
        self._root = cast("_Object | bool", schema)
        self._patterns = {
            pattern: parse_pattern(pattern)
            for _, _, inner in subschemas(self._root)
            if isinstance(pattern := inner.get("pattern"), str)
        }

    def faults(self, value: object) -> tuple[Fault, ...]:
        """Says where a value does not fit; empty = it does. Never raises.

        Args:
            value: What ``json.loads`` made of it.
        """
        wrong = value_fault(value)
        if wrong:
            return (Fault("", wrong),)
        check = _Check(self._root, self._patterns)
        try:
            return tuple(_first(check.apply(self._root, value, "", 0)))
        except _TooMuchWork:
            return (Fault("", "takes too much work to check"),)


def _first(faults: Iterator[Fault]) -> Iterator[Fault]:
    for _, fault in zip(range(MAX_FAULTS), faults, strict=False):
        yield fault


def _has_type(value: object, name: str) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return is_number(value) and (isinstance(value, int) or cast("float", value) % 1 == 0)
        case "number":
            return is_number(value)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


@dataclass(slots=True)
class _Check:
    """One check of one value."""

    root: "_Object | bool"
    patterns: Mapping[str, Pattern]
    work: int = 0

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise _TooMuchWork

    def apply(self, schema: "_Object | bool", value: Any, path: str, depth: int) -> Iterator[Fault]:
        """Yields what is wrong; the caller may stop early."""
        self.spend(4 + depth)
        if depth > _MAX_APPLIED:
            raise _TooMuchWork  # a reference that never ends
        if isinstance(schema, bool):
            if not schema:
                yield Fault(path, "is not allowed")
            return
        if value is None and schema.get("nullable") is True:
            return
        yield from self._general(schema, value, path)
        yield from self._combined(schema, value, path, depth + 1)
        if isinstance(value, str):
            yield from self._string(schema, value, path)
        elif isinstance(value, list):
            yield from self._array(schema, cast("list[Any]", value), path, depth + 1)
        elif isinstance(value, dict):
            yield from self._object(schema, cast("_Object", value), path, depth + 1)
        elif is_number(value):
            yield from _number(schema, cast("float", value), path)

    def _general(self, schema: _Object, value: Any, path: str) -> Iterator[Fault]:
        if "type" in schema:
            types: list[str] = schema["type"]
            if isinstance(types, str):
                types = [types]
            if not any(_has_type(value, name) for name in types):
                yield Fault(path, "must be " + " or ".join(types))
        if "enum" in schema and not any(self._same(value, one) for one in schema["enum"]):
            yield Fault(path, "must be one of the listed values")
        if "const" in schema and not self._same(value, schema["const"]):
            yield Fault(path, "must be the given constant")

    def _combined(self, schema: _Object, value: Any, path: str, depth: int) -> Iterator[Fault]:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REF)
            yield from self.apply(cast("_Object", self.root)["$defs"][name], value, path, depth)
        for part in schema.get("allOf", ()):
            yield from self.apply(part, value, path, depth)
        if "anyOf" in schema and not any(
            self._fits(part, value, depth) for part in schema["anyOf"]
        ):
            yield Fault(path, "must fit one of the alternatives")
        if "oneOf" in schema:
            fitting = sum(self._fits(part, value, depth) for part in schema["oneOf"])
            if fitting != 1:
                yield Fault(path, "must fit exactly one of the alternatives")

    def _fits(self, schema: "_Object | bool", value: Any, depth: int) -> bool:
        return next(self.apply(schema, value, "", depth), None) is None

    def _string(self, schema: _Object, value: str, path: str) -> Iterator[Fault]:
        if len(value) < schema.get("minLength", 0):
            yield Fault(path, f"must have at least {schema['minLength']} characters")
        if len(value) > schema.get("maxLength", math.inf):
            yield Fault(path, f"must have at most {schema['maxLength']} characters")
        if "pattern" in schema:
            if len(value) > MAX_PATTERN_INPUT_CHARS:
                yield Fault(path, f"is above {MAX_PATTERN_INPUT_CHARS} characters with a pattern")
            elif not self.patterns[schema["pattern"]].found_in(value, self.spend):
                yield Fault(path, "must match the pattern")

    def _array(self, schema: _Object, value: list[Any], path: str, depth: int) -> Iterator[Fault]:
        if len(value) < schema.get("minItems", 0):
            yield Fault(path, f"must have at least {schema['minItems']} items")
        if len(value) > schema.get("maxItems", math.inf):
            yield Fault(path, f"must have at most {schema['maxItems']} items")
        for index, item in enumerate(value if "items" in schema else ()):
            yield from self.apply(schema["items"], item, f"{path}/{index}", depth)

    def _object(self, schema: _Object, value: _Object, path: str, depth: int) -> Iterator[Fault]:
        properties: dict[str, Any] = schema.get("properties", {})
        self.spend(len(properties) + len(value))
        for name in schema.get("required", ()):
            if name not in value:
                yield Fault(f"{path}/{escaped(name)}", "is required")
        for name, inner in properties.items():
            if name in value:
                yield from self.apply(inner, value[name], f"{path}/{escaped(name)}", depth)
        others: Any = schema.get("additionalProperties", True)
        unknown = [name for name in value if name not in properties] if others is not True else []
        if others is False:
            if unknown:
                yield Fault(path, "has a property that is not allowed")
            return
        for name in unknown:  # the name is the peer's own words, so it is not in the path
            yield from self.apply(others, value[name], f"{path}/*", depth)

    def _same(self, one: Any, other: Any) -> bool:
        """Equality of JSON: 1 is 1.0, true is not 1."""
        self.spend(1)
        if isinstance(one, bool) or isinstance(other, bool):
            return one is other
        if isinstance(one, list) and isinstance(other, list):
            pair = cast("list[Any]", one), cast("list[Any]", other)
            return len(pair[0]) == len(pair[1]) and all(map(self._same, *pair))
        if isinstance(one, dict) and isinstance(other, dict):
            left, right = cast("_Object", one), cast("_Object", other)
            return left.keys() == right.keys() and all(
                self._same(left[name], right[name]) for name in left
            )
        return one == other


def _number(schema: _Object, value: float, path: str) -> Iterator[Fault]:
    if "minimum" in schema and value < schema["minimum"]:
        yield Fault(path, f"must be at least {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        yield Fault(path, f"must be at most {schema['maximum']}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield Fault(path, f"must be above {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield Fault(path, f"must be below {schema['exclusiveMaximum']}")
