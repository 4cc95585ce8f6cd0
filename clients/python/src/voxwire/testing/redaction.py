"""Encoded messages without what opens a session, a relay, a room or a call."""

from google.protobuf.message import DecodeError

from voxwire_protocol import redaction, wire

__all__ = ["without_secrets"]


def without_secrets(data: bytes) -> bytes:
    """The encoded envelope by the rules of `voxwire_protocol.redaction`; what is none stays."""
    try:
        envelope = wire.Envelope.FromString(data)
    except DecodeError:
        return data
    shown = redaction.without_secrets(envelope)
    return data if shown is envelope else shown.SerializeToString()
