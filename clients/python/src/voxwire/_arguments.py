"""What a caller passed, checked before anything is done with it. Pure."""

import math
from collections.abc import Iterable
from typing import Any, Final, cast

from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.json_text import JsonTextError, dump_json

__all__ = [
    "MAX_HELLO_BYTES",
    "MAX_METADATA_BYTES",
    "check_hello",
    "flag",
    "invalid",
    "items",
    "json_text",
    "metadata_text",
    "number",
    "text",
    "token_text",
]

MAX_METADATA_BYTES: Final = 8192
"""Of the JSON of `metadata`."""

MAX_HELLO_BYTES: Final = 16_384
"""A server takes no larger Hello: see protocol/spec/limits.md."""

_HELLO_REST_BYTES: Final = 512
"""What a Hello has beside token, bot, metadata and tools."""


def invalid(reason: str) -> UsageError:
    """The error for an argument that cannot be used."""
    return UsageError(ErrorCode.INVALID_ARGUMENT, reason)


def _kind(value: object) -> str:
    return type(value).__name__


def text(value: object, name: str, *, max_chars: int) -> str:
    """The text.

    Raises:
        UsageError: INVALID_ARGUMENT: it is none, too long, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise invalid(f"{name} must be a str, not {_kind(value)}")
    if len(value) > max_chars:
        raise invalid(f"{name} has {len(value)} characters: at most {max_chars} are sent")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(f"{name} has a lone surrogate in it, which no text may have") from None
    return value


def token_text(value: object) -> str:
    """A connect token.

    Raises:
        UsageError: INVALID_ARGUMENT: no token of any server looks like that.
    """
    token = text(value, "token", max_chars=MAX_HELLO_BYTES)
    if not all("!" <= char <= "~" for char in token):
        raise invalid("token must be printable ASCII without spaces, as the server gave it")
    return token


def flag(value: object, name: str) -> bool:
    """The bool.

    Raises:
        UsageError: INVALID_ARGUMENT: it is none.
    """
    if not isinstance(value, bool):
        raise invalid(f"{name} must be True or False, not {_kind(value)}")
    return value


def number(value: object, name: str, *, above: float = -1.0, finite: bool = True) -> float:
    """A duration or a rate.

    Raises:
        UsageError: INVALID_ARGUMENT: it is no number, NaN, negative, or not above `above`.
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or math.isnan(cast("float", value)):
        raise invalid(f"{name} must be a number")
    if cast("float", value) < 0 or cast("float", value) <= above:
        raise invalid(f"{name} must be {'above' if above >= 0 else 'at least'} 0")
    if finite and math.isinf(cast("float", value)):
        raise invalid(f"{name} must be finite")
    return cast("float", value)


def json_text(value: object, name: str, *, max_bytes: int) -> str:
    """The value as JSON.

    Raises:
        UsageError: INVALID_ARGUMENT: JSON cannot hold it, or it is too large.
    """
    try:
        return dump_json(value, max_bytes=max_bytes)
    except JsonTextError as error:
        too_large = error.code == ErrorCode.TOO_LARGE
        what = f"is above {max_bytes} bytes as JSON" if too_large else "is not what JSON can hold"
        advice = "" if too_large else ": text, finite numbers, bool, None, lists and dicts of these"
        raise invalid(f"{name} {what}{advice}") from error


def metadata_text(value: object) -> str:
    """The application's data for the bot, as JSON.

    Raises:
        UsageError: INVALID_ARGUMENT: it is no dict, not JSON, or above 8 KB.
    """
    if not isinstance(value, dict):
        raise invalid(f"metadata must be a dict, not {_kind(value)}")
    return json_text(cast("object", value), "metadata", max_bytes=MAX_METADATA_BYTES)


def items(value: object, name: str) -> list[Any]:
    """The items of a list, or of anything like it.

    Raises:
        UsageError: INVALID_ARGUMENT: it has none.
    """
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise invalid(f"{name} must be a list, not {_kind(cast('object', value))}")
    return list(cast("Iterable[Any]", value))


def check_hello(*, token: str, bot: str, metadata_json: str, tools_bytes: int) -> None:
    """Raises UsageError INVALID_ARGUMENT when these do not fit into one Hello."""
    parts = {
        "token": len(token.encode()),
        "bot": len(bot.encode()),
        "metadata": len(metadata_json.encode()),
        "tools": tools_bytes,
    }
    room = MAX_HELLO_BYTES - _HELLO_REST_BYTES
    if sum(parts.values()) > room:
        sizes = ", ".join(f"{name} {size}" for name, size in parts.items() if size)
        raise invalid(f"what is sent to connect is above {room} bytes: {sizes}")
