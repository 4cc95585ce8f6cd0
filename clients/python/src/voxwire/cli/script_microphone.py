"""The microphone of ``voxwire talk``: WAV files one after the other, read while they are spoken."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._microphones import WavMicrophone
from voxwire._wav import WavReader, open_wav
from voxwire.playout import Samples

__all__ = ["ScriptMicrophone", "duration_ms"]

PROGRESS_S: Final = 10.0


def duration_ms(path: str) -> int | None:
    """Looks at a WAV's header: how long it is, milliseconds; None = it does not say, or a pipe.

    Raises:
        MediaError: It cannot be read.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return None
    with open_wav(path) as file:
        reader = WavReader(file, os.path.basename(path))
    frames = reader.num_frames
    return None if frames is None else frames * 1000 // reader.sample_rate


class ScriptMicrophone:
    """Plays one file at a time, silence between them."""

    def __init__(self) -> None:
        """Creates a microphone with nothing to play."""
        self._file: WavMicrophone | None = None

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples of the file."""
        return self._file.read(num_samples) if self._file else np.zeros(0, np.int16)

    async def run(self) -> None:
        """Nothing to do: `play` reads."""

    async def play(
        self, path: str, tell: Callable[[int], None], *, every_s: float = PROGRESS_S
    ) -> None:
        """Plays a file to its end. Cancel-safe.

        Args:
            path: Of the WAV.
            tell: Is told every `every_s` seconds how much was spoken, milliseconds.
            every_s: Seconds.

        Raises:
            MediaError: It cannot be read, or not to its end.
        """
        file = WavMicrophone(lambda: open_wav(path), os.path.basename(path), close=True)
        self._file = file
        teller = asyncio.create_task(_tell(file, tell, every_s), name="voxwire-progress")
        try:
            await file.run()
            await file.finished.wait()
        finally:
            self._file = None
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)


async def _tell(file: WavMicrophone, tell: Callable[[int], None], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        tell(file.played_ms)
