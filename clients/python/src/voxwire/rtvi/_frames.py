"""Pipecat's ``Frame``, the protobuf message that stock bots speak over WebSocket. Pure.

By hand, since protobuf keeps one definition of ``pipecat.Frame`` in a process: with generated code
of ours a program could not import Pipecat. Source: pipecat 1.14 ``frames/frames.proto``. Of its
five arms a bot sends audio, messages and interruptions; a client audio and messages. Any other
would become a frame of the bot's pipeline.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["Audio", "BadFrameError", "Interruption", "audio_frame", "message_frame", "read_frame"]

_AUDIO: Final = 2
_MESSAGE: Final = 4
_INTERRUPTION: Final = 5

_MAX_VARINT_BYTES: Final = 10


class BadFrameError(ValueError):
    """Bytes that are no frame."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: int16 little-endian PCM, interleaved.

    Attributes:
        pcm: The samples.
        sample_rate: Hz; 0 = not said.
        num_channels: 0 = not said.
    """

    pcm: bytes
    sample_rate: int
    num_channels: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """The bot was cut off: what it has sent and what has not sounded is void."""


def audio_frame(pcm: bytes, *, sample_rate: int) -> bytes:
    """A frame of the user's voice: int16 little-endian PCM, mono."""
    body = _bytes_field(3, pcm) + _tag(4, 0) + _varint(sample_rate) + _tag(5, 0) + _varint(1)
    return _bytes_field(_AUDIO, body)


def message_frame(text: str) -> bytes:
    """A frame with an RTVI message."""
    return _bytes_field(_MESSAGE, _bytes_field(1, text.encode()))


def read_frame(data: bytes) -> Audio | str | Interruption | None:
    """What a frame holds; None = nothing that a bot tells a client.

    Returns:
        Sound, the text of a message, or an interruption. Of several arms the last counts.

    Raises:
        BadFrameError: It is no frame.
    """
    found: Audio | str | Interruption | None = None
    for number, value in _fields(data):
        match number, value:
            case (2, bytes()):
                found = _audio(value)
            case (4, bytes()):
                found = _message(value)
            case (5, bytes()):
                found = Interruption()
            case (1 | 3, bytes()):
                found = None
            case _:
                pass  # of a newer schema
    return found


def _audio(data: bytes) -> Audio:
    pcm, rate, channels = b"", 0, 0
    for number, value in _fields(data):
        match number, value:
            case (3, bytes()):
                pcm = value
            case (4, int()):
                rate = value & 0xFFFF_FFFF
            case (5, int()):
                channels = value & 0xFFFF_FFFF
            case _:
                pass
    return Audio(pcm, rate, channels)


def _message(data: bytes) -> str:
    text = b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise BadFrameError("a message that is not UTF-8") from None


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Number and value of every field (protobuf's encoding); fixed ones as their bytes."""
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise BadFrameError("a field without a number")
        if wire_type == 0:
            value, at = _read_varint(data, at)
            fields.append((number, value))
            continue
        match wire_type:
            case 1:
                size = 8
            case 2:
                size, at = _read_varint(data, at)
            case 5:
                size = 4
            case _:
                raise BadFrameError("a field of a type that is not in use")
        if at + size > len(data):
            raise BadFrameError("it ends within a field")
        if wire_type == 2:
            fields.append((number, data[at : at + size]))
        at += size
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        if at >= len(data):
            raise BadFrameError("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise BadFrameError("a number of more than 64 bits")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _bytes_field(number: int, data: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(data)) + data
