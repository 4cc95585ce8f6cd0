"""Part of ``json_schema``: what a usable schema looks like."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast

from voxwire_protocol._pattern import PatternError, parse_pattern

__all__ = [
    "MAX_DEPTH",
    "MAX_SCHEMAS",
    "REF",
    "Fault",
    "SchemaError",
    "escaped",
    "form_faults",
    "is_number",
    "subschemas",
]

MAX_DEPTH: Final = 8
"""Deepest nesting of a schema's parts; references do not count."""

MAX_SCHEMAS: Final = 1_000
"""Most parts of a schema."""

REF: Final = "#/$defs/"
"""How every ``$ref`` begins."""

_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
# Assertions that we do not have. Ignoring them would let wrong values pass.
_UNSUPPORTED: Final = frozenset(
    [
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
        "prefixItems",
        "additionalItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "multipleOf",
        "$dynamicRef",
        "$recursiveRef",
    ]
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: Where, as a JSON Pointer (RFC 6901); "" = the whole. ``*`` stands for a property
            whose name no schema gives.
        message: What, without the value.
    """

    path: str
    message: str


class SchemaError(ValueError):
    """A schema that cannot be used.

    Attributes:
        faults: What is wrong with it.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.path or '/'} {fault.message}" for fault in faults))
        self.faults = faults


def escaped(name: str) -> str:
    """A property's name in a JSON Pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


def subschemas(schema: object) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yields every part that is an object, outer before inner, with its path and depth.

    Parts of a wrong form are passed over; what lies below MAX_DEPTH + 1 is not visited.
    """
    level = [("", schema)]
    for depth in range(MAX_DEPTH + 2):
        below: list[tuple[str, object]] = []
        for path, part in level:
            if isinstance(part, dict):
                fields = cast("dict[str, Any]", part)
                yield path, depth, fields
                below.extend(_children(path, fields))
        level = below


def form_faults(schema: object) -> tuple[Fault, ...]:
    """Everything that is wrong with a schema, outer parts first."""
    if isinstance(schema, bool):
        return ()
    if not isinstance(schema, dict):
        return (Fault("", "must be an object or a boolean"),)
    root = cast("dict[str, Any]", schema)
    parts = list(islice(subschemas(root), MAX_SCHEMAS + 1))
    if len(parts) > MAX_SCHEMAS:
        return (Fault("", f"has more than {MAX_SCHEMAS} parts"),)
    names = _definitions(root)
    faults: list[Fault] = []
    for path, depth, part in parts:
        if depth > MAX_DEPTH:
            faults.append(Fault(path, f"is nested more than {MAX_DEPTH} deep"))
            break
        faults.extend(_part_faults(path, part, names))
    return tuple(faults)


def _definitions(schema: dict[str, Any]) -> frozenset[str]:
    found: Any = schema.get("$defs")
    return frozenset(cast("dict[str, Any]", found)) if isinstance(found, dict) else frozenset()


def _children(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield f"{path}/{keyword}", schema[keyword]
    for keyword in ("anyOf", "oneOf", "allOf"):
        listed: Any = schema.get(keyword)
        if isinstance(listed, list):
            for index, part in enumerate(cast("list[object]", listed)):
                yield f"{path}/{keyword}/{index}", part
    for keyword in ("properties", "$defs"):
        named: Any = schema.get(keyword)
        if isinstance(named, dict):
            for name, part in cast("dict[str, object]", named).items():
                yield f"{path}/{keyword}/{escaped(name)}", part


def _part_faults(path: str, schema: dict[str, Any], names: frozenset[str]) -> Iterator[Fault]:
    for keyword, value in schema.items():
        where = f"{path}/{keyword}"
        if keyword in _UNSUPPORTED:
            yield Fault(where, "is not supported")
        elif keyword == "$ref":
            if not (
                isinstance(value, str) and value.startswith(REF) and value[len(REF) :] in names
            ):
                yield Fault(where, "must name an entry of the root's $defs")
        elif keyword == "$defs":
            if path or not isinstance(value, dict):
                yield Fault(where, "must be an object, at the root")
        elif keyword == "pattern":
            yield from _pattern_faults(where, value)
        elif keyword in _FORMS:
            form, message = _FORMS[keyword]
            if not form(value):
                yield Fault(where, message)
    yield from (
        Fault(where, "must be an object or a boolean")
        for where, part in _children(path, schema)
        if not isinstance(part, dict | bool)
    )


def _pattern_faults(where: str, value: object) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault(where, "must be a string")
        return
    try:
        parse_pattern(value)
    except PatternError as error:
        yield Fault(where, str(error))


def _is_types(value: Any) -> bool:
    names = cast("list[object]", value) if isinstance(value, list) else [cast("object", value)]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) for name in cast("list[object]", value)
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: object) -> bool:
    """Whether this is a number of JSON."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(cast("list[object]", value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


_FORMS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "type": (_is_types, "must be a type's name or a list of such"),
    "properties": (_is_object, "must be an object"),
    "required": (_is_strings, "must be a list of strings"),
    "nullable": (_is_bool, "must be a boolean"),
    **dict.fromkeys(("enum", "anyOf", "oneOf", "allOf"), (_is_filled_list, "must be a list")),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems"), (_is_count, "must be a whole number")
    ),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        (is_number, "must be a number"),
    ),
}
