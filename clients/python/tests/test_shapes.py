"""Audio of another shape is converted to what it sounds like, or refused in words."""

import asyncio
import io
import os
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peer import UNIT_S

import voxwire
from voxwire._devices import block_of
from voxwire._wav import WavReader, read_wav
from voxwire.audio import Microphone, as_microphone
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode

RATE = 16_000
SINE = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE) * 0.5
TONE = np.rint(SINE * 32767).astype("<i2")


async def hear(source: Any) -> Samples:
    """Everything that a session would read of a microphone, 20 ms at a time."""
    microphone = as_microphone(source)
    assert microphone is not None
    pump = asyncio.create_task(microphone.run())
    heard: list[Samples] = []
    silent = 0
    async with asyncio.timeout(20 * UNIT_S):
        while silent < 3:
            samples = microphone.read(320)
            heard.append(samples)
            silent = silent + 1 if pump.done() and not len(samples) else 0
            await asyncio.sleep(0)
    await pump
    return np.concatenate(heard)


async def each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


class Iterable_:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return each(cut(TONE.tobytes(), 640))


STEREO = np.stack((TONE, TONE), axis=1)

SAME: dict[str, Callable[[], Any]] = {
    "int16": lambda: TONE,
    "int16, big-endian": lambda: TONE.astype(">i2"),
    "float32": lambda: SINE.astype(np.float32),
    "float64": lambda: SINE,
    "int32 of full scale": lambda: TONE.astype(np.int32) * 65536,
    "frames × 2": lambda: STEREO,
    "2 × frames": lambda: STEREO.T,
    "frames × 2, out of phase": lambda: np.stack((TONE, -TONE), axis=1),
    "frames × 1": lambda: TONE.reshape(-1, 1),
    "float frames × 2": lambda: np.stack((SINE, SINE), axis=1),
    "bytes in whole blocks": lambda: each(cut(TONE.tobytes(), 640)),
    "bytes cut at odd places": lambda: each(cut(TONE.tobytes(), 641)),
    "single bytes": lambda: each(cut(TONE.tobytes(), 1)),
    "bytearrays": lambda: each([bytearray(TONE.tobytes())]),
    "memoryviews": lambda: each([memoryview(TONE.tobytes())]),
    "float arrays": lambda: each(np.split(SINE, 50)),
    "stereo arrays": lambda: each(np.split(STEREO, 50)),
    "an object with __aiter__": Iterable_,
    "a plain iterator": lambda: iter(cut(TONE.tobytes(), 641)),
    "a plain generator": lambda: (piece for piece in np.split(TONE, 50)),
    "Audio of a plain iterator": lambda: voxwire.Audio(
        iter(np.split(STEREO, 50)), sample_rate=RATE
    ),
    "Audio of bytes": lambda: voxwire.Audio(TONE.tobytes(), sample_rate=RATE),
    "Audio of stereo bytes": lambda: voxwire.Audio(
        STEREO.tobytes(), sample_rate=RATE, num_channels=2
    ),
    "Audio of stereo bytes, cut at odd places": lambda: voxwire.Audio(
        each(cut(STEREO.tobytes(), 333)), sample_rate=RATE, num_channels=2
    ),
}


@pytest.mark.parametrize("name", SAME)
async def test_every_usual_shape_is_the_same_sound(name: str) -> None:
    heard = await hear(SAME[name]())
    assert len(heard) == len(TONE)
    assert np.abs(heard.astype(int) - TONE).max() <= 1


async def test_uint8_is_scaled_around_128() -> None:
    heard = await hear(np.rint(SINE * 127 + 128).astype(np.uint8))
    assert np.abs(heard.astype(int) - TONE).max() <= 400


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["array", "bytes", "iterator"])
async def test_an_array_and_a_stream_of_any_rate_keep_their_length_and_their_end(
    rate: int, kind: str
) -> None:
    sine = np.rint(np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 8000).astype("<i2")
    samples = {
        "array": sine,
        "bytes": sine.tobytes(),
        "iterator": each(cut(sine.tobytes(), 777)),
    }[kind]
    heard = (await hear(voxwire.Audio(samples, sample_rate=rate))).astype(float)
    assert abs(len(heard) - RATE) <= 2
    expected = np.sin(2 * np.pi * 440 * np.arange(len(heard)) / RATE) * 8000
    middle, end = slice(200, -200), slice(-200, -30)
    assert np.abs(heard[middle] - expected[middle]).max() < 200
    assert np.abs(heard[end] - expected[end]).max() < 1000  # the last 12 ms are not lost


REFUSED: dict[str, tuple[Callable[[], Any], ErrorCode, str]] = {
    "a list": (lambda: TONE.tolist(), ErrorCode.INVALID_ARGUMENT, "an array"),
    "a number": (lambda: 5.5, ErrorCode.INVALID_ARGUMENT, "pass"),
    "a class": (lambda: voxwire.ClipMicrophone, ErrorCode.INVALID_ARGUMENT, "instance"),
    "raw bytes": (lambda: TONE.tobytes(), ErrorCode.INVALID_ARGUMENT, "voxwire.Audio("),
    "a path with a NUL": (lambda: "a\0b.wav", ErrorCode.INVALID_ARGUMENT, "NUL"),
    "an empty path": (lambda: "", ErrorCode.INVALID_ARGUMENT, "empty"),
    "no such file": (lambda: "no/such.wav", ErrorCode.DEVICE, "cannot read"),
    "a folder": (lambda: os.sep, ErrorCode.DEVICE, "cannot read"),
    "a text file": (lambda: io.StringIO("RIFF"), ErrorCode.INVALID_ARGUMENT, "'rb'"),
    "raw BytesIO": (lambda: io.BytesIO(TONE.tobytes()), ErrorCode.UNSUPPORTED_FORMAT, "ffmpeg"),
    "int64": (lambda: TONE.astype(np.int64), ErrorCode.UNSUPPORTED_FORMAT, "int16"),
    "uint16": (lambda: TONE.astype(np.uint16), ErrorCode.UNSUPPORTED_FORMAT, "int16"),
    "bool": (lambda: TONE > 0, ErrorCode.UNSUPPORTED_FORMAT, "int16"),
    "complex": (lambda: SINE + 0j, ErrorCode.UNSUPPORTED_FORMAT, "int16"),
    "text": (lambda: np.array(["a"]), ErrorCode.UNSUPPORTED_FORMAT, "int16"),
    "int16 values in int32": (
        lambda: TONE.astype(np.int32),
        ErrorCode.UNSUPPORTED_FORMAT,
        "int16",
    ),
    "int16 values in float": (lambda: TONE * 1.0, ErrorCode.UNSUPPORTED_FORMAT, "-1..1"),
    "NaN": (lambda: np.full(9, np.nan), ErrorCode.UNSUPPORTED_FORMAT, "finite"),
    "infinity": (lambda: np.array([0, np.inf]), ErrorCode.UNSUPPORTED_FORMAT, "finite"),
    "no dimension": (lambda: np.array(5, np.int16), ErrorCode.UNSUPPORTED_FORMAT, "dimension"),
    "a square": (
        lambda: np.zeros((99, 99), np.int16),
        ErrorCode.UNSUPPORTED_FORMAT,
        "frames × channels",
    ),
    "a cube": (
        lambda: np.zeros((9, 2, 2), np.int16),
        ErrorCode.UNSUPPORTED_FORMAT,
        "frames × channels",
    ),
    "half a sample": (
        lambda: voxwire.Audio(b"abc", sample_rate=RATE),
        ErrorCode.UNSUPPORTED_FORMAT,
        "3 bytes",
    ),
    "rate 0": (lambda: voxwire.Audio(TONE, sample_rate=0), ErrorCode.UNSUPPORTED_FORMAT, "Hz"),
    "rate 16.0": (
        lambda: voxwire.Audio(TONE, sample_rate=16000.5),  # type: ignore[arg-type]
        ErrorCode.UNSUPPORTED_FORMAT,
        "Hz",
    ),
    "two channels of a flat array": (
        lambda: voxwire.Audio(STEREO.reshape(-1), sample_rate=RATE, num_channels=2),
        ErrorCode.INVALID_ARGUMENT,
        "num_channels",
    ),
    "0 channels": (
        lambda: voxwire.Audio(b"", sample_rate=RATE, num_channels=0),
        ErrorCode.INVALID_ARGUMENT,
        "num_channels",
    ),
    "Audio of a list": (
        lambda: voxwire.Audio([1], sample_rate=RATE),  # type: ignore[arg-type]
        ErrorCode.INVALID_ARGUMENT,
        "array",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_noise_or_silence_is_refused_before_anything_is_dialled(name: str) -> None:
    make, code, says = REFUSED[name]
    with pytest.raises(voxwire.VoxwireError) as caught:
        voxwire.connect("ws://127.0.0.1:1", microphone=make())
    assert caught.value.code == code
    assert says in caught.value.reason


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ([1, 2], "a list is no piece"),
        (None, "a NoneType is no piece"),
        ("abc", "a str is no piece"),
        (TONE.astype(np.int64), "int64"),
        (SINE * np.nan, "finite"),
    ],
)
async def test_a_stream_that_yields_what_is_no_audio_says_so(item: object, says: str) -> None:
    with pytest.raises(voxwire.MediaError, match=says) as caught:
        await hear(each([TONE, item]))
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


async def test_half_a_sample_at_the_end_of_a_stream_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard = await hear(each([TONE.tobytes() + b"x"]))
    assert (heard == TONE).all()
    assert "middle of a sample" in caplog.text


def test_what_a_microphone_object_returns_is_converted_or_refused() -> None:
    assert (block_of(SINE[:320], 320) == TONE[:320]).all()
    assert (block_of(TONE[:320].tobytes(), 320) == TONE[:320]).all()
    assert not len(block_of(None, 320))
    for wrong in (TONE[:321], [1, 2], "ab", b"abc", SINE[:320] * 32767):
        with pytest.raises(voxwire.MediaError) as caught:
            block_of(wrong, 320)
        assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


def wav(
    data: bytes,
    *,
    tag: int = 1,
    bits: int = 16,
    width: int = 2,
    magic: bytes = b"RIFF",
    size: int | None = None,
    before: bytes = b"",
    behind: bytes = b"",
    rate: int = RATE,
) -> bytes:
    """A mono WAV by hand; `width` = bytes of one sample."""
    fmt = struct.pack("<HHIIHH", tag, 1, rate, rate * width, width, bits)
    body = b"WAVE" + before + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    body += struct.pack("<4sI", b"data", len(data) if size is None else size) + data + behind
    return magic + struct.pack("<I", len(body)) + body


def of_width(width: int) -> bytes:
    """The tone, left-justified in samples of that many bytes."""
    wide = (TONE.astype("<i4") << 16).view(np.uint8).reshape(-1, 4)
    return wide[:, 4 - width :].tobytes()


DS64 = struct.pack("<4sIQQQI", b"ds64", 28, 0, len(TONE) * 2, len(TONE), 0)
LIST = struct.pack("<4sI", b"LIST", 5) + b"INFOx"

WAVS: dict[str, bytes] = {
    "12 bits in 16": wav(of_width(2), bits=12),
    "20 bits in 24": wav(of_width(3), bits=20, width=3),
    "24 bits in 32": wav(of_width(4), bits=24, width=4),
    "streamed, size 0": wav(of_width(2), size=0),
    "streamed, size -1": wav(of_width(2), size=0xFFFFFFFF),
    "streamed, size 2 GB": wav(of_width(2), size=0x7FFFF000),
    "RF64": wav(of_width(2), magic=b"RF64", size=0xFFFFFFFF, before=DS64, behind=LIST),
    "an odd chunk with its pad byte": wav(of_width(2), before=LIST + b"\0"),
    "an odd chunk without it": wav(of_width(2), before=LIST),
    "a chunk behind the audio": wav(of_width(2), behind=LIST + b"\0"),
}


@pytest.mark.parametrize("name", WAVS)
async def test_wavs_of_another_shape_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(WAVS[name])
    assert (read_wav(path, sample_rate=RATE) == TONE).all()
    assert (await hear(path) == TONE).all()
    assert (await hear(WAVS[name]) == TONE).all()
    assert (await hear(io.BytesIO(WAVS[name])) == TONE).all()


def test_an_empty_wav_with_a_chunk_behind_it_has_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(b"", behind=LIST + b"\0"))
    assert not len(read_wav(path, sample_rate=RATE))


@pytest.mark.parametrize(
    ("tag", "codes", "values"),
    [  # ITU-T G.711: the largest, the smallest and one in between
        (7, [0x80, 0x00, 0xFF, 0x7F, 0xA5], [32124, -32124, 0, 0, 6652]),
        (6, [0xAA, 0x2A, 0xD5, 0x55, 0x95], [32256, -32256, 8, -8, 2112]),
    ],
)
def test_telephone_wavs_are_read(
    tag: int, codes: list[int], values: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(bytes(codes), tag=tag, bits=8, width=1))
    assert read_wav(path, sample_rate=RATE).tolist() == values


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (wav(bytes(99), tag=0x11, bits=4, width=1), "IMA ADPCM"),
        (wav(bytes(99), tag=0x02, bits=4, width=1), "Microsoft ADPCM"),
        (wav(bytes(99), tag=0x31, bits=0, width=65), "GSM"),
        (wav(bytes(99), tag=0x55, bits=0, width=1), "MP3"),
        (wav(bytes(99), tag=0x1234, bits=0, width=0), "format 4660"),
        (wav(bytes(99), bits=0, width=0), "0 bits"),
        (wav(bytes(99), bits=40, width=5), "40 bits"),
        (wav(bytes(99), rate=0), "no sense"),
        (wav(bytes(99), magic=b"RIFX"), "big-endian"),
        (b"ID3\4" + bytes(99), "not a WAV"),
        (b"", "not a WAV"),
    ],
)
def test_a_wav_that_is_not_read_says_what_it_is_and_what_to_do(data: bytes, says: str) -> None:
    with pytest.raises(voxwire.MediaError, match=says) as caught:
        as_microphone(io.BytesIO(data))
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


async def test_an_open_file_stays_the_caller_s(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(TONE.tobytes()))
    with path.open("rb") as file:
        assert (await hear(file) == TONE).all()
        assert not file.closed
    with pytest.raises(voxwire.UsageError, match="is closed"):
        as_microphone(file)


async def test_a_pipe_is_read_as_it_comes_and_never_waited_for_on_the_loop() -> None:
    """Nothing is written before the microphone is read: a look at the header would hang."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as file:
        microphone = as_microphone(file)
        assert isinstance(microphone, Microphone)
        pump = asyncio.create_task(microphone.run())
        await asyncio.sleep(0)
        assert not len(microphone.read(320))
        writer = threading.Thread(
            target=lambda: (os.write(into, wav(TONE.tobytes(), size=0xFFFFFFFF)), os.close(into))
        )
        writer.start()
        heard: list[Samples] = []
        async with asyncio.timeout(20 * UNIT_S):
            while not pump.done() or len(heard[-1]):
                heard.append(microphone.read(320))
                await asyncio.sleep(0)
        await pump
        writer.join()
    assert (np.concatenate(heard) == TONE).all()


class Endless(io.RawIOBase):
    """A WAV without an end that counts what is read of it."""

    def __init__(self) -> None:
        self.taken = 0
        self._head = wav(b"", size=0xFFFFFFFF, rate=48_000)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole of it was asked for"
        head, self._head = self._head[:size], self._head[size:]
        data = head or b"\1\0" * (size // 2)
        self.taken += len(data)
        return data


async def test_a_long_wav_is_read_only_a_little_ahead() -> None:
    """Memory: at most 4 s of the file are taken before they are needed."""
    file = Endless()
    second = 2 * 48_000
    reader = WavReader(file, "endless")  # type: ignore[arg-type]
    assert reader.num_frames is None
    next(reader.pieces())
    assert file.taken <= second + 100

    file = Endless()
    microphone = as_microphone(file)
    assert isinstance(microphone, Microphone)
    pump = asyncio.create_task(microphone.run())
    read = 0
    async with asyncio.timeout(20 * UNIT_S):
        while read < 10 * RATE:
            read += len(microphone.read(320))
            assert file.taken <= second * (read / RATE + 4) + 100
            await asyncio.sleep(0)
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)


async def test_the_whole_of_a_long_array_is_not_converted_at_once() -> None:
    """A read of 20 ms converts at most the next second."""
    hour = np.lib.stride_tricks.as_strided(np.zeros(1, np.int16), (3600 * 48_000,), (0,))
    microphone = as_microphone(voxwire.Audio(hour, sample_rate=48_000))
    assert isinstance(microphone, voxwire.ClipMicrophone)
    assert len(microphone.read(320)) == 320
    assert len(microphone._piece) <= RATE
