"""Microphones that need no device: clips in memory, and what an iterator or a WAV file yields."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from voxwire._samples import Stream, pieces
from voxwire._threads import in_thread, leave_to_thread
from voxwire._wav import WavReader
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError

__all__ = ["CAPTURE_RATE", "ClipMicrophone", "StreamMicrophone", "WavMicrophone"]

CAPTURE_RATE: Final = 16_000
"""Rate of the user's audio, Hz."""

MAX_STREAMED_MS: Final = 2000
"""Audio of an iterator that is read ahead."""

_NOTHING: Final = np.zeros(0, np.int16)
_END: Final = object()


class ClipMicrophone:
    """Plays clips one after the other, silence between them.

    Attributes:
        finished: Set while nothing is left to play.
        played_samples: How many have been read, at 16 kHz.
    """

    def __init__(self) -> None:
        """Creates a microphone with nothing to play."""
        self.finished = asyncio.Event()
        self.finished.set()
        self.played_samples = 0
        self._clips: deque[tuple[Iterator[Samples], asyncio.Event]] = deque()
        self._piece = _NOTHING

    def play(
        self, samples: NDArray[np.generic], *, sample_rate: int = CAPTURE_RATE
    ) -> asyncio.Event:
        """Queues a clip.

        Args:
            samples: int16, int32 or uint8 of full scale, or float in -1..1 (clipped up to 2);
                mono, or frames × channels, which are mixed down. It is converted while it plays.
            sample_rate: Of the clip, Hz.

        Returns:
            An event that is set once the last sample was read.

        Raises:
            MediaError: UNSUPPORTED_FORMAT; the reason says what to pass.
        """
        done = asyncio.Event()
        self._clips.append((pieces(samples, sample_rate, CAPTURE_RATE), done))
        self.finished.clear()
        return done

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples of the clips."""
        parts: list[Samples] = []
        need = num_samples
        while need and self._fill():
            parts.append(self._piece[:need])
            self._piece = self._piece[need:]
            need -= len(parts[-1])
        self.played_samples += num_samples - need
        self._fill()  # says that a clip is over with its last sample, not with the next read
        return np.concatenate(parts) if parts else _NOTHING

    async def run(self) -> None:
        """Nothing to do: clips are in memory."""

    def _fill(self) -> bool:
        """Makes sure that a piece is there; False when nothing is left to play."""
        while not len(self._piece) and self._clips:
            clip, done = self._clips[0]
            piece = next(clip, None)
            if piece is None:
                self._clips.popleft()
                done.set()
            else:
                self._piece = piece
        left = bool(len(self._piece))
        if not left:
            self.finished.set()
        return left


class StreamMicrophone:
    """Plays what an async iterator yields: bytes (int16 little-endian) or arrays.

    Attributes:
        finished: Set once the last sample was read.
        played_samples: How many have been read, at 16 kHz.
    """

    def __init__(
        self,
        source: AsyncIterable[object] | Iterator[object],
        *,
        sample_rate: int = CAPTURE_RATE,
        num_channels: int = 1,
    ) -> None:
        """Creates a microphone; the source is read, at most 2 s ahead, once the session runs.

        Args:
            source: Async, or a plain iterator, which may block: it is asked in a thread. Yields
                bytes (int16 little-endian, interleaved; cut anywhere, a sample's bytes
                included) or arrays, as `ClipMicrophone.play` takes them.
            sample_rate: Of the audio, Hz.
            num_channels: Of bytes.
        """
        self.finished = asyncio.Event()
        self.played_samples = 0
        self._source = source if isinstance(source, AsyncIterable) else _asked(source)
        self._stream = Stream(sample_rate, CAPTURE_RATE, num_channels=num_channels)
        self._pieces: deque[Samples] = deque()
        self._queued = 0
        self._complete = False
        self._room = asyncio.Event()

    def read(self, num_samples: int) -> Samples:
        """Returns what is there, at most `num_samples`."""
        parts: list[Samples] = []
        need = min(num_samples, self._queued)
        self._queued -= need
        self.played_samples += need
        while need:
            head = self._pieces.popleft()
            parts.append(head[:need])
            if len(head) > need:
                self._pieces.appendleft(head[need:])
            need -= len(parts[-1])
        self._room.set()
        self._note_end()
        return np.concatenate(parts) if parts else _NOTHING

    async def run(self) -> None:
        """Reads the source to its end.

        Raises:
            MediaError: UNSUPPORTED_FORMAT when it yields what is no audio.
            Exception: What the source raises.
        """
        async with AsyncExitStack() as stack:
            iterator = aiter(self._source)
            if (close := getattr(iterator, "aclose", None)) is not None:
                stack.push_async_callback(close)
            async for item in iterator:
                self._take(self._stream.feed(item))
                await asyncio.sleep(0)  # a source that never waits must not hold the loop
                while self._queued * 1000 > MAX_STREAMED_MS * CAPTURE_RATE:
                    self._room.clear()
                    await self._room.wait()
        self._take(self._stream.finish())
        self._complete = True
        self._note_end()

    def _take(self, samples: Samples) -> None:
        if len(samples):
            self._pieces.append(samples)
            self._queued += len(samples)

    def _note_end(self) -> None:
        if self._complete and not self._queued:
            self.finished.set()


class WavMicrophone:
    """Plays a WAV file while it is read, in a thread: the event loop never waits for it."""

    def __init__(self, open_file: Callable[[], BinaryIO], name: str, *, close: bool) -> None:
        """Creates a microphone; the file is opened once the session runs.

        Args:
            open_file: Returns the file; called in a thread.
            name: What errors call it.
            close: True = the file is closed at the end.
        """
        self._open_file = open_file
        self._name = name
        self._close = close
        self._audio: StreamMicrophone | None = None
        self.finished = asyncio.Event()

    @property
    def played_samples(self) -> int:
        """How many have been read, at 16 kHz."""
        return self._audio.played_samples if self._audio else 0

    @property
    def played_ms(self) -> int:
        """How much of it has been read, milliseconds."""
        return self.played_samples * 1000 // CAPTURE_RATE

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples of the file, as many as are there."""
        return self._audio.read(num_samples) if self._audio else _NOTHING

    async def run(self) -> None:
        """Reads the file to its end.

        Raises:
            MediaError: It cannot be read, or not to the end.
        """
        try:
            file = await in_thread(self._open_file)
            try:
                reader = await in_thread(lambda: WavReader(file, self._name))
                audio = StreamMicrophone(_pieces_of(reader), sample_rate=reader.sample_rate)
                audio.finished = self.finished
                self._audio = audio
                await audio.run()
            finally:
                if self._close:  # which waits for a read that hangs
                    leave_to_thread(file.close)
        except OSError as error:
            reason = f"cannot read {self._name}: {error.strerror or error}"
            raise MediaError(ErrorCode.DEVICE, reason) from error


async def _asked(source: Iterator[object]) -> AsyncIterator[object]:
    """What a plain iterator gives, asked for in threads; one at a time asks, or closes it."""
    turn = threading.Lock()

    def ask() -> object:
        with turn:
            return next(source, _END)

    def close() -> None:
        with turn:
            if (end := getattr(source, "close", None)) is not None:
                end()

    try:
        while (item := await in_thread(ask)) is not _END:
            yield item
    finally:
        leave_to_thread(close)


async def _pieces_of(reader: WavReader) -> AsyncIterator[Any]:
    """The audio of a file, each piece read and decoded in a thread."""
    audio = reader.pieces()
    while (piece := await in_thread(lambda: next(audio, None))) is not None:
        yield piece
