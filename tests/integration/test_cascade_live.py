"""The providers themselves, each where its key is set: `pytest -m live`."""

import asyncio
import os
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.support.espeak import render_pcm
from tests.support.waiting import LONG, PATIENT
from voxwire_server.bots.cascade import Cascade
from voxwire_server.bots.cascade.table import PRESETS
from voxwire_server.testing import running_server

OTHERS = {"stt": "openai", "llm": "openai", "tts": "openai"}
"""Who plays the other parts."""


@pytest.mark.live
@pytest.mark.parametrize(
    "each", [it for it in PRESETS if it.needs.keys], ids=lambda it: f"{it.part}-{it.name}"
)
async def test_it_plays_its_part(each: Any) -> None:
    for key in (each.needs.keys[0], "OPENAI_API_KEY"):
        if not os.environ.get(key):
            pytest.skip(f"{key} is not set")
    for what in each.told:
        if not os.environ.get(each.variable(what)):
            pytest.skip(f"{each.variable(what)} is not set")
    cascade = Cascade(**{**OTHERS, each.part: each.name})
    pcm, _ = await render_pcm("what is the weather in paris tomorrow")
    microphone = voxwire.ClipMicrophone()
    async with (
        asyncio.timeout(120),
        running_server(cascade.bot, **PATIENT) as server,
        voxwire.connect(
            server.url, microphone=microphone, transport="websocket", timeouts=LONG
        ) as session,
    ):
        await session.wait_for(voxwire.UtteranceEnded)
        microphone.play(np.frombuffer(pcm, np.int16))
        transcript = await session.wait_for(voxwire.UserTranscript)
        while not transcript.final:
            transcript = await session.wait_for(voxwire.UserTranscript)
        assert "paris" in transcript.text.lower()
        call = await session.wait_for(voxwire.ToolCallStarted)
        assert call.name == "get_weather"
        await session.wait_for(voxwire.BotWord)
