"""RTVI messages as JSON text: read strictly, written without loss. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import MAX_JSON_DEPTH, text_is_deeper, value_is_deeper

__all__ = [
    "ABSENT",
    "LABEL",
    "MAX_MESSAGE_BYTES",
    "Absent",
    "RtviError",
    "RtviMessage",
    "decode",
    "encode",
    "message_of",
    "read_json",
]

LABEL: Final = "rtvi-ai"
"""The ``label`` of every RTVI message (pipecat ``MESSAGE_LABEL``)."""

MAX_MESSAGE_BYTES: Final = 65_536
"""Largest text that is read unless the caller says otherwise: what a data channel of aiortc and of
browsers carries (``sctp.maxMessageSize``)."""

MAX_NAME_CHARS: Final = 128
"""Longest ``type`` and ``id``."""

_MEMBERS: Final = ("label", "type", "id", "data")


class Absent(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT
"""The ``data`` of a message that has none; null is something else only to who passes it on."""


class RtviError(ValueError):
    """A text that is no RTVI message, or a message that does not say what its type needs.

    Attributes:
        code: MALFORMED; TOO_LARGE; TOOL_CLOSED: a result that nobody waits for; UNSUPPORTED: the
            peer has no message for it.
        reason: One sentence; never contains what the peer sent, apart from names of RTVI.
        message_id: Id of the message, for an ``error-response``; "" = it has none.
    """

    def __init__(self, code: ErrorCode, reason: str, *, message_id: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class RtviMessage:
    """One RTVI message.

    Attributes:
        type: What it is, such as "bot-output"; open, peers have types of their own.
        data: Its content, any JSON value, or ``ABSENT``.
        id: Set on requests and on what answers them; None = the message has none.
        extra: Members beside the four of RTVI, by name.
    """

    type: str
    data: Any = ABSENT
    id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


def message_of(value: object) -> RtviMessage | None:
    """The RTVI message that a JSON value is; None = it is none."""
    if not isinstance(value, dict):
        return None
    found = cast("dict[str, Any]", value)
    kind, message_id = found.get("type"), found.get("id")
    is_named = isinstance(kind, str) and 0 < len(kind) <= MAX_NAME_CHARS
    if found.get("label") != LABEL or not is_named:
        return None
    if message_id is not None and not _is_id(message_id):
        return None
    return RtviMessage(
        type=cast(str, kind),
        data=found.get("data", ABSENT),
        id=message_id,
        extra={name: item for name, item in found.items() if name not in _MEMBERS},
    )


def decode(text: str | bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> RtviMessage:
    """Reads a message. The work is bounded by the length of the text.

    Args:
        text: JSON, UTF-8.
        max_bytes: Largest text, UTF-8.

    Raises:
        RtviError: TOO_LARGE; or MALFORMED: not JSON (RFC 8259), a member that is there twice, a
            number beyond a double, nested more than 128 deep, a lone surrogate, or no RTVI message
            (no object with the label, a type and, if any, an id that is a string).
    """
    value = read_json(text, max_bytes)
    found = message_of(value)
    if found is None:
        raise _malformed(_fault(value))
    return found


def _fault(value: object) -> str:
    """What keeps a value from being a message."""
    if not isinstance(value, dict):
        return "the message is not an object"
    members = cast("dict[str, Any]", value)
    if members.get("label") != LABEL:
        return "the message has not the label of RTVI"
    message_id = members.get("id")
    name = "type" if message_id is None or _is_id(message_id) else "id"
    return f"the {name} of the message is not a string of at most {MAX_NAME_CHARS} characters"


def encode(message: RtviMessage) -> str:
    """Writes a message as JSON without white space; members in the order of RTVI.

    Raises:
        RtviError: MALFORMED: the data is not made of what JSON has, or nested too deep.
    """
    members: dict[str, Any] = {"label": LABEL, "type": message.type}
    if message.id is not None:
        members["id"] = message.id
    if message.data is not ABSENT:
        members["data"] = message.data
    members |= message.extra
    if value_is_deeper(members, MAX_JSON_DEPTH):
        raise _malformed(f"the message is nested more than {MAX_JSON_DEPTH} deep")
    try:
        text = json.dumps(members, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError):
        raise _malformed("the message cannot be written as JSON") from None
    return text


def read_json(text: str | bytes, max_bytes: int) -> object:
    """The value of a JSON text; what may be wrong with it is in `decode`.

    Raises:
        RtviError: TOO_LARGE or MALFORMED.
    """
    if len(text) > max_bytes:
        raise RtviError(ErrorCode.TOO_LARGE, f"the message is above {max_bytes} bytes")
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        if isinstance(text, str) and len(text.encode()) > max_bytes:
            raise RtviError(ErrorCode.TOO_LARGE, f"the message is above {max_bytes} bytes")
    except UnicodeError:
        raise _malformed("the message is not UTF-8") from None
    if text_is_deeper(plain, MAX_JSON_DEPTH):
        raise _malformed(f"the message is nested more than {MAX_JSON_DEPTH} deep")
    try:
        value = json.loads(
            plain,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
        )
        if "\\" in plain:  # an escape may be half of a character
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        raise _malformed("the message is not JSON as it may be sent") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse(_: str) -> Any:
    raise ValueError


def _finite(digits: str) -> float:
    value = float(digits)
    if value - value != 0:  # infinite
        raise ValueError
    return value


def _whole(digits: str) -> int:
    if len(digits) > 310:  # beyond a double, and more work to read with every digit
        raise ValueError
    value = int(digits)
    if abs(value) >= 1 << 1024:
        raise ValueError
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME_CHARS


def _malformed(reason: str) -> RtviError:
    return RtviError(ErrorCode.MALFORMED, reason)
