"""From a Python function to the JSON Schema of its arguments and result. Pure."""

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["Signature", "SignatureError", "read_signature"]

_PLAIN: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    list: {"type": "array"},
    dict: {"type": "object"},
    types.NoneType: {"type": "null"},
    Any: {},
    object: {},
}
_SECTION: Final = re.compile(r"^(Args|Arguments|Returns?|Raises|Yields|Example|Examples|Note):\s*$")
_ENTRY: Final = re.compile(r"^(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


class SignatureError(ValueError):
    """A function that no tool can be made of; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function says of itself.

    Attributes:
        name: Its name.
        description: Its docstring without the sections.
        parameters: JSON Schema of its arguments, an object that allows no others.
        result: JSON Schema of what it returns; None = it does not say.
        injected: Parameters, by name, whose annotation is one of those that were to be injected.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    result: dict[str, Any] | None
    injected: Mapping[str, type]


def read_signature(function: Callable[..., Any], *, inject: tuple[type, ...] = ()) -> Signature:
    """Reads annotations, defaults and a Google style docstring.

    Args:
        function: Any function or callable. Its parameters are annotated with str, int, float,
            bool, list, dict, Literal, unions and None; without an annotation anything is taken.
        inject: Types whose parameters are not the model's to fill.

    Raises:
        SignatureError: A parameter has another type, is positional-only or ``*args``.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        hints = get_type_hints(function)
        parameters = inspect.signature(function).parameters
    except (NameError, TypeError, ValueError) as error:
        raise SignatureError(f"its signature cannot be read: {error}") from error
    description, documented = _read_docstring(inspect.getdoc(function) or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    injected: dict[str, type] = {}
    for parameter in parameters.values():
        hint = hints.get(parameter.name, Any)
        if wanted := [kind for kind in inject if kind is hint or kind in get_args(hint)]:
            injected[parameter.name] = wanted[0]
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise SignatureError(f"{parameter.name} cannot be passed by name")
        if parameter.kind is parameter.VAR_KEYWORD:
            raise SignatureError(f"**{parameter.name} says nothing about what it takes")
        properties[parameter.name] = _property(parameter, hint, documented)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return Signature(name, description, schema, _result(hints.get("return")), injected)


def _property(
    parameter: inspect.Parameter, hint: Any, documented: Mapping[str, str]
) -> dict[str, Any]:
    schema = _schema(hint)
    if schema is None:
        raise SignatureError(f"JSON has nothing for the type of {parameter.name}")
    schema = dict(schema)
    if text := documented.get(parameter.name):
        schema["description"] = text
    default = parameter.default
    if isinstance(default, str | int | float | bool):
        schema["default"] = default
    return schema


def _result(hint: Any) -> dict[str, Any] | None:
    if hint is None or hint is types.NoneType:
        return None
    return _schema(hint) or None


def _schema(hint: Any) -> dict[str, Any] | None:
    """The schema of an annotation; None = there is none."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _union([_schema(argument) for argument in arguments])
    if origin is list and arguments:
        items = _schema(arguments[0])
        return None if items is None else {"type": "array", "items": items}
    if origin is dict and len(arguments) == 2:
        values = _schema(arguments[1])
        return None if values is None else {"type": "object", "additionalProperties": values}
    return _PLAIN.get(origin)


def _union(parts: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    if any(part is None for part in parts):
        return None
    return {"anyOf": parts}


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The text before the first section, and what ``Args`` says of each parameter."""
    described: list[str] = []
    documented: dict[str, str] = {}
    section, current = "", ""
    for line in text.splitlines():
        if heading := _SECTION.match(line):
            section, current = heading.group(1), ""
        elif not section:
            described.append(line)
        elif section in ("Args", "Arguments") and line.strip():
            if entry := _ENTRY.match(line.strip()) if _indent(line) <= 4 else None:
                current = entry.group(1)
                documented[current] = entry.group(2)
            elif current:
                documented[current] += f" {line.strip()}"
    return "\n".join(described).strip(), documented


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
