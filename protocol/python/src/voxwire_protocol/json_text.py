"""JSON from a peer, read so that no text can do harm: bounded, finite, encodable. Pure."""

import json
from typing import Any, Final

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_schema import JsonSchema

__all__ = ["MAX_JSON_BYTES", "JsonTextError", "dump_json", "parse_json"]

MAX_JSON_BYTES: Final = 48 * 1024
"""Largest text that is read, UTF-8."""

_ANY: Final = JsonSchema(True)


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
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise JsonTextError(ErrorCode.MALFORMED, "the JSON is nested too deep") from None
    except ValueError:
        raise JsonTextError(ErrorCode.MALFORMED, "the text is not JSON") from None
    faults = _ANY.faults(value)
    if faults:
        raise JsonTextError(ErrorCode.MALFORMED, f"the JSON {faults[0].message}")
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
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise JsonTextError(ErrorCode.MALFORMED, "the value cannot be written as JSON") from None
    parse_json(text, max_bytes=max_bytes)
    return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
