"""What a session hears and plays with: the protocols, and what `connect` makes them of.

A microphone is read in real time by the session, a speaker is written in real time; neither may
block. Both are owned by the session that they were passed to, which closes them; a file that was
passed open stays the caller's.
"""

import asyncio
import inspect
import io
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxwire._arguments import invalid
from voxwire._live.backend import Device
from voxwire._microphones import CAPTURE_RATE, ClipMicrophone, StreamMicrophone, WavMicrophone
from voxwire._samples import MAX_CHANNELS, check_rate, unsupported
from voxwire._speakers import (
    AsyncCallbackSpeaker,
    CallbackSpeaker,
    FileSpeaker,
    NoSpeaker,
    Recording,
)
from voxwire._wav import WavReader, open_wav
from voxwire.playout import Block, Samples
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = [
    "CAPTURE_RATE",
    "Audio",
    "CallbackSpeaker",
    "Clip",
    "ClipMicrophone",
    "FileSpeaker",
    "Microphone",
    "MicrophoneLike",
    "Playable",
    "Recording",
    "Speaker",
    "SpeakerLike",
    "StreamMicrophone",
    "as_clip",
    "as_microphone",
    "as_speaker",
]

_INSTEAD: Final = (
    "a WAV (path, bytes or an open file), an array, an iterator (async or not),"
    " voxwire.Audio(samples, sample_rate=...), or an object like Microphone"
)


@runtime_checkable
class Microphone(Protocol):
    """Where the user's audio comes from: int16 mono at 16 kHz.

    It is read in real time from when the session is ready. One that has an attribute `live` that is
    True does not wait: it runs and is read from `connect` on, and the last 3 s are sent first. If
    it has a method `forget()`, too, that is called when it is unmuted: drop what was heard before.
    """

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples, at most `num_samples`; what is missing is sent as silence."""
        ...

    async def run(self) -> None:
        """Runs beside the session until it ends; returns at once if there is nothing to do."""
        ...


class Clip(Microphone, Protocol):
    """A microphone that comes to an end."""

    @property
    def finished(self) -> asyncio.Event:
        """Set once the last sample was read."""
        ...

    @property
    def played_samples(self) -> int:
        """How many have been read, at 16 kHz."""
        ...


@runtime_checkable
class Speaker(Protocol):
    """Where the bot's audio goes."""

    def open(self, sample_rate: int) -> None:
        """Prepares for int16 mono blocks at that rate, Hz."""
        ...

    def write(self, block: Block, at: float) -> None:
        """Takes the next 20 ms; its first sample sounds at `at`, seconds of the monotonic clock."""
        ...

    def close(self) -> None:
        """Ends; may be called again, and without `open`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Audio that does not say its own rate, for `connect(microphone=...)`.

    Attributes:
        samples: bytes (int16 little-endian, interleaved), an array, or an iterator of either,
            async or not; a plain one may block, it is asked in a thread. Arrays: int16, int32 or
            uint8 of full scale, or float in -1..1; mono, or frames × channels.
        sample_rate: Hz.
        num_channels: Of bytes; an array shows its own.
    """

    samples: bytes | bytearray | memoryview | NDArray[Any] | AsyncIterable[Any] | Iterator[Any]
    sample_rate: int = field(kw_only=True)
    num_channels: int = field(default=1, kw_only=True)


MicrophoneLike = (
    bool
    | int
    | Device
    | str
    | os.PathLike[str]
    | bytes
    | BinaryIO
    | NDArray[Any]
    | Audio
    | AsyncIterable[Any]
    | Iterator[Any]
    | Microphone
    | None
)
"""A live device (True = the default one, an index, `Device`), a WAV (path, bytes, or a file that is
open for reading), an array (16 kHz), an iterator of audio (16 kHz), async or not, `Audio` (any
rate), a `Microphone`, or none."""

Playable = (
    str
    | os.PathLike[str]
    | bytes
    | BinaryIO
    | NDArray[Any]
    | Audio
    | AsyncIterable[Any]
    | Iterator[Any]
)
"""What comes to an end: a `MicrophoneLike` that is neither a device nor a `Microphone`."""

SpeakerLike = (
    bool
    | int
    | Device
    | str
    | os.PathLike[str]
    | Callable[[Samples, int], object]
    | Callable[[Samples, int], Awaitable[object]]
    | Speaker
    | None
)
"""A live device (True = the default one, an index, `Device`), a WAV path, a function (async or
not), a `Speaker` (for instance `Recording()`), or none."""


def _no_device(what: str) -> UsageError:
    return UsageError(
        ErrorCode.UNSUPPORTED,
        f"a live {what} belongs to a session: connect({what}=True) makes it",
    )


def _path(value: object, what: str, instead: str) -> str:
    try:
        path = os.fsdecode(cast("os.PathLike[str]", value))
    except (TypeError, ValueError):
        raise invalid(f"a {type(value).__name__} is no {what}: pass {instead}") from None
    if not path or "\0" in path:
        raise invalid(f"a {what}'s path is not empty and has no NUL in it")
    return path


def as_microphone(source: MicrophoneLike) -> Microphone | None:
    """Makes a microphone of what a caller passed; None = the user is not heard.

    Raises:
        UsageError: It is nothing that can be read.
        MediaError: The audio cannot be read; what only a stream shows is told by the session.
    """
    if source is None or source is False:
        return None
    if source is True or isinstance(source, Device):
        raise _no_device("microphone")
    if isinstance(source, type):
        raise invalid(f"the class {source.__name__} is no microphone: pass an instance")
    if isinstance(source, Microphone):
        return source
    if isinstance(source, Audio):
        return _of_audio(source)
    if isinstance(source, np.ndarray):
        return _clip(source, CAPTURE_RATE)
    if isinstance(source, bytes | bytearray | memoryview):
        return _of_wav_bytes(bytes(source))
    if hasattr(source, "read") and hasattr(source, "readable"):
        return _of_file(cast("BinaryIO", source))
    if isinstance(source, AsyncIterable | Iterator):
        return StreamMicrophone(source)
    return _of_path(_path(source, "microphone", _INSTEAD))


def as_clip(source: Playable) -> Clip:
    """Makes of what a caller passed what comes to an end.

    Raises:
        UsageError: It does not, or is nothing that can be read.
        MediaError: The audio cannot be read; what only a stream shows is told while it plays.
    """
    given = cast("object", source)
    if given is None or isinstance(given, bool | int | Device | Microphone):
        raise invalid(
            f"a {type(given).__name__} does not come to an end: pass a WAV (path, bytes or an open"
            " file), an array, an iterator or voxwire.Audio; set_microphone() takes the rest"
        )
    return cast("Clip", as_microphone(source))


def _clip(samples: NDArray[Any], sample_rate: int) -> Microphone:
    clips = ClipMicrophone()
    clips.play(samples, sample_rate=sample_rate)
    return clips


def _of_audio(audio: Audio) -> Microphone:
    rate, channels = check_rate(audio.sample_rate), audio.num_channels
    if type(channels) is not int or not 1 <= channels <= MAX_CHANNELS:
        raise invalid(f"num_channels is a whole number of 1 to {MAX_CHANNELS}")
    samples = audio.samples
    if isinstance(samples, np.ndarray):
        if channels > 1 and samples.ndim == 1:
            raise invalid("num_channels is of bytes: reshape the array to frames × channels")
        return _clip(samples, rate)
    if isinstance(samples, bytes | bytearray | memoryview):
        data = bytes(samples)
        if len(data) % (2 * channels):
            raise unsupported(f"{len(data)} bytes are no whole number of int16 samples")
        return _clip(np.frombuffer(data, "<i2").reshape(-1, channels), rate)
    if hasattr(samples, "__aiter__") or isinstance(samples, Iterator):
        return StreamMicrophone(samples, sample_rate=rate, num_channels=channels)
    raise invalid(
        f"a {type(samples).__name__} is no audio: pass bytes, an array or an iterator, async or not"
    )


def _of_wav_bytes(data: bytes) -> Microphone:
    if data[:4] not in (b"RIFF", b"RF64", b"BW64", b"RIFX"):
        raise invalid(
            "bytes that are no WAV do not say their rate: pass voxwire.Audio(data,"
            " sample_rate=16000) for int16 little-endian"
        )
    WavReader(io.BytesIO(data), "the microphone")
    return WavMicrophone(lambda: io.BytesIO(data), "the microphone", close=True)


def _of_file(file: BinaryIO) -> Microphone:
    """A file that the caller opened, and closes; where it can be looked at, it is at once."""
    name = getattr(file, "name", None)
    name = os.path.basename(name) if isinstance(name, str) else "the microphone"
    if isinstance(file, io.TextIOBase):
        raise invalid(f"{name} is open for text: open it in binary mode ('rb')")
    if file.closed:
        raise invalid(f"{name} is closed")
    if file.seekable():
        at = file.tell()
        WavReader(file, name)
        file.seek(at)
    return WavMicrophone(lambda: file, name, close=False)


def _of_path(path: str) -> Microphone:
    """A file that is looked at here and read when the session runs; a pipe is not looked at."""
    name = os.path.basename(path)
    if not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path):
        with open_wav(path) as file:
            WavReader(file, name)
    return WavMicrophone(lambda: open_wav(path), name, close=True)


def as_speaker(sink: SpeakerLike) -> Speaker:
    """Makes a speaker of what a caller passed.

    Raises:
        UsageError: It is nothing that can be written to.
    """
    if sink is None or sink is False:
        return NoSpeaker()
    if sink is True or isinstance(sink, Device):
        raise _no_device("speaker")
    if isinstance(sink, type):
        raise invalid(f"the class {sink.__name__} is no speaker: pass an instance")
    if isinstance(sink, Speaker):
        return sink
    if callable(sink):
        if inspect.iscoroutinefunction(sink) or inspect.iscoroutinefunction(
            getattr(sink, "__call__", None)  # noqa: B004 - an object with an async __call__
        ):
            return AsyncCallbackSpeaker(cast("Callable[[Samples, int], Awaitable[object]]", sink))
        return CallbackSpeaker(sink)
    return FileSpeaker(_path(sink, "speaker", "a path, a function, or an object like Recording()"))
