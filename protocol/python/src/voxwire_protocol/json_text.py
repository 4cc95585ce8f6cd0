"""JSON from a peer, read so that no text can do harm: bounded, finite, encodable. Pure."""

import json
import re
from typing import Any, Final, cast

from voxwire_protocol._json_value import MAX_VALUE_DEPTH, value_fault
from voxwire_protocol.errors import ErrorCode

__all__ = [
    "MAX_JSON_BYTES",
    "MAX_JSON_DEPTH",
    "JsonTextError",
    "dump_json",
    "load_json",
    "parse_json",
    "text_is_deeper",
    "value_is_deeper",
]

MAX_JSON_BYTES: Final = 48 * 1024
"""Largest text that is read, UTF-8."""

MAX_JSON_DEPTH: Final = 128
"""Most lists and objects within each other in what is only shown or passed on.

Depth is always counted before Python's own reader or writer sees a text or value: where those
give up depends on the interpreter and on who calls.
"""

_END: Final = object()
_TOO_DEEP: Final = f"the JSON is nested more than {MAX_VALUE_DEPTH} deep"
# A string that is not closed runs to the end, so that every character is looked at once.
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


class JsonTextError(ValueError):
    """A text that is not JSON as it may be sent.

    Attributes:
        code: TOO_LARGE or MALFORMED.
        reason: One sentence; never contains the text.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def parse_json(text: str, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Reads a value from JSON (RFC 8259).

    Args:
        text: What the peer sent.
        max_bytes: Largest text, UTF-8.

    Raises:
        JsonTextError: Too large; not JSON (NaN and Infinity are not, nor are numbers beyond a
            double); nested or branched too much to be checked; a lone surrogate in a string,
            which could not be sent on.
    """
    if len(text) > max_bytes or len(text.encode(errors="surrogatepass")) > max_bytes:
        raise JsonTextError(ErrorCode.TOO_LARGE, f"the JSON is above {max_bytes} bytes")
    if text_is_deeper(text, MAX_VALUE_DEPTH + 1):  # the last may be empty
        raise JsonTextError(ErrorCode.MALFORMED, _TOO_DEEP)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        raise JsonTextError(ErrorCode.MALFORMED, "the text is not JSON") from None
    if fault := value_fault(value):
        raise JsonTextError(ErrorCode.MALFORMED, f"the JSON {fault}")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:  # UnicodeEncodeError, or an integer too long to be written
        raise JsonTextError(ErrorCode.MALFORMED, "the JSON cannot be encoded as UTF-8") from None
    return value


def dump_json(value: object, *, max_bytes: int = MAX_JSON_BYTES) -> str:
    """Writes a value as JSON that `parse_json` reads.

    Raises:
        JsonTextError: It is not made of what JSON has, or the text is too large.
    """
    if value_is_deeper(value, MAX_VALUE_DEPTH + 1):
        raise JsonTextError(ErrorCode.MALFORMED, _TOO_DEEP)
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise JsonTextError(ErrorCode.MALFORMED, "the value cannot be written as JSON") from None
    parse_json(text, max_bytes=max_bytes)
    return text


def load_json(text: str) -> Any:
    """Reads JSON that is only shown or passed on.

    Raises:
        ValueError: It is not JSON, or nested more than ``MAX_JSON_DEPTH`` deep.
    """
    if text_is_deeper(text, MAX_JSON_DEPTH):
        raise ValueError(f"the JSON is nested more than {MAX_JSON_DEPTH} deep")
    return json.loads(text)


def text_is_deeper(text: str, max_depth: int) -> bool:
    """Whether more lists and objects than so many are within each other in a JSON text.

    Of a text that is not JSON, what counts is the part before its first fault.
    """
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        char = text[match.start()]
        if char in "[{":
            depth += 1
            if depth > max_depth:
                return True
        elif char in "]}":
            depth -= 1
    return False


def value_is_deeper(value: object, max_depth: int) -> bool:
    """Whether more lists and dicts than so many are within each other in a value.

    A value within itself is deeper than any number.
    """
    levels = [iter((value,))]
    while levels:
        node = next(levels[-1], _END)
        if node is _END:
            levels.pop()
        elif isinstance(node, dict):
            levels.append(iter(cast("dict[object, object]", node).values()))
        elif isinstance(node, list | tuple):
            levels.append(iter(cast("list[object]", node)))
        if len(levels) > max_depth + 1:
            return True
    return False


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
