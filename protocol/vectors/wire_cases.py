"""One envelope for every payload, with every field set."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict

from voxwire_protocol import wire

# Values that differ between languages when they are read carelessly.
_SPECIAL: dict[str, Any] = {
    "voxwire.v1.Ping.t0_us": 2**53 + 1,  # not a double
    "voxwire.v1.Pong.t2_us": 2**64 - 1,
    "voxwire.v1.Flush.flush_id": 2**32 - 1,
    "voxwire.v1.Transcript.text": "Grüße 👋🏽 שלום 你好",
    "voxwire.v1.Transcript.confidence": 0.9,
    "voxwire.v1.AudioChunk.data": bytes(range(256)),
    "voxwire.v1.ServiceMetric.value": 0.125,
}


def cases() -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Payload name, proto3 JSON and bytes of each envelope."""
    for field in wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields:
        message = wire.Envelope(ack=300)
        if field.name in wire.RELIABLE_PAYLOADS:
            message.seq = field.number
        payload = getattr(message, field.name)
        payload.SetInParent()
        _fill(payload, field.message_type)
        yield field.name, MessageToDict(message), message.SerializeToString()


def _fill(message: Any, descriptor: Descriptor) -> None:
    """Sets every field; of a oneof the last arm."""
    for field in descriptor.fields:
        if field.message_type is None:
            value = _scalar(field)
            if field.label == FieldDescriptor.LABEL_REPEATED:
                getattr(message, field.name).extend([value, value])
            else:
                setattr(message, field.name, value)
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            _fill(getattr(message, field.name).add(), field.message_type)
        else:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name), field.message_type)


def _scalar(field: FieldDescriptor) -> Any:
    if field.full_name in _SPECIAL:
        return _SPECIAL[field.full_name]
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.type == FieldDescriptor.TYPE_STRING:
        return "{}" if field.name.endswith("_json") else field.name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return field.name.encode()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    return 1000 + field.number
