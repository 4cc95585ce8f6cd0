"""A server's messages without what opens a session, a relay, a room or a call."""

from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError, Message

from voxwire_protocol import wire

__all__ = ["without_secrets"]

_POOL: Final = wire.Envelope.DESCRIPTOR.file.pool
_SENSITIVITY: Final[Any] = _POOL.FindExtensionByName("voxwire.v1.sensitivity")
_SECRET: Final = _SENSITIVITY.enum_type.values_by_name["SENSITIVITY_SECRET"].number


def without_secrets(data: bytes) -> bytes:
    """The encoded envelope without fields that the schema calls secret, relays, and what a URL
    has beside host and path; what is no envelope stays as it is.
    """
    try:
        envelope = wire.Envelope.FromString(data)
    except DecodeError:
        return data
    return envelope.SerializeToString() if _clear(envelope) else data


def _clear(message: Message) -> bool:
    """Takes the secrets out of a message; true when there were any."""
    changed = False
    for field, value in message.ListFields():
        secret = field.GetOptions().Extensions[_SENSITIVITY] == _SECRET
        if secret or field.message_type is wire.IceServer.DESCRIPTOR:
            message.ClearField(field.name)
            changed = True
        elif isinstance(value, Message):
            changed |= _clear(value)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in value:
                changed |= _clear(one)
        elif isinstance(value, str) and field.name.endswith("_url"):
            parts = urlsplit(value)
            host = parts.netloc.rpartition("@")[2]
            setattr(message, field.name, f"{parts.scheme}://{host}{parts.path}")
            changed = True
    return changed
