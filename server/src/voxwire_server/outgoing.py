"""What a bot brings, made fit for the wire: text that is UTF-8, JSON that every client can read.

Pure. A bot's frames carry whatever a model, a provider or a program put into them; a message of
the protocol takes only text that can be encoded.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_schema import MAX_VALUE_DEPTH
from voxwire_protocol.json_text import MAX_JSON_DEPTH, JsonTextError, value_is_deeper

__all__ = ["MAX_APP_MESSAGE_BYTES", "app_json", "sendable", "shown_json"]

MAX_APP_MESSAGE_BYTES: Final = 393_216
"""Largest JSON of an application's message to the client, UTF-8; one is kept for a replay whole."""

_MAX_SHOWN_BYTES: Final = 65_536


def sendable(text: object) -> str:
    """The text as the wire takes it.

    Args:
        text: Any text; anything else is written as text.

    Returns:
        The same, with U+FFFD for every lone surrogate. Two halves of a pair that stand side by
        side become the character that they are, so characters are counted afterwards.
    """
    string = text if type(text) is str else str(text)
    try:
        string.encode()
    except UnicodeEncodeError:
        return string.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return string


def app_json(value: object, *, max_bytes: int = MAX_APP_MESSAGE_BYTES) -> str:
    """A value of the application's as JSON (RFC 8259); its texts are made :func:`sendable`.

    Raises:
        JsonTextError: TOO_LARGE, or MALFORMED: it is not made of what JSON has, or is nested
            deeper than 32.
    """
    return _json(value, max_bytes, MAX_VALUE_DEPTH, None)


def shown_json(value: object) -> str:
    """A value that is only shown, as JSON; the name of its type where that cannot be."""
    try:
        return _json(value, _MAX_SHOWN_BYTES, MAX_JSON_DEPTH, str)
    except JsonTextError:
        return json.dumps(sendable(type(value).__name__))


def _json(
    value: object, max_bytes: int, max_depth: int, default: Callable[[Any], Any] | None
) -> str:
    if value_is_deeper(value, max_depth):
        raise JsonTextError(ErrorCode.MALFORMED, "the value is nested too deep for JSON")
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=default)
    except TypeError as error:  # names types, never values
        reason = f"the value cannot be written as JSON: {error}"
        raise JsonTextError(ErrorCode.MALFORMED, reason) from None
    except ValueError:
        reason = "the value cannot be written as JSON: a number is not finite, or too long"
        raise JsonTextError(ErrorCode.MALFORMED, reason) from None
    text = sendable(text)
    if len(text.encode()) > max_bytes:
        raise JsonTextError(ErrorCode.TOO_LARGE, f"the JSON is above {max_bytes} bytes")
    return text
