"""Files, arrays and iterators as microphones and speakers."""

import asyncio
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

import voxwire
from voxwire._timeline import TimelineWriter
from voxwire._wav import read_wav
from voxwire.audio import (
    CallbackSpeaker,
    ClipMicrophone,
    FileSpeaker,
    StreamMicrophone,
    as_microphone,
    as_speaker,
)
from voxwire.playout import PlayoutBuffer

RATE = 24_000


def write_wav(
    path: Path, data: bytes, *, rate: int = 16_000, channels: int = 1, bits: int = 16, tag: int = 1
) -> Path:
    """A WAV file by hand; tag 0xFFFE makes an extensible one."""
    extra = b"" if tag != 0xFFFE else struct.pack("<HHI", 22, bits, 0) + b"\1\0" + bytes(14)
    fmt = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits
    )
    fmt += extra
    chunks = struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    chunks += struct.pack("<4sI", b"LIST", 3) + b"abc\0"
    chunks += struct.pack("<4sI", b"data", len(data)) + data
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks)
    return path


SINE = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000) * 0.5


@pytest.mark.parametrize(
    ("data", "bits", "tag"),
    [
        ((SINE * 127 + 128).astype(np.uint8).tobytes(), 8, 1),
        ((SINE * 32767).astype("<i2").tobytes(), 16, 1),
        ((SINE * 32767).astype("<i2").tobytes(), 16, 0xFFFE),
        ((SINE * 2**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(), 24, 1),
        ((SINE * (2**31 - 1)).astype("<i4").tobytes(), 32, 1),
        (SINE.astype("<f4").tobytes(), 32, 3),
        (SINE.astype("<f8").tobytes(), 64, 3),
    ],
)
def test_every_usual_sample_format_is_read(
    tmp_path: Path, data: bytes, bits: int, tag: int
) -> None:
    samples = read_wav(write_wav(tmp_path / "a.wav", data, bits=bits, tag=tag), sample_rate=16_000)
    assert samples.dtype == np.int16
    assert np.abs(samples - SINE * 32767).max() < (400 if bits == 8 else 4)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_every_rate_becomes_16_khz_and_stereo_is_mixed_down(tmp_path: Path, rate: int) -> None:
    one = (np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 8000).astype("<i2")
    both = np.stack((one, np.zeros_like(one)), axis=1).tobytes()
    path = write_wav(tmp_path / "a.wav", both, rate=rate, channels=2)
    samples = read_wav(path, sample_rate=16_000)
    assert abs(len(samples) - 16_000) <= 2
    assert 3500 < np.abs(samples[1000:-1000]).max() < 4300


def test_a_streamed_header_with_an_endless_size_is_read_to_the_end(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", b"\1\0" * 100)
    data = bytearray(path.read_bytes())
    data[-204:-200] = struct.pack("<I", 0x7FFFF000)
    path.write_bytes(data)
    assert len(read_wav(path, sample_rate=16_000)) == 100


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"not a wav at all", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \2\0\0\0ab"],
)
def test_what_is_no_wav_is_a_media_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(voxwire.MediaError) as caught:
        read_wav(path, sample_rate=16_000)
    assert caught.value.code == voxwire.ErrorCode.UNSUPPORTED_FORMAT


def test_formats_that_are_not_read_say_so(tmp_path: Path) -> None:
    for options in ({"tag": 7, "bits": 16}, {"channels": 0}, {"rate": 5}):
        path = write_wav(tmp_path / "a.wav", b"\0" * 8, **options)
        with pytest.raises(voxwire.MediaError):
            read_wav(path, sample_rate=16_000)
    with pytest.raises(voxwire.MediaError) as caught:
        read_wav(tmp_path / "none.wav", sample_rate=16_000)
    assert caught.value.code == voxwire.ErrorCode.DEVICE


def test_clips_play_one_after_the_other_with_silence_behind() -> None:
    microphone = ClipMicrophone()
    first = microphone.play(np.full(100, 0.5))
    second = microphone.play(np.full(300, 7, np.int16), sample_rate=16_000)
    assert not first.is_set()
    got = microphone.read(320)
    assert first.is_set()
    assert not second.is_set()
    assert (got[:100] == 16384).all()
    assert (got[100:] == 7).all()
    assert len(microphone.read(320)) == 80
    assert second.is_set()
    assert len(microphone.read(320)) == 0


async def test_an_iterator_of_bytes_and_arrays_is_read_at_most_2_s_ahead() -> None:
    given = 0

    async def source():
        nonlocal given
        for _ in range(100):
            given += 1
            yield b"\1\0" * 1600 + b"x"
        yield np.full(10, 3, np.int16)
        yield b""

    microphone = as_microphone(source())
    assert isinstance(microphone, StreamMicrophone)
    pump = asyncio.create_task(microphone.run())
    await asyncio.sleep(0.05)  # real time: silence
    assert 15 <= given <= 25
    total = 0
    while not pump.done() or len(got := microphone.read(320)):
        got = microphone.read(320)
        total += len(got)
        await asyncio.sleep(0)
    assert given == 100
    await pump


def test_what_is_no_microphone_or_speaker_is_a_usage_error() -> None:
    assert as_microphone(None) is None
    assert as_microphone(False) is None
    clips = ClipMicrophone()
    assert as_microphone(clips) is clips
    recording = voxwire.Recording()
    assert as_speaker(recording) is recording
    assert isinstance(as_speaker(lambda samples, media_ms: None), CallbackSpeaker)
    with pytest.raises(voxwire.UsageError):
        as_microphone(5)  # type: ignore[arg-type]
    with pytest.raises(voxwire.UsageError):
        as_speaker(5)  # type: ignore[arg-type]


def play(speaker: voxwire.Speaker) -> None:
    """200 ms at 1 s, an underrun, 100 ms that continue it, a flush in what follows, 40 ms."""
    buffer = PlayoutBuffer(sample_rate=RATE)
    speaker.open(RATE)

    def pull(count: int) -> None:
        for _ in range(count):
            speaker.write(buffer.pull(480), 0.0)

    buffer.push(RATE, np.full(4800, 1000, np.int16))
    pull(15)
    buffer.push(RATE + 4800, np.full(4800, 2000, np.int16))
    pull(12)
    buffer.push(RATE + 9600, np.full(9600, 3000, np.int16))
    pull(2)
    buffer.flush(RATE + 19_200)
    pull(5)
    buffer.push(RATE + 19_200, np.full(960, 4000, np.int16))
    pull(15)
    speaker.close()
    speaker.close()


def test_a_file_is_the_media_timeline(tmp_path: Path) -> None:
    path = tmp_path / "bot.wav"
    recording = voxwire.Recording()
    play(FileSpeaker(path))
    play(recording)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        timeline = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert (timeline == recording.samples).all()
    assert not timeline[:RATE].any()
    timeline = timeline[RATE:]
    assert (timeline[:4800] == 1000).all()
    assert (timeline[4800:9600] == 2000).all()  # the underrun shifted nothing
    assert (timeline[9600:10_560] == 3000).all()
    assert not timeline[10_560 + 240 : 19_200].any()
    assert (timeline[19_200:20_160] == 4000).all()
    assert len(timeline) == 20_160


def test_a_hole_in_the_timeline_costs_no_disk_and_4_gb_are_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = TimelineWriter(path, sample_rate=RATE)
    writer.write(RATE * 3600, np.ones(10, np.int16))
    writer.write(1 << 40, np.ones(10, np.int16))
    writer.close()
    assert path.stat().st_size == 44 + 2 * (RATE * 3600 + 10)
    with pytest.raises(voxwire.MediaError):
        TimelineWriter(tmp_path / "no" / "dir.wav", sample_rate=RATE)


def test_a_function_gets_every_block_with_its_position() -> None:
    calls: list[tuple[int, int]] = []
    play(CallbackSpeaker(lambda samples, media_ms: calls.append((len(samples), media_ms))))
    assert {length for length, _ in calls} == {480}
    assert [media_ms for _, media_ms in calls][:3] == [1000, 1020, 1040]
