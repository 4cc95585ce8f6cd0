"""Speakers that need no device: files, memory and functions."""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from voxwire._arguments import invalid
from voxwire._callbacks import RAISED, is_cancelled
from voxwire._timeline import TimelineWriter
from voxwire.playout import Block, Samples, SpanKind

__all__ = [
    "AsyncCallbackSpeaker",
    "CallbackSpeaker",
    "FileSpeaker",
    "NoSpeaker",
    "Recording",
    "SlowSpeaker",
]

MAX_UNTAKEN_MS: Final = 2000
"""Audio that an async function has not taken yet."""


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
        """Names the file; it is made when the session opens.

        Raises:
            UsageError: INVALID_ARGUMENT: that is no path.
        """
        try:
            self._path = os.fsdecode(path)
        except TypeError:
            raise invalid(f"a {type(path).__name__} is no path") from None
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


class SlowSpeaker(Exception):
    """An async function is too far behind."""


class AsyncCallbackSpeaker:
    """Hands every block of 20 ms to an async function, one after the other, in order."""

    def __init__(self, callback: Callable[[Samples, int], Awaitable[object]]) -> None:
        """Awaits `callback(samples, media_ms)`; it may wait, but must keep up on the whole."""
        self._callback = callback
        self._rate = 1
        self._blocks: deque[tuple[Samples, int]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    def open(self, sample_rate: int) -> None:
        """Notes the rate and starts the task that awaits the function."""
        self._rate = sample_rate
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="voxwire-speaker")

    def write(self, block: Block, at: float) -> None:
        """Queues the block.

        Raises:
            SlowSpeaker: The function is 2 s behind.
            Exception: What it raised.
        """
        if self._failure is not None:
            raise self._failure
        if len(self._blocks) * len(block.samples) * 1000 > MAX_UNTAKEN_MS * self._rate:
            raise SlowSpeaker(f"the function is {MAX_UNTAKEN_MS / 1000:g} s behind")
        self._blocks.append((block.samples, block.spans[0].position * 1000 // self._rate))
        self._idle.clear()
        self._wake.set()

    async def drain(self) -> None:
        """Waits until the function has taken everything, or failed."""
        if self._task is None:
            return
        idle = asyncio.create_task(self._idle.wait(), name="voxwire-drain")
        try:
            await asyncio.wait({idle, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
            await asyncio.gather(idle, return_exceptions=True)

    def close(self) -> None:
        """Cancels the task."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._failure is None:
            while self._blocks and self._failure is None:
                await self._play(*self._blocks.popleft())
                await asyncio.sleep(0)
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    async def _play(self, samples: Samples, media_ms: int) -> None:
        try:
            await self._callback(samples, media_ms)
        except RAISED as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            self._failure = error


class NoSpeaker:
    """Plays to nobody, in real time all the same, so that words and reports go on."""

    def open(self, sample_rate: int) -> None:
        """Nothing to do."""

    def write(self, block: Block, at: float) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
