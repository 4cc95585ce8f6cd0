"""The wire between the server and its helper processes.

Both pipes carry messages of the same shape: a 9-byte little-endian header
(``kind: u8, request_id: u32, payload_bytes: u32``) and the payload. Control payloads are JSON
(UTF-8), ``AUDIO`` is raw PCM (int16 little-endian, mono, at the helper's own rate). What ``ASK``
carries is between the client and its helper.

This module is imported on both sides and imports neither asyncio nor pipecat.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any, BinaryIO

__all__ = [
    "HEADER_BYTES",
    "MAX_PAYLOAD_BYTES",
    "Kind",
    "decode",
    "encode",
    "encode_json",
    "read_exactly",
    "unpack_header",
]

MAX_PAYLOAD_BYTES = 1 << 20
"""A header that names more than this is a broken stream, no long sentence and no long speech."""

_HEADER = struct.Struct("<BII")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a message is; below 64 it goes to the helper, from 64 on it comes from it."""

    ASK = 1
    CANCEL = 2
    READY = 64
    AUDIO = 65
    NOTE = 66
    DONE = 67
    FAILED = 68


def encode(kind: Kind, request_id: int, payload: bytes = b"") -> bytes:
    """Return one framed message.

    Args:
        kind: What the payload is.
        request_id: The request it belongs to; 0 for ``READY``.
        payload: The payload, at most ``MAX_PAYLOAD_BYTES`` bytes.

    Raises:
        ValueError: The payload is too long to frame.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"payload of {len(payload)} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return _HEADER.pack(kind, request_id, len(payload)) + payload


def encode_json(kind: Kind, request_id: int, value: Any) -> bytes:
    """Return one framed message whose payload is ``value`` as JSON."""
    return encode(kind, request_id, json.dumps(value, ensure_ascii=False).encode())


def decode(payload: bytes) -> Any:
    """Return the JSON value of a control payload."""
    return json.loads(payload)


def unpack_header(header: bytes) -> tuple[Kind, int, int]:
    """Split a header.

    Args:
        header: Exactly ``HEADER_BYTES`` bytes.

    Returns:
        The kind, the request id and the payload's length in bytes.

    Raises:
        ValueError: The kind is unknown or the length is out of bounds.
    """
    kind, request_id, payload_bytes = _HEADER.unpack(header)
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise ValueError(f"payload of {payload_bytes} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return Kind(kind), request_id, payload_bytes


def read_exactly(source: BinaryIO, num_bytes: int) -> bytes:
    """Read so many bytes, however many reads that takes: a pipe may give fewer at a time.

    Raises:
        EOFError: The source ended before.
    """
    read = bytearray()
    while len(read) < num_bytes:
        data = source.read(num_bytes - len(read))
        if not data:
            raise EOFError(f"the pipe ended after {len(read)} of {num_bytes} bytes")
        read += data
    return bytes(read)
