"""What is said into a live microphone while the session opens reaches the recogniser whole."""

import asyncio

import numpy as np

import voxwire
from tests.support.waiting import PATIENT
from voxwire.testing import FakeDevice, FakeDevices
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline.phrases import render_pcm
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

SENTENCE = "what is the weather in paris"
GUARD_S = 60


async def test_speech_begun_before_the_session_is_ready_is_recognised_whole() -> None:
    pcm, _ = await render_pcm(SENTENCE, sample_rate=48_000)
    mic = FakeDevice("mic", microphone=True)

    async def late(session: BotSession) -> None:
        """The session is ready when the bot is: the user has spoken for half a second by then."""
        mic.speak(np.frombuffer(pcm, np.int16))
        await asyncio.sleep(0.6)  # real time: slow
        await offline.bot(session)

    bot = LoadedBot(name="late", run=late, warm=offline.warm, close=offline.close)
    async with asyncio.timeout(GUARD_S), running_server(bot, **PATIENT) as server:
        environment = voxwire.testing.Environment(devices=FakeDevices(mic))
        async with voxwire.connect(
            server.url, microphone=True, transport="websocket", environment=environment
        ) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            while True:
                heard = await session.wait_for(voxwire.UserTranscript, timeout_ms=GUARD_S * 1000)
                if heard.final:
                    break
    assert changed.resent_ms >= 500
    assert heard.text == SENTENCE
