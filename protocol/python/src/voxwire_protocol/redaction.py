"""Messages without what opens a session, a relay or a call. Pure.

The schema's ``sensitivity`` option says which fields that are (``options.proto``). Relays are left
out, and of a URL everything beside scheme, host and path.
"""

from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from voxwire_protocol import wire

__all__ = ["without_secrets"]

_POOL: Final = wire.Envelope.DESCRIPTOR.file.pool
_SENSITIVITY: Final[Any] = _POOL.FindExtensionByName("voxwire.v1.sensitivity")
_SECRET: Final = _SENSITIVITY.enum_type.values_by_name["SENSITIVITY_SECRET"].number


def without_secrets(envelope: wire.Envelope) -> wire.Envelope:
    """The very envelope when nothing in it is secret, else a copy whose secrets are empty."""
    payload = envelope.WhichOneof("payload")
    if payload is None or not _can_hide(envelope.DESCRIPTOR.fields_by_name[payload].message_type):
        return envelope
    copy = wire.Envelope()
    copy.CopyFrom(envelope)
    return copy if _clear(getattr(copy, payload)) else envelope


@cache
def _can_hide(kind: Descriptor, inside: frozenset[str] = frozenset()) -> bool:
    """True when such a message has a secret, or a message in it has."""
    if kind.full_name in inside:
        return False
    inside = inside | {kind.full_name}
    return any(
        _is_secret(field)
        or _is_url(field)
        or (field.message_type is not None and _can_hide(field.message_type, inside))
        for field in kind.fields
    )


def _clear(message: Message) -> bool:
    """Empties what is secret; False when there was nothing."""
    found = False
    for field, value in message.ListFields():
        if _is_secret(field):
            message.ClearField(field.name)
            found = True
        elif _is_url(field):
            if (shown := _place(value)) != value:
                setattr(message, field.name, shown)
                found = True
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in [value] if isinstance(value, Message) else value:
                found = _clear(one) or found
    return found


def _is_secret(field: FieldDescriptor) -> bool:
    secret = field.GetOptions().Extensions[_SENSITIVITY] == _SECRET
    return secret or field.message_type is wire.IceServer.DESCRIPTOR


def _is_url(field: FieldDescriptor) -> bool:
    return field.name.endswith("_url") and field.type == field.TYPE_STRING


def _place(url: str) -> str:
    """The URL without who asks, and with what."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
