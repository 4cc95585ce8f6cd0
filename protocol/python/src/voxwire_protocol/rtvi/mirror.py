"""The mirror of RTVI in protobuf (``protocol/proto/voxwire/rtvi/v2``): names, versions, bytes.

`pack` makes of a message what goes over a binary wire or into a record: about a third of the JSON.
A message that the schema does not hold without loss is carried as it is (``Opaque``), so that
nothing is lost whatever a peer sends. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.gen.voxwire.rtvi.v2 import message_pb2, options_pb2
from voxwire_protocol.json_text import value_is_deeper
from voxwire_protocol.rtvi.message import ABSENT, RtviError, RtviMessage, decode, encode
from voxwire_protocol.rtvi.version import Version, parse_version

__all__ = ["MESSAGE_TYPES", "Direction", "MessageType", "is_opaque", "pack", "unpack"]

_MAX_TREE_DEPTH: Final = 24
"""Deepest data that is packed: protobuf nests three messages a level, readers stop at 100."""

_OPEN: Final = frozenset(
    {"google.protobuf.Value", "google.protobuf.Struct", "google.protobuf.ListValue"}
)

_BARE: Final = frozenset({"NoData", "BotInterrupted"})
"""Payloads that stock peers send without data, or with one that says nothing."""

_WITH_LISTS: Final = frozenset({"BotLlmMarker"})
"""Payloads whose lists pipecat writes when they are empty."""


class Direction(Enum):
    """Who sends a message."""

    CLIENT_TO_SERVER = options_pb2.DIRECTION_CLIENT_TO_SERVER
    SERVER_TO_CLIENT = options_pb2.DIRECTION_SERVER_TO_CLIENT


@dataclass(frozen=True, slots=True)
class MessageType:
    """A type of RTVI message.

    Attributes:
        name: Its ``type``.
        direction: Who sends it.
        since: First version that has it; None = older than 1.0.
        until: First version that has it no more; None = RTVI 2.2 has it.
        deprecated_since: Version that deprecated it; None = not deprecated.
    """

    name: str
    direction: Direction
    since: Version | None
    until: Version | None
    deprecated_since: Version | None


def _arms() -> dict[str, list[FieldDescriptor]]:
    """The fields that hold each type, those of a narrow shape first."""
    found: dict[str, list[FieldDescriptor]] = {}
    for field in message_pb2.Message.DESCRIPTOR.oneofs_by_name["payload"].fields:
        name: str = field.GetOptions().Extensions[options_pb2.type]
        if name:
            found.setdefault(name, []).insert(0, field)
    return found


_ARMS: Final = _arms()


def _message_type(name: str, field: FieldDescriptor) -> MessageType:
    said = field.GetOptions().Extensions
    return MessageType(
        name=name,
        direction=Direction(said[options_pb2.direction]),
        since=parse_version(said[options_pb2.since]),
        until=parse_version(said[options_pb2.until]),
        deprecated_since=parse_version(said[options_pb2.deprecated_since]),
    )


MESSAGE_TYPES: Final[Mapping[str, MessageType]] = {
    name: _message_type(name, arms[0]) for name, arms in _ARMS.items()
}
"""Every type of RTVI 1.x to 2.2, by name."""


def pack(message: RtviMessage) -> bytes:
    """The bytes of a message (``voxwire.rtvi.v2.Message``).

    What says nothing is not kept: a typed member that is null, and, of a message that says all
    by its type, the difference between data that is absent, null and ``{}``.

    Raises:
        RtviError: MALFORMED: the message cannot be written as JSON either.
    """
    packed = next(filter(None, (_exact(message, arm) for arm in _ARMS.get(message.type, []))), None)
    if packed is None:
        packed = message_pb2.Message()
        packed.opaque.type = message.type
        packed.opaque.raw_json = encode(message).encode()
    return packed.SerializeToString(deterministic=True)


def unpack(data: bytes, *, max_bytes: int = 16 << 20) -> RtviMessage:
    """The message of bytes that `pack` made.

    Raises:
        RtviError: TOO_LARGE; MALFORMED: these are not such bytes.
    """
    if len(data) > max_bytes:
        raise RtviError(ErrorCode.TOO_LARGE, f"the message is above {max_bytes} bytes")
    packed = message_pb2.Message()
    try:
        packed.ParseFromString(data)
    except DecodeError:
        raise RtviError(ErrorCode.MALFORMED, "these bytes are no message") from None
    if packed.WhichOneof("payload") == "opaque":
        return decode(packed.opaque.raw_json, max_bytes=max_bytes)
    found = _read(packed)
    if found is None:
        raise RtviError(ErrorCode.MALFORMED, "the message has no payload that can be read")
    encode(found)  # refuses what JSON has not, such as NaN
    return found


def is_opaque(data: bytes) -> bool:
    """Whether `pack` had to carry a message as it is.

    Raises:
        RtviError: MALFORMED: these are not such bytes.
    """
    packed = message_pb2.Message()
    try:
        packed.ParseFromString(data)
    except DecodeError:
        raise RtviError(ErrorCode.MALFORMED, "these bytes are no message") from None
    return packed.WhichOneof("payload") == "opaque"


def _exact(message: RtviMessage, field: FieldDescriptor) -> message_pb2.Message | None:
    """The message in a field of the schema; None when that would lose anything."""
    if message.extra or value_is_deeper(message.data, _MAX_TREE_DEPTH):
        return None
    packed = message_pb2.Message()
    if message.id is not None:
        packed.id = message.id
    payload = cast(Message, getattr(packed, field.name))
    payload.SetInParent()
    wanted = message.data
    if payload.DESCRIPTOR.full_name not in _OPEN:
        wanted = _wanted(message.data, cast(Descriptor, payload.DESCRIPTOR))
        if payload.DESCRIPTOR.name in _BARE:
            wanted = ABSENT if wanted is None or wanted == {} else wanted
    try:
        if wanted is not ABSENT:
            json_format.ParseDict(wanted, payload)
        found = _read(packed)
    except (json_format.Error, ValueError, TypeError, AttributeError, OverflowError):
        return None  # of what json_format raises, only the first is documented
    if found is None or _text(found.data) != _text(wanted):
        return None
    return packed


def _read(packed: message_pb2.Message) -> RtviMessage | None:
    arm = packed.WhichOneof("payload")
    field = None if arm is None else message_pb2.Message.DESCRIPTOR.fields_by_name[arm]
    if field is None or field.name == "opaque":
        return None
    payload = cast(Message, getattr(packed, field.name))
    try:
        data: Any = _narrow(
            json_format.MessageToDict(
                payload,
                always_print_fields_with_no_presence=payload.DESCRIPTOR.name in _WITH_LISTS,
            )
        )
    except (json_format.Error, ValueError, TypeError):
        return None
    if data == {}:
        is_unset = payload.DESCRIPTOR.name == "Value" and not payload.ListFields()
        if is_unset or payload.DESCRIPTOR.name in _BARE:
            data = ABSENT
    return RtviMessage(
        type=field.GetOptions().Extensions[options_pb2.type],
        data=data,
        id=packed.id if packed.HasField("id") else None,
    )


def _wanted(data: Any, kind: Descriptor) -> Any:
    """Data as it has to come back: without typed members that are null, which say nothing."""
    if data is None or not isinstance(data, dict):
        return data
    found: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", data).items():
        field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
        inner = field.message_type if field is not None else None
        if inner is not None and inner.full_name not in _OPEN:
            if value is not None:
                found[name] = _wanted(value, inner)
        elif value is not None or field is None or _holds_null(inner):
            found[name] = value
    return found


def _holds_null(kind: Descriptor | None) -> bool:
    return kind is not None and kind.full_name == "google.protobuf.Value"


def _narrow(value: Any) -> Any:
    """Whole doubles as integers: protobuf prints the numbers of a Value as ``3.0``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_narrow(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _narrow(item) for name, item in cast("dict[str, Any]", value).items()}
    return value


def _text(value: Any) -> str:
    """JSON to compare by: Python alone would hold ``True``, ``1`` and ``1.0`` for equal."""
    return json.dumps(_narrow(value), sort_keys=True, default=str)
