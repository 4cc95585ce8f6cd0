"""Whether a pipeline follows: how much of the user's voice is on its way through it."""

import asyncio
from collections.abc import Callable
from typing import Final

from pipecat.frames.frames import InputAudioRawFrame

__all__ = ["AHEAD_MS", "Following", "UserAudio"]

AHEAD_MS: Final = 200
"""The most that is on its way, milliseconds. What recognises speech keeps some of what it heard
before a VAD further down says that it was speech, and lets go of what is older."""
_WAIT_MS: Final = 500
"""A pipeline that lets nothing through for so long may keep the voice to itself."""


class UserAudio(InputAudioRawFrame):
    """The user's voice.

    Attributes:
        passed: Called where it leaves the pipeline.
    """

    passed: Callable[[], None]

    def __str__(self) -> str:  # Pipecat formats every frame that is pushed for its trace log
        return self.name


class Following:
    """Counts the user's voice into a pipeline and out of it.

    A pipeline need not let the voice through, and a muted one does not: it is waited for only
    where the voice was seen behind it.
    """

    def __init__(self) -> None:
        self._pushed_ms = 0.0
        self._passed_ms = 0.0
        self._lets_through = False
        self._came = asyncio.Event()

    def pushed(self, duration_ms: float) -> float:
        """A block begins its way.

        Returns:
            Its place, for :meth:`passed`.
        """
        self._pushed_ms += duration_ms
        return self._pushed_ms

    def passed(self, place_ms: float) -> None:
        """A block has come through, and all before it."""
        self._passed_ms = max(self._passed_ms, place_ms)
        self._lets_through = True
        self._came.set()

    async def follows(self) -> None:
        """Returns when no more than :data:`AHEAD_MS` is on its way, or nothing comes through."""
        while self._lets_through and self._pushed_ms - self._passed_ms > AHEAD_MS:
            self._came.clear()
            try:
                async with asyncio.timeout(_WAIT_MS / 1000):
                    await self._came.wait()
            except TimeoutError:
                self._lets_through = False
