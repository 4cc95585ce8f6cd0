"""The client's codec of Pipecat's frames against Pipecat's own, which stands in the wheel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.protobufs import frames_pb2

from tests.support.stock_socket import frame
from voxwire.rtvi._frames import (
    Audio,
    BadFrameError,
    Interruption,
    audio_frame,
    message_frame,
    read_frame,
)

whole = st.integers(min_value=0, max_value=2**32 - 1)


@given(pcm=st.binary(max_size=400), rate=whole)
def test_what_the_client_sends_is_what_pipecat_reads(pcm: bytes, rate: int) -> None:
    found = frames_pb2.Frame.FromString(audio_frame(pcm, sample_rate=rate))  # type: ignore[attr-defined]
    assert found.WhichOneof("frame") == "audio"
    assert (found.audio.audio, found.audio.sample_rate) == (pcm, rate)
    assert found.audio.num_channels == 1


@given(text=st.text(max_size=300))
def test_messages_go_both_ways(text: str) -> None:
    found = frames_pb2.Frame.FromString(message_frame(text))  # type: ignore[attr-defined]
    assert found.message.data == text
    assert message_frame(text) == found.SerializeToString() or not text
    assert read_frame(frame(message=frames_pb2.MessageFrame(data=text))) == text  # type: ignore[attr-defined]


@given(
    pcm=st.binary(max_size=400),
    rate=whole,
    channels=whole,
    name=st.text(max_size=20),
    number=st.integers(min_value=0, max_value=2**64 - 1),
)
def test_audio_of_a_bot_is_read_whatever_stands_beside_it(
    pcm: bytes, rate: int, channels: int, name: str, number: int
) -> None:
    raw = frames_pb2.AudioRawFrame(  # type: ignore[attr-defined]
        id=number, name=name, audio=pcm, sample_rate=rate, num_channels=channels, pts=number
    )
    assert read_frame(frame(audio=raw)) == Audio(pcm, rate, channels)


def test_every_arm_of_the_schema_is_known() -> None:
    arms = frames_pb2.Frame.DESCRIPTOR.oneofs_by_name["frame"].fields  # type: ignore[attr-defined]
    empty = {arm.name: arm.message_type._concrete_class() for arm in arms}
    found = {name: read_frame(frame(**{name: arm})) for name, arm in empty.items()}
    assert found == {
        "text": None,
        "audio": Audio(b"", 0, 0),
        "transcription": None,
        "message": "",
        "interruption": Interruption(),
    }


@given(data=st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        found = read_frame(data)
    except BadFrameError:
        return
    assert found is None or isinstance(found, Audio | str | Interruption)


@pytest.mark.parametrize(
    "data", [b"\x12", b"\x12\x05abc", b"\x80" * 12, b"\x00\x00", b"\x22\x03\x0a\x01\xff", b"\x0b"]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrameError):
        read_frame(data)


def test_a_newer_schema_does_not_disturb() -> None:
    known = message_frame("hello")
    unknown = b"\xa2\x06\x03abc" + b"\xa8\x06\x01" + b"\xad\x06" + bytes(4) + b"\xb1\x06" + bytes(8)
    assert read_frame(unknown + known + unknown) == "hello"
