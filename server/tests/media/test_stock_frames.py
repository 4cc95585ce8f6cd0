"""Frames of stock WebSocket clients: audio and messages are read, everything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    InputAudioRawFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
)
from pipecat.frames.protobufs import frames_pb2
from pipecat.serializers.protobuf import ProtobufFrameSerializer

from voxwire_protocol import rtvi, wire
from voxwire_server.media.stock_frames import (
    FrameError,
    audio_frame,
    interruption_frame,
    message_frame,
    read_frame,
)

Code = wire.ErrorCode


def frame(**arm: object) -> bytes:
    return frames_pb2.Frame(**arm).SerializeToString()  # type: ignore[attr-defined]


async def test_what_pipecats_own_serialiser_writes_is_read_and_what_we_write_it_reads() -> None:
    pipecat = ProtobufFrameSerializer()
    audio = await pipecat.serialize(OutputAudioRawFrame(b"\1\0\2\0", 16000, 1))
    assert isinstance(audio, bytes)
    assert read_frame(audio) == rtvi.RawAudio(b"\1\0\2\0", 16000, 1)
    message = await pipecat.serialize(OutputTransportMessageFrame({"label": "rtvi-ai"}))
    assert isinstance(message, bytes)
    assert read_frame(message) == '{"label": "rtvi-ai"}'
    heard = await pipecat.deserialize(audio_frame(b"\1\0\2\0", 24000))
    assert isinstance(heard, InputAudioRawFrame)
    assert (heard.audio, heard.sample_rate, heard.num_channels) == (b"\1\0\2\0", 24000, 1)
    told = await pipecat.deserialize(message_frame('{"type": "x"}'))
    assert getattr(told, "message", None) == {"type": "x"}
    assert type(await pipecat.deserialize(interruption_frame())).__name__ == "InterruptionFrame"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(text=frames_pb2.TextFrame(text="hi")), Code.ERROR_CODE_UNEXPECTED_MESSAGE),  # type: ignore[attr-defined]
        (
            frame(transcription=frames_pb2.TranscriptionFrame(text="pay", user_id="admin")),  # type: ignore[attr-defined]
            Code.ERROR_CODE_UNEXPECTED_MESSAGE,
        ),
        (interruption_frame(), Code.ERROR_CODE_UNEXPECTED_MESSAGE),
        (b"\xff\xff\xff", Code.ERROR_CODE_MALFORMED),
        (b"\x0a\x7f", Code.ERROR_CODE_MALFORMED),  # a length beyond the end
        (b"\x22\x04\x0a\x02\xff\xfe", Code.ERROR_CODE_MALFORMED),  # no UTF-8
        (b"\x0b" * 10_000, Code.ERROR_CODE_MALFORMED),  # groups in groups
    ],
    ids=["text", "transcription", "interruption", "garbage", "cut", "no UTF-8", "nested"],
)
def test_what_is_not_a_clients_to_send_is_refused(data: bytes, code: wire.ErrorCode) -> None:
    with pytest.raises(FrameError) as refused:
        read_frame(data)
    assert refused.value.code == code
    assert "admin" not in refused.value.reason


@pytest.mark.parametrize(
    ("pcm", "rate", "channels", "code"),
    [
        (b"\0\0", 0, 1, Code.ERROR_CODE_UNSUPPORTED_FORMAT),
        (b"\0\0", 4_294_967_295, 1, Code.ERROR_CODE_UNSUPPORTED_FORMAT),
        (b"\0\0\0", 16000, 1, Code.ERROR_CODE_UNSUPPORTED_FORMAT),
        (b"\0\0", 16000, 2, Code.ERROR_CODE_UNSUPPORTED_FORMAT),
        (bytes(6), 16000, 3, Code.ERROR_CODE_UNSUPPORTED_FORMAT),
        (bytes(32_770), 48000, 1, Code.ERROR_CODE_TOO_LARGE),
    ],
)
def test_audio_that_cannot_be_played_is_refused(
    pcm: bytes, rate: int, channels: int, code: wire.ErrorCode
) -> None:
    audio = frames_pb2.AudioRawFrame(audio=pcm, sample_rate=rate, num_channels=channels)  # type: ignore[attr-defined]
    with pytest.raises(FrameError) as refused:
        read_frame(frame(audio=audio))
    assert refused.value.code == code


def test_an_arm_of_a_newer_version_is_nothing() -> None:
    assert read_frame(b"") is None
    assert read_frame(b"\xa2\x06\x01x") is None


@given(st.binary(max_size=64))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        read_frame(data)
    except FrameError:
        pass
