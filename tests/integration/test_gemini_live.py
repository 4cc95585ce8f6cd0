"""The gemini bot on the real Gemini Live API: `pytest -m live`, with GOOGLE_API_KEY set."""

import asyncio
import os

import numpy as np
import pytest

import voxwire
from tests.support.espeak import render_pcm, shared_espeak
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import running_server

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (os.environ.get("GOOGLE_API_KEY") or os.environ.get("GEMINI_API_KEY")),
        reason="needs GOOGLE_API_KEY",
    ),
]


async def test_the_real_model_answers_a_spoken_question_through_a_tool(transport: str) -> None:
    pcm, _ = await render_pcm("What is the weather in Paris tomorrow?", voice="en-us+f3")
    await shared_espeak().aclose()
    microphone = voxwire.ClipMicrophone()
    words: list[voxwire.BotWord] = []
    heard = ""
    async with (
        asyncio.timeout(60),
        running_server(load_bot("gemini")) as server,
        voxwire.connect(server.url, microphone=microphone, transport=transport) as session,
    ):
        await session.wait_for(voxwire.UtteranceEnded)  # the greeting
        microphone.play(np.frombuffer(pcm, np.int16))
        called = ""
        async for event in session:
            match event:
                case voxwire.UserTranscript(final=True, text=text):
                    heard += text
                case voxwire.ToolCallStarted(name=name):
                    called = name
                case voxwire.BotWord() if called:
                    words.append(event)
                case voxwire.UtteranceEnded() if words:
                    break
                case _:
                    pass
    assert "weather" in heard.lower() and "paris" in heard.lower()
    assert called == "get_weather"
    answer = " ".join(word.text for word in words).lower()
    assert "rain" in answer or "cloud" in answer
    starts = [word.start_ms for word in words]
    assert starts == sorted(starts)
