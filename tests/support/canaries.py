"""Messages whose every protected field holds a canary, made from the schema itself."""

import base64
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message

from voxwire_protocol import wire
from voxwire_protocol.gen.voxwire.v1 import options_pb2

__all__ = ["CANARY", "envelopes", "traces_of"]

CANARY = "CANARY-5ec2e7-of-at-least-32-characters"
PLAIN = "plain"


def traces_of(secret: str) -> set[str]:
    """How a secret may show in a log: as it is, in hex, in Base64 at any offset."""
    data = secret.encode()
    shown = {secret, data.hex(), data.hex().upper()}
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
        shown.add(text[4:-2])
    return shown


def _protected(field: FieldDescriptor) -> bool:
    level = field.GetOptions().Extensions[options_pb2.sensitivity]
    return level != options_pb2.SENSITIVITY_UNSPECIFIED or field.type == FieldDescriptor.TYPE_BYTES


def _set(message: Message, field: FieldDescriptor, depth: int) -> None:
    value: object = 1
    if field.type == FieldDescriptor.TYPE_STRING:
        value = CANARY if _protected(field) else PLAIN
    elif field.type == FieldDescriptor.TYPE_BYTES:
        value = CANARY.encode()
    target = getattr(message, field.name)
    if field.message_type is not None:
        if depth < 4:
            child = target.add() if hasattr(target, "add") else target
            child.SetInParent()
            _fill(child, depth + 1)
    elif hasattr(target, "append"):
        target.append(value)
    else:
        setattr(message, field.name, value)


def _fill(message: Message, depth: int = 0, only: OneofDescriptor | None = None) -> None:
    for field in message.DESCRIPTOR.fields:
        if only is None or field.containing_oneof is not only:
            _set(message, field, depth)


def envelopes(payloads: frozenset[str]) -> Iterator[wire.Envelope]:
    """One envelope for each payload, and one more for each further member of its oneofs."""
    for name in sorted(payloads):
        envelope = wire.Envelope()
        child: Message = getattr(envelope, name)
        child.SetInParent()
        _fill(child)
        yield envelope
        for oneof in child.DESCRIPTOR.oneofs:
            for member in oneof.fields:
                other = wire.Envelope()
                payload: Message = getattr(other, name)
                payload.SetInParent()
                _fill(payload, only=oneof)
                _set(payload, member, 0)
                yield other
