"""Pipecat's own services, unmodified, on the local peers of their providers.

Right answers are right, and each fault is what it says, seen from a client of no vendor's. What the
services do with a fault is no matter of ours to judge: `python -m tests.support.providers.table`
tells it.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import (
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.providers.anthropic import anthropic_peer
from tests.support.providers.cartesia import cartesia_peer
from tests.support.providers.chat import chat_peer
from tests.support.providers.elevenlabs import elevenlabs_peer
from tests.support.providers.faults import Fault
from tests.support.providers.hearing import Utterances
from tests.support.providers.kinds import KINDS, SENTENCE, Kind
from tests.support.providers.minds import ToolCall
from tests.support.providers.openai_audio import speech_peer
from tests.support.providers.peer import Peer
from tests.support.providers.stage import OUT_RATE, Stage, staged
from tests.support.providers.tones import CHAR_MS, speak, spoken_words, timed, word_numbers

BY_NAME = {kind.name: kind for kind in KINDS}
MINDS = ("openai llm", "anthropic llm")
TIMED = ("cartesia tts", "elevenlabs tts")
LIBRARIES = {"deepgram stt": "deepgram", "anthropic llm": "anthropic"}


def kind_of(name: str) -> Kind:
    """A service, if its vendor's library is here."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    return BY_NAME[name]


async def answer_of(kind: Kind, stage: Stage) -> None:
    """Ask, and wait for a whole answer."""
    began_s = stage.now_s
    await kind.ask(stage)
    assert await stage.until(lambda: kind.answered(stage, began_s)), stage.failures


# tones


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_words_are_read_back_from_their_tones(rate: int) -> None:
    text = "a bb ccc dddd " * 10
    pcm = speak(text, rate)
    assert len(pcm) == len(text) * CHAR_MS * rate // 1000 * 2
    assert spoken_words(pcm, rate) == 40
    assert word_numbers(pcm, rate) == list(range(40))
    assert spoken_words(pcm[: len(pcm) // 2], rate) == 20
    assert spoken_words(bytes(rate), rate) == 0
    last = timed(text)[-1]
    assert (last.number, last.end_ms) == (39, (len(text) - 1) * CHAR_MS)


def test_an_utterance_begins_with_energy_and_ends_with_300_ms_of_silence() -> None:
    ears = Utterances(16000)
    pcm = bytes(6400) + speak("hello there", 16000) + bytes(16000)
    events = list(ears.feed(pcm))
    assert (events[0], events[-1]) == ("begun", "ended")
    assert events.count("ended") == 1
    assert not ears.pcm
    assert list(ears.feed(bytes(32000))) == []


# right answers


@pytest.mark.parametrize("name", ["deepgram stt", "openai stt"])
async def test_what_is_said_is_transcribed(name: str) -> None:
    kind = kind_of(name)
    async with kind.peer() as peer, staged(kind.service(peer)) as stage:
        await answer_of(kind, stage)
        assert [frame.text for frame in stage.of(TranscriptionFrame)] == ["hello"]
        assert stage.failures == []
        if kind.connects:
            assert stage.of(InterimTranscriptionFrame)
            assert peer.asked[0]["query"]["sample_rate"] == "16000"
        else:
            assert peer.asked[0]["seconds"] > 0.5


@pytest.mark.parametrize("name", MINDS)
async def test_a_question_is_answered_in_pieces_with_its_tokens(name: str) -> None:
    kind = kind_of(name)
    async with kind.peer() as peer, staged(kind.service(peer)) as stage:
        await answer_of(kind, stage)
        assert [frame.text for frame in stage.of(LLMTextFrame)] == ["All ", "is ", "well."]
        assert stage.failures == []
        assert peer.asked[0]["stream"] is True


@pytest.mark.parametrize("name", MINDS)
async def test_a_tool_is_called(name: str) -> None:
    kind = kind_of(name)
    cities: list[str] = []

    async def weather(params: Any) -> None:
        cities.append(params.arguments["city"])
        await params.result_callback({"sky": "clear"})

    schema = FunctionSchema("get_weather", "The weather.", {"city": {"type": "string"}}, ["city"])
    call = ToolCall("get_weather", {"city": "Rome"})
    peers: dict[str, AbstractAsyncContextManager[Peer]] = {
        "openai llm": chat_peer(answers=[call]),
        "anthropic llm": anthropic_peer(answers=[call]),
    }
    async with peers[name] as peer:
        service: Any = kind.service(peer)
        service.register_function("get_weather", weather)
        async with staged(service) as stage:
            question: Any = [{"role": "user", "content": "How is the weather in Rome?"}]
            await stage.send(LLMContextFrame(LLMContext(question, tools=[schema])))
            assert await stage.until(lambda: bool(stage.of(FunctionCallResultFrame)))
    assert cities == ["Rome"]
    assert peer.asked[0]["tools"]


@pytest.mark.parametrize("name", ["openai tts", *TIMED])
async def test_a_sentence_is_spoken_with_a_tone_for_each_word(name: str) -> None:
    kind = kind_of(name)
    async with kind.peer() as peer, staged(kind.service(peer)) as stage:
        await answer_of(kind, stage)
        await stage.passes(60)
        pcm = b"".join(frame.audio for frame in stage.of(TTSAudioRawFrame))
        assert word_numbers(pcm, OUT_RATE) == [0, 1, 2, 3]
        said = " ".join(frame.text.strip() for frame in stage.of(TTSTextFrame))
        assert said == SENTENCE
        if name in TIMED:
            assert len(stage.of(TTSTextFrame)) == 4
        assert stage.failures == []
    assert peer.asked


# faults, seen by a client of no vendor's


async def test_each_status_is_said_in_the_words_of_the_provider() -> None:
    said = {}
    async with chat_peer() as peer, aiohttp.ClientSession() as client:
        for fault in (Fault.UNAUTHORIZED, Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.NONE):
            peer.fault = fault
            body = {"model": "m", "messages": []}
            async with client.post(f"{peer.url}/chat/completions", json=body) as answer:
                said[answer.status] = (await answer.json()).get("error", {}).get("code")
    assert said == {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: None, 200: None}


async def test_nothing_listens_on_a_port_that_refuses_and_it_is_the_same_port_later() -> None:
    fresh = aiohttp.TCPConnector(force_close=True)
    async with speech_peer() as peer, aiohttp.ClientSession(connector=fresh) as client:
        body = {"input": "one two"}
        for fault in (Fault.NONE, Fault.REFUSED, Fault.NONE, Fault.REFUSED, Fault.NONE):
            peer.fault = fault
            if fault is Fault.REFUSED:
                with pytest.raises(aiohttp.ClientConnectorError):
                    await client.post(f"{peer.url}/audio/speech", json=body)
                assert peer.open == 0
                continue
            async with client.post(f"{peer.url}/audio/speech", json=body) as answer:
                assert spoken_words(await answer.read(), 24000) == 2


async def test_an_answer_is_cut_in_its_middle_late_in_drops_garbage_or_never() -> None:
    async with speech_peer(speed=1000) as peer, aiohttp.ClientSession() as client:
        peer.slow_s = 0.05

        async def asked(fault: Fault) -> bytes:
            peer.fault = fault
            body = {"input": "one two"}
            async with client.post(f"{peer.url}/audio/speech", json=body) as answer:
                return await answer.read()

        whole = await asked(Fault.NONE)
        assert await asked(Fault.SLOW) == whole
        assert await asked(Fault.GARBAGE) == b"<html>"
        with pytest.raises(aiohttp.ClientError):
            await asked(Fault.CLOSED)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):  # real time: silence
                await asked(Fault.HANGS)
        peer.fault, peer.dribble_s = Fault.DRIBBLES, 0.05
        began_s = asyncio.get_running_loop().time()
        async with client.post(f"{peer.url}/audio/speech", json={"input": "a"}) as answer:
            assert await answer.content.readexactly(4) == whole[:4]
        assert asyncio.get_running_loop().time() - began_s >= 0.1  # real time: order


async def test_an_open_socket_meets_the_fault_with_what_it_asks_next() -> None:
    asked = {
        "transcript": "one two",
        "context_id": "c",
        "continue": False,
        "output_format": {"sample_rate": 16000},
    }
    async with cartesia_peer(speed=1000) as peer, aiohttp.ClientSession() as client:
        async with client.ws_connect(peer.url) as socket:
            await socket.send_json(asked)
            kinds = [(await socket.receive_json())["type"]]
            while kinds[-1] != "done":
                kinds.append((await socket.receive_json())["type"])
            assert set(kinds) == {"timestamps", "chunk", "done"}
            peer.fault = Fault.RATE_LIMITED
            await socket.send_json({**asked, "context_id": "d"})
            error = await socket.receive_json()
            assert (error["type"], error["status_code"]) == ("error", 429)
            peer.fault = Fault.GARBAGE
            await socket.send_json({**asked, "context_id": "e"})
            with pytest.raises(json.JSONDecodeError):
                await socket.receive_json()
            peer.fault = Fault.CLOSED
            await socket.send_json({**asked, "context_id": "f"})
            last = await socket.receive()
            while last.type is aiohttp.WSMsgType.TEXT:
                assert json.loads(last.data)["type"] != "done"
                last = await socket.receive()


async def test_a_cancelled_context_is_spoken_no_further() -> None:
    async with cartesia_peer(speed=10) as peer, aiohttp.ClientSession() as client:
        async with client.ws_connect(peer.url) as socket:
            about = {"continue": False, "output_format": {"sample_rate": 8000}}
            await socket.send_json({**about, "context_id": "long", "transcript": "word " * 200})
            await socket.receive_json()
            await socket.send_json({"context_id": "long", "cancel": True})
            await socket.send_json({**about, "context_id": "short", "transcript": "a"})
            while (message := await socket.receive_json())["context_id"] == "long":
                assert message["type"] != "done"
            while message["type"] != "done":
                message = await socket.receive_json()
                assert message["context_id"] == "short"


async def test_a_wrong_key_is_told_by_elevenlabs_after_the_handshake() -> None:
    path = "/v1/text-to-speech/voice/multi-stream-input?output_format=pcm_16000&auto_mode=true"
    async with elevenlabs_peer() as peer, aiohttp.ClientSession() as client:
        peer.fault = Fault.UNAUTHORIZED
        async with client.ws_connect(peer.url + path) as socket:
            assert (await socket.receive_json())["error"] == "invalid_api_key"
            await socket.receive()
            assert socket.close_code == 1008
