"""Microphones and speakers that need no device: files, arrays, iterators, functions.

A microphone is read in real time by the session, a speaker is written in real time; neither may
block. Both are owned by the session that they were passed to, which closes them.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxwire._wav import TimelineWriter, read_wav, resample, to_int16
from voxwire.playout import Block, Samples, SpanKind
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = [
    "CAPTURE_RATE",
    "CallbackSpeaker",
    "ClipMicrophone",
    "FileSpeaker",
    "Microphone",
    "MicrophoneLike",
    "Recording",
    "Speaker",
    "SpeakerLike",
    "StreamMicrophone",
    "as_microphone",
    "as_speaker",
]

CAPTURE_RATE: Final = 16_000
"""Rate of the user's audio, Hz."""

MAX_STREAMED_MS: Final = 2000
"""Audio of an async iterator that is read ahead."""


@runtime_checkable
class Microphone(Protocol):
    """Where the user's audio comes from: int16 mono at 16 kHz.

    It is read in real time from when the session is ready. One that has an attribute `live` that is
    True does not wait: it runs and is read from `connect` on, and the last 3 s are sent first.
    """

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples, at most `num_samples`; what is missing is sent as silence."""
        ...

    async def run(self) -> None:
        """Runs beside the session until it ends; returns at once if there is nothing to do."""
        ...


@runtime_checkable
class Speaker(Protocol):
    """Where the bot's audio goes."""

    def open(self, sample_rate: int) -> None:
        """Prepares for int16 mono blocks at that rate, Hz."""
        ...

    def write(self, block: Block, at: float) -> None:
        """Takes the next 20 ms; its first sample sounds at loop time `at`, seconds."""
        ...

    def close(self) -> None:
        """Ends; may be called again, and without `open`."""
        ...


class ClipMicrophone:
    """Plays clips one after the other, silence between them."""

    def __init__(self) -> None:
        """Creates a microphone with nothing to play."""
        self._clips: deque[tuple[Samples, asyncio.Event]] = deque()
        self._offset = 0

    def play(
        self, samples: NDArray[np.generic], *, sample_rate: int = CAPTURE_RATE
    ) -> asyncio.Event:
        """Queues a clip.

        Args:
            samples: Mono, int16 or float in -1..1.
            sample_rate: Of the clip, Hz.

        Returns:
            An event that is set once the last sample was read.
        """
        done = asyncio.Event()
        self._clips.append((resample(to_int16(samples), sample_rate, CAPTURE_RATE), done))
        return done

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples of the clips."""
        pieces: list[Samples] = []
        need = num_samples
        while self._clips and need:
            samples, done = self._clips[0]
            piece = samples[self._offset : self._offset + need]
            pieces.append(piece)
            need -= len(piece)
            self._offset += len(piece)
            if self._offset >= len(samples):
                self._clips.popleft()
                self._offset = 0
                done.set()
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    async def run(self) -> None:
        """Nothing to do: clips are in memory."""


class StreamMicrophone:
    """Plays what an async iterator yields: bytes (int16 little-endian) or arrays, mono 16 kHz."""

    def __init__(self, iterator: AsyncIterator[bytes | NDArray[np.generic]]) -> None:
        """Creates a microphone; the iterator is read, at most 2 s ahead, once the session runs."""
        self._iterator = iterator
        self._pieces: deque[Samples] = deque()
        self._queued = 0
        self._room = asyncio.Event()

    def read(self, num_samples: int) -> Samples:
        """Returns what is there, at most `num_samples`."""
        pieces: list[Samples] = []
        need = min(num_samples, self._queued)
        self._queued -= need
        while need:
            head = self._pieces.popleft()
            pieces.append(head[:need])
            if len(head) > need:
                self._pieces.appendleft(head[need:])
            need -= len(pieces[-1])
        self._room.set()
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    async def run(self) -> None:
        """Reads the iterator to its end."""
        async for piece in self._iterator:
            if isinstance(piece, bytes):
                samples = np.frombuffer(piece[: len(piece) & ~1], "<i2").astype(np.int16)
            else:
                samples = to_int16(piece)
            if len(samples):
                self._pieces.append(samples)
                self._queued += len(samples)
            while self._queued * 1000 > MAX_STREAMED_MS * CAPTURE_RATE:
                self._room.clear()
                await self._room.wait()


class _TimelineSpeaker:
    """What was played, at its place on the media clock."""

    def write(self, block: Block, at: float) -> None:
        """Keeps what was played; concealment and idle silence have no place on the clock."""
        for span in block.spans:
            if span.kind is SpanKind.PLAYED:
                piece = block.samples[span.offset : span.offset + span.length]
                self._keep(span.position, piece)

    def _keep(self, position: int, samples: Samples) -> None:
        raise NotImplementedError


class FileSpeaker(_TimelineSpeaker):
    """Writes the media timeline into a WAV file: sample 0 is 0 ms of the media clock.

    Flushed and never-played spans are silence, and underruns do not shift anything.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Names the file; it is made when the session opens."""
        self._path = path
        self._writer: TimelineWriter | None = None

    def open(self, sample_rate: int) -> None:
        """Creates the file, in place of an older one."""
        self._writer = TimelineWriter(self._path, sample_rate=sample_rate)

    def close(self) -> None:
        """Completes the file."""
        if self._writer is not None:
            self._writer.close()

    def _keep(self, position: int, samples: Samples) -> None:
        if self._writer is not None:
            self._writer.write(position, samples)


class Recording(_TimelineSpeaker):
    """Keeps the media timeline in memory.

    Attributes:
        sample_rate: Hz; 0 before the session opened.
    """

    def __init__(self) -> None:
        """Creates an empty recording."""
        self.sample_rate = 0
        self._pieces: list[tuple[int, Samples]] = []

    @property
    def samples(self) -> Samples:
        """The timeline so far: int16 mono, sample 0 is 0 ms; what was not played is 0."""
        end = max((start + len(piece) for start, piece in self._pieces), default=0)
        timeline = np.zeros(end, np.int16)
        for start, piece in self._pieces:
            timeline[start : start + len(piece)] = piece
        return timeline

    def open(self, sample_rate: int) -> None:
        """Notes the rate."""
        self.sample_rate = sample_rate

    def close(self) -> None:
        """Nothing to do."""

    def _keep(self, position: int, samples: Samples) -> None:
        self._pieces.append((position, samples))


class CallbackSpeaker:
    """Hands every block of 20 ms to a function, silence and concealment included."""

    def __init__(self, callback: Callable[[Samples, int], object]) -> None:
        """Calls `callback(samples, media_ms)` in real time; it must not block."""
        self._callback = callback
        self._rate = 1

    def open(self, sample_rate: int) -> None:
        """Notes the rate."""
        self._rate = sample_rate

    def write(self, block: Block, at: float) -> None:
        """Calls the function with the block and the position of its first sample."""
        self._callback(block.samples, block.spans[0].position * 1000 // self._rate)

    def close(self) -> None:
        """Nothing to do."""


class _NoSpeaker:
    """Plays to nobody, in real time all the same, so that words and reports go on."""

    def open(self, sample_rate: int) -> None:
        """Nothing to do."""

    def write(self, block: Block, at: float) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


MicrophoneLike = (
    bool | str | os.PathLike[str] | NDArray[Any] | AsyncIterator[Any] | Microphone | None
)
"""A WAV path, an array (mono 16 kHz), an async iterator of audio, a `Microphone`, or none."""

SpeakerLike = bool | str | os.PathLike[str] | Callable[[Samples, int], object] | Speaker | None
"""A WAV path, a function, a `Speaker` (for instance `Recording()`), or none."""


def _no_device(what: str) -> UsageError:
    return UsageError(
        ErrorCode.UNSUPPORTED,
        f"this version opens no live {what}: pass a WAV path, or an object with its methods",
    )


def _path(value: object, what: str) -> str:
    try:
        return os.fsdecode(cast("os.PathLike[str]", value))
    except TypeError:
        reason = f"a {type(value).__name__} is no {what}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason) from None


def as_microphone(source: MicrophoneLike) -> Microphone | None:
    """Makes a microphone of what a caller passed; None = the user is not heard.

    Raises:
        UsageError: It is nothing that can be read.
        MediaError: The WAV file cannot be read.
    """
    if source is None or source is False:
        return None
    if source is True:
        raise _no_device("microphone")
    if isinstance(source, Microphone):
        return source
    if isinstance(source, AsyncIterator):
        return StreamMicrophone(source)
    clips = ClipMicrophone()
    if isinstance(source, np.ndarray):
        clips.play(cast("NDArray[np.generic]", source))
        return clips
    clips.play(read_wav(_path(source, "microphone"), sample_rate=CAPTURE_RATE))
    return clips


def as_speaker(sink: SpeakerLike) -> Speaker:
    """Makes a speaker of what a caller passed.

    Raises:
        UsageError: It is nothing that can be written to.
    """
    if sink is None or sink is False:
        return _NoSpeaker()
    if sink is True:
        raise _no_device("speaker")
    if isinstance(sink, Speaker):
        return sink
    if callable(sink):
        return CallbackSpeaker(sink)
    return FileSpeaker(_path(sink, "speaker"))
