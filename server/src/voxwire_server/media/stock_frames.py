"""The binary WebSocket messages of stock Pipecat peers: a ``Frame`` of five arms.

The schema is Pipecat's own (``pipecat/frames/frames.proto``), loaded when the first is read: its
generated module has the name in protobuf's pool that a copy of ours would need.
"""

from functools import cache
from importlib import import_module
from typing import Any, Final

from google.protobuf.message import DecodeError

from voxwire_protocol import rtvi, wire

__all__ = ["FrameError", "audio_frame", "interruption_frame", "message_frame", "read_frame"]

_MAX_AUDIO_BYTES: Final = 32_768
"""Longest audio of one frame: a third of a second at 48 kHz."""
_RATES: Final = range(8000, 48_001)
_CHANNELS: Final = (1, 2)


class FrameError(ValueError):
    """A frame that is not taken; whoever sent it goes on.

    Attributes:
        code: Why; MALFORMED: the bytes are no frame.
        reason: One sentence, nothing of the frame.
    """

    def __init__(self, code: "wire.ErrorCode", reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@cache
def _schema() -> Any:
    return import_module("pipecat.frames.protobufs.frames_pb2")


def read_frame(data: bytes) -> rtvi.RawAudio | str | None:
    """The audio or the RTVI message in a client's frame; None = an arm that nobody knows.

    Raises:
        FrameError: MALFORMED: the bytes are no frame; UNEXPECTED_MESSAGE: text, a transcription or
            an interruption, which stock servers make frames of their pipeline;
            UNSUPPORTED_FORMAT or TOO_LARGE: audio that cannot be taken.
    """
    try:
        frame = _schema().Frame.FromString(data)
    except DecodeError:
        code = wire.ErrorCode.ERROR_CODE_MALFORMED
        raise FrameError(code, "the binary message is no Frame of Pipecat") from None
    match frame.WhichOneof("frame"):
        case "message":
            return str(frame.message.data)
        case "audio":
            return _audio(frame.audio)
        case None:
            return None
        case _:
            code = wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE
            raise FrameError(code, "a client sends frames with audio and messages, no others")


def _audio(frame: Any) -> rtvi.RawAudio:
    pcm, channels = bytes(frame.audio), int(frame.num_channels) or 1
    if len(pcm) > _MAX_AUDIO_BYTES:
        reason = f"a frame has at most {_MAX_AUDIO_BYTES} bytes of audio"
        raise FrameError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
    whole = channels in _CHANNELS and len(pcm) % (2 * channels) == 0
    if frame.sample_rate not in _RATES or not whole:
        reason = "audio is int16 PCM of one or two channels at 8 to 48 kHz"
        raise FrameError(wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)
    return rtvi.RawAudio(pcm=pcm, sample_rate=int(frame.sample_rate), num_channels=channels)


def audio_frame(pcm: bytes, sample_rate: int) -> bytes:
    """A frame of the bot's voice, mono."""
    frame = _schema().Frame()
    frame.audio.audio = pcm
    frame.audio.sample_rate = sample_rate
    frame.audio.num_channels = 1
    return frame.SerializeToString()


def message_frame(text: str) -> bytes:
    """A frame with an RTVI message."""
    frame = _schema().Frame()
    frame.message.data = text
    return frame.SerializeToString()


def interruption_frame() -> bytes:
    """What tells a client that can be told so to drop what it has not played."""
    frame = _schema().Frame()
    frame.interruption.SetInParent()
    return frame.SerializeToString()
