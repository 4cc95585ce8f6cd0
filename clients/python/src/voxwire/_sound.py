"""The bot's voice for one more listener: a bounded queue of the blocks that the speaker gets."""

import asyncio
import weakref
from collections import deque
from typing import Final

from voxwire._blocks import Block

__all__ = ["MAX_BLOCKS", "SoundStream", "SoundTaps"]

MAX_BLOCKS: Final = 250
"""Most blocks that wait to be read: 5 s."""


class SoundStream:
    """The bot's voice from the moment on that it was made, as it is played: `Session.sound`.

    An async iterator of `Block`, for one task. Each block is 20 ms; while the bot is silent, blocks
    of silence come, as the speaker gets them. All listeners share the samples of a block: do not
    change them. It ends with the session, or with `close`.

    Attributes:
        sample_rate: Of the samples, Hz.
        skipped: Blocks that were given up, the oldest first, since nobody read them within 5 s.
    """

    def __init__(self, sample_rate: int) -> None:
        """Reads what is played; use `Session.sound`."""
        self.sample_rate = sample_rate
        self.skipped = 0
        self._queued: deque[Block] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> "SoundStream":
        """Iterates over the blocks until the session ends."""
        return self

    async def __anext__(self) -> Block:
        """Returns the next block. Cancel-safe.

        Raises:
            StopAsyncIteration: The session has ended, or the stream was closed.
        """
        while not self._queued:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queued.popleft()

    def put(self, block: Block) -> None:
        """The speaker got a block."""
        if self._closed:
            return
        if len(self._queued) == MAX_BLOCKS:
            self._queued.popleft()
            self.skipped += 1
        self._queued.append(block)
        self._wake.set()

    def close(self) -> None:
        """Ends the stream; what is queued can still be read."""
        self._closed = True
        self._wake.set()


class SoundTaps:
    """The streams of one session; one that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        """Creates it with none."""
        self._streams: weakref.WeakSet[SoundStream] = weakref.WeakSet()
        self._over = False

    def stream(self, sample_rate: int) -> SoundStream:
        """One more of them."""
        made = SoundStream(sample_rate)
        self._streams.add(made)
        if self._over:
            made.close()
        return made

    def put(self, block: Block) -> None:
        """The speaker got a block."""
        for stream in self._streams:
            stream.put(block)

    def end(self) -> None:
        """The session is over."""
        self._over = True
        for stream in self._streams:
            stream.close()
