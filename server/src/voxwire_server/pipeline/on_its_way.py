"""Words that were let go and have not reached the context: a few turns of the loop.

What is heard when the bot is cut off goes down as system frames, which overtake what stands in a
processor's queue; and the interruption behind them empties that. So it waits for those ahead.
"""

import asyncio

from pipecat.frames.frames import Frame, SystemFrame, TTSTextFrame

from voxwire_server.pipeline.alarm import Alarm

__all__ = ["OnItsWay"]


class OnItsWay:
    """Follows words from the output to whoever keeps the context."""

    def __init__(self) -> None:
        """Follows nothing until there is somebody who keeps one."""
        self._followed = False
        self._words: set[int] = set()
        self._here = Alarm()

    def follow(self) -> None:
        """Somebody keeps a context."""
        self._followed = True

    def left(self, frame: Frame) -> None:
        """A frame is pushed down."""
        if self._followed and isinstance(frame, TTSTextFrame) and not isinstance(frame, SystemFrame):
            self._words.add(frame.id)

    def taken(self, frame: Frame) -> None:
        """Whoever keeps the context has taken a frame."""
        self._words.discard(frame.id)
        if not self._words:
            self._here.ring()

    async def arrived(self, secs: float) -> None:
        """Wait until all are there, ``secs`` at most. If they are not by then, somebody on the way
        keeps them, and they are not followed any more.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + secs
        while self._words and (left_s := until_s - loop.time()) > 0:
            self._here.silence()
            await self._here.wait(left_s)
        if self._words:
            self._followed = False
            self._words.clear()
