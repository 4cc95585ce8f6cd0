"""A question through a real room of Daily's: for who has a key, `DAILY_API_KEY`.

It costs a minute or two of a Daily account. What the room in memory takes for granted is printed.
"""

import asyncio
import os

import numpy as np
import pytest

import voxwire
from tests.support.espeak import render_pcm
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

KEY = os.environ.get("DAILY_API_KEY", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not KEY, reason="needs DAILY_API_KEY"),
]


async def test_a_question_is_answered_and_an_interruption_is_heard_through_daily() -> None:
    pytest.importorskip("daily")
    pcm, _ = await render_pcm("what time is it", sample_rate=16_000)
    question = np.concatenate((np.zeros(16_000, np.int16), np.frombuffer(pcm, "<i2")))
    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    words: list[voxwire.BotWord] = []
    ended: list[voxwire.UtteranceEnded] = []
    asked: list[voxwire.UserTranscript] = []
    async with running_server(bot, daily_api_key=KEY) as server:
        url, token = server.url, None
        connection = voxwire.connect(url, transport="daily", token=token, microphone=question)
        async with connection as session:
            session.on(voxwire.BotWord, words.append)
            session.on(voxwire.UtteranceEnded, ended.append)
            session.on(voxwire.UserTranscript, asked.append)
            await asyncio.sleep(15)  # real time: slow
            await session.send_text("tell me a long story")
            await asyncio.sleep(6)  # real time: slow
            await session.interrupt()
            await asyncio.sleep(2)  # real time: slow
    said = [event.text for event in asked if event.final and not event.typed]
    print(f"understood: {said}; {len(words)} words; {[e.heard_source for e in ended]}")
    assert said
    assert words
    assert all(event.heard_source is voxwire.HeardSource.SERVER_CLOCK for event in ended)
