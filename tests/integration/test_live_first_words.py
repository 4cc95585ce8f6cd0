"""What is said into a live microphone while the session opens reaches the bot whole."""

import asyncio

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

import voxwire
from tests.support.espeak import render_pcm
from tests.support.waiting import DEADLINE_S, PATIENT, until
from voxwire.testing import FakeDevice, FakeDevices
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

SENTENCE = "what is the weather in paris"
RATE = 16_000
LOUD = 300
LEAST_LOST = RATE * 15 // 1000
LEAST_WEAKER = 0.05


class Ears(FrameProcessor):
    """Stands where a recogniser stands: keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = bytearray()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            assert (frame.sample_rate, frame.num_channels) == (RATE, 1)
            self.heard += frame.audio
        await self.push_frame(frame, direction)


def extent(samples: NDArray[np.float64]) -> int:
    """Samples from the first that is loud to the last."""
    first, last = np.flatnonzero(np.abs(samples) > LOUD)[[0, -1]]
    return int(last - first)


def lost(said: NDArray[np.float64], heard: NDArray[np.float64]) -> bool:
    """Whether a block of what was said is missing, at its ends, between them, or as silence.

    How the microphone's clock is followed makes speech longer or shorter, by a few milliseconds.
    """
    shorter = extent(said) - extent(heard)
    weaker = 1 - np.sum(heard**2) / np.sum(said**2)
    return abs(shorter) > LEAST_LOST or abs(weaker) > LEAST_WEAKER


@pytest.mark.timing(reason="a device brings its sound in real time, and is followed by its clock")
async def test_speech_begun_before_the_session_is_ready_reaches_the_bot_whole() -> None:
    pcm, _ = await render_pcm(SENTENCE, sample_rate=48_000)
    spoken = np.frombuffer(pcm, np.int16)
    said = soxr.resample(spoken.astype(np.float64), 48_000, RATE)
    mic = FakeDevice("mic", microphone=True)
    ears = Ears()

    async def late(session: BotSession) -> None:
        """The session is ready when the bot is: the user has spoken for half a second by then."""
        mic.speak(spoken)
        await asyncio.sleep(0.6)  # real time: slow
        await session.run([session.input(), ears, session.output()])

    def heard() -> NDArray[np.float64]:
        return np.frombuffer(bytes(ears.heard), np.int16).astype(np.float64)

    bot = LoadedBot(name="late", run=late, close=offline.close)  # the synthesiser's process
    async with asyncio.timeout(DEADLINE_S), running_server(bot, **PATIENT) as server:
        environment = voxwire.testing.Environment(devices=FakeDevices(mic))
        async with voxwire.connect(
            server.url, microphone=True, transport="websocket", environment=environment
        ) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            await until(lambda: len(heard()) > len(said) + RATE)
    assert changed.resent_ms >= 500
    whole = heard()
    assert not lost(said, whole)
    first = np.flatnonzero(np.abs(whole) > LOUD)[0]
    for begin, length in ((first, RATE // 10), (first + RATE // 2, RATE // 50)):
        assert lost(said, np.delete(whole, slice(begin, begin + length)))
        silent = whole.copy()
        silent[begin : begin + 5 * length] = 0
        assert lost(said, silent)
