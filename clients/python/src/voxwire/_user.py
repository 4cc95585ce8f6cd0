"""The user's side of a session's audio: a microphone that can be muted."""

import asyncio
import time

import numpy as np

from voxwire._devices import Clock, Pace, block_of, device_error
from voxwire.audio import Microphone
from voxwire_protocol.errors import VoxwireError

__all__ = ["UserAudio"]


class UserAudio:
    """Reads the user for whichever path is in use."""

    def __init__(self, microphone: Microphone | None, *, clock: Clock = time.monotonic) -> None:
        """Takes the microphone; None = the user is not heard.

        Args:
            microphone: What is read.
            clock: Tells how long that takes.
        """
        self.muted = False
        self._microphone = microphone
        self._clock = clock
        self._pace = Pace(
            "the microphone's read()",
            "read the device in a thread and pass an async iterator of what it gave",
        )
        self._failure: VoxwireError | None = None
        self._failed = asyncio.Event()

    async def run(self) -> None:
        """Runs the microphone, and waits until it fails, if it does.

        Raises:
            MediaError: It failed, gave what is no audio, or is too slow.
        """
        if self._microphone is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_device(self._microphone))
            await self._failed.wait()
            assert self._failure is not None
            raise self._failure

    async def _run_device(self, microphone: Microphone) -> None:
        try:
            await microphone.run()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or device_error("the microphone", error)
        self._failed.set()

    def read(self, num_samples: int) -> bytes | None:
        """The user's next samples, silence where there are none; None = not heard at all."""
        if self._microphone is None or self._failure is not None:
            return None
        began = self._clock()
        try:
            samples = block_of(self._microphone.read(num_samples), num_samples)
            self._pace.note(self._clock() - began)
        except Exception as error:
            self._fail(error)
            return None
        if self.muted:
            return None
        if len(samples) < num_samples:
            samples = np.concatenate((samples, np.zeros(num_samples - len(samples), np.int16)))
        return samples.astype("<i2", copy=False).tobytes()
