"""A microphone whose every sample is its number, and a bot that keeps what its pipeline heard."""

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voxwire_server import BotSession

__all__ = ["RATE", "HearingBot", "NumberedMicrophone", "hum", "numbers"]

RATE = 16_000
Samples = Callable[[int, int], NDArray[np.int16]]
_CYCLE = 30_011
"""Numbers begin anew after so many, from 1: silence is 0, and no hole hides in a cycle."""


def numbers(first: int, count: int) -> NDArray[np.int16]:
    """The samples that a :class:`NumberedMicrophone` gives from its ``first`` on."""
    return (np.arange(first, first + count) % _CYCLE + 1).astype(np.int16)


def hum(first: int, count: int) -> NDArray[np.int16]:
    """Sixty tones whose sum is nowhere alike: where a piece of it stands shows through a codec."""
    draw = np.random.default_rng(12)
    tones, phases = draw.uniform(150, 3500, 60), draw.uniform(0, 2 * np.pi, 60)
    times = np.arange(first, first + count) / RATE
    waves = np.sin(2 * np.pi * np.outer(times, tones) + phases)
    return (waves.sum(axis=1) * 900).astype(np.int16)


class NumberedMicrophone:
    """Gives the numbers of its samples, or what belongs to them.

    Args:
        live: It does not wait for the session, as a device.
        samples: What it gives.
    """

    def __init__(self, *, live: bool = False, samples: Samples = numbers) -> None:
        self.live = live
        self._samples = samples
        self.given = 0
        self._moved = asyncio.Event()

    def read(self, num_samples: int) -> NDArray[np.int16]:
        """The next samples."""
        samples = self._samples(self.given, num_samples)
        self.given += num_samples
        self._moved.set()
        return samples

    async def run(self) -> None:
        """Nothing to do."""

    async def until(self, sample: int) -> None:
        """Wait until so many samples were given."""
        while self.given < sample:
            self._moved.clear()
            await self._moved.wait()


class _Ear(FrameProcessor):
    def __init__(self, bot: "HearingBot", session_id: str) -> None:
        super().__init__()
        self._bot = bot
        self._session_id = session_id

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._bot.add(self._session_id, frame.audio)
        await self.push_frame(frame, direction)


class HearingBot:
    """Says nothing and keeps what every session's pipeline hears.

    Args:
        starts_after_s: How long it takes to start.
    """

    def __init__(self, *, starts_after_s: float = 0.0) -> None:
        self._starts_after_s = starts_after_s
        self._heard: dict[str, bytearray] = {}
        self._moved = asyncio.Event()

    async def __call__(self, session: BotSession) -> None:
        """The bot's function."""
        await asyncio.sleep(self._starts_after_s)  # real time: slow
        await session.run([session.input(), _Ear(self, session.id), session.output()])

    def add(self, session_id: str, pcm: bytes) -> None:
        """A block has come."""
        self._heard.setdefault(session_id, bytearray()).extend(pcm)
        self._moved.set()

    def heard(self, session_id: str) -> NDArray[np.int16]:
        """Everything that a session's pipeline has heard."""
        return np.frombuffer(bytes(self._heard.get(session_id, b"")), np.int16)

    async def until(self, session_id: str, samples: int) -> NDArray[np.int16]:
        """Wait until a pipeline has heard so much."""
        while len(self.heard(session_id)) < samples:
            self._moved.clear()
            await self._moved.wait()
        return self.heard(session_id)
