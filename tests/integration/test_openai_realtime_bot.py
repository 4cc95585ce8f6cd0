"""The openai-realtime bot on the local peer."""

import asyncio

import numpy as np
import pytest

import voxwire
from tests.support.espeak import render_pcm
from tests.support.openai_realtime_peer import running_openai_peer
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import running_server


async def test_a_spoken_question_is_answered_aloud_through_a_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_openai_peer(rate=220) as peer, asyncio.timeout(60):
        for name, value in peer.env.items():
            monkeypatch.setenv(name, value)
        pcm, _ = await render_pcm("what is the weather in paris tomorrow", client=peer.espeak)
        microphone = voxwire.ClipMicrophone()
        heard: list[str] = []
        words: list[voxwire.BotWord] = []
        calls: list[str] = []
        responses: list[str] = []
        async with (
            running_server(load_bot("openai-realtime")) as server,
            voxwire.connect(server.url, microphone=microphone, transport="websocket") as session,
        ):
            await session.wait_for(voxwire.UtteranceEnded)
            microphone.play(np.frombuffer(pcm, np.int16))
            async for event in session:
                match event:
                    case voxwire.UserTranscript(final=True, text=text):
                        heard.append(text)
                    case voxwire.ToolCallStarted(name=name):
                        calls.append(name)
                    case voxwire.BotWord() if calls:
                        words.append(event)
                    case voxwire.UtteranceEnded() if words:
                        assert event.end is voxwire.UtteranceEnd.COMPLETED
                        break
                    case voxwire.BotResponseStarted():
                        responses.append(event.response_id)
                    case _:
                        pass
    [record] = peer.received
    assert record.key == "local-peer-key"
    assert {tool["name"] for tool in record.sessions[-1]["tools"]} == {
        "get_weather",
        "find_restaurant",
    }
    assert heard == record.heard == ["What is the weather in paris tomorrow?"]
    assert calls == ["get_weather"]
    assert " ".join(word.text for word in words) == record.spoken[-1].text
    assert record.spoken[-1].text.startswith("In Paris it will be")
    assert len(responses) == len(set(responses)) == 1, "one answer, one response"
    starts = [word.start_ms for word in words]
    assert starts == sorted(starts)
