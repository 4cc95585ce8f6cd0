"""The local Gemini Live peer holds to what the unmodified google-genai client expects."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.genai.live import AsyncSession

from tests.support.espeak import render_pcm
from tests.support.gemini_live_peer import Fault, GeminiPeer, running_peer
from tests.support.waiting import until

MODEL = "gemini-3.8-live"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Get the weather forecast for a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "day": {"type": "string"}},
        "required": ["city"],
    },
    "behavior": "BLOCKING",
}
FORECAST = {
    "city": "Paris",
    "day": "today",
    "found": True,
    "condition": "sunny",
    "high_c": 21,
    "low_c": 12,
}
PIECE = 3200  # 100 ms at 16 kHz


@pytest.fixture
async def peer() -> AsyncIterator[GeminiPeer]:
    """Speaks thirty times as fast as it sounds and waits for no playback: tests are short."""
    async with running_peer(speed=30, waits_for_playback=False, think_ms=0) as peer:
        yield peer


def client_of(peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch, **env: str) -> genai.Client:
    for name, value in {**peer.env, **env}.items():
        monkeypatch.setenv(name, value)
    return genai.Client()


def config(handle: str | None = None, *, behavior: str = "BLOCKING") -> types.LiveConnectConfig:
    return types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO],
        input_audio_transcription=types.AudioTranscriptionConfig(),
        output_audio_transcription=types.AudioTranscriptionConfig(),
        session_resumption=types.SessionResumptionConfig(handle=handle),
        tools=[{"function_declarations": [{**WEATHER, "behavior": behavior}]}],
    )


async def speak(peer: GeminiPeer, session: AsyncSession, text: str) -> None:
    """Says it, with silence before and behind; faster than real time, which nobody minds."""
    pcm, _ = await render_pcm(text, client=peer.espeak)
    audio = bytes(4 * PIECE) + pcm + bytes(10 * PIECE)
    for at in range(0, len(audio), PIECE):
        blob = types.Blob(data=audio[at : at + PIECE], mime_type="audio/pcm;rate=16000")
        await session.send_realtime_input(audio=blob)


async def turn(session: AsyncSession) -> list[types.LiveServerMessage]:
    async with asyncio.timeout(60):
        return [message async for message in session.receive()]


def transcript(messages: list[types.LiveServerMessage], kind: str) -> str:
    found = [getattr(m.server_content, kind) for m in messages if m.server_content]
    return "".join(t.text or "" for t in found if t)


async def until_tool_call(session: AsyncSession) -> types.FunctionCall:
    async with asyncio.timeout(60):
        async for message in session.receive():
            if message.tool_call:
                [call] = message.tool_call.function_calls or []
                return call
    raise AssertionError("the turn ended without a call")


async def test_a_spoken_question_is_answered_through_a_tool_in_the_apis_order(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    async with client.aio.live.connect(model=MODEL, config=config()) as session:
        await speak(peer, session, "what is the weather in paris")
        call = await until_tool_call(session)
        assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
        response = types.FunctionResponse(id=call.id, name=call.name, response=FORECAST)
        await session.send_tool_response(function_responses=response)
        answer = await turn(session)
    [record] = peer.received
    assert record.heard == ["What is the weather in paris?"]
    assert record.tool_responses == [{"id": call.id, "name": "get_weather", "response": FORECAST}]
    [spoken] = peer.spoken
    assert transcript(answer, "output_transcription") == spoken.text
    assert "sunny" in spoken.text and "21" in spoken.text
    assert " ".join(word.text for word in spoken.words) == spoken.text
    audio = b"".join(
        part.inline_data.data or b""
        for message in answer
        if message.server_content and message.server_content.model_turn
        for part in message.server_content.model_turn.parts or []
        if part.inline_data
    )
    assert len(audio) // 48 == spoken.duration_ms == spoken.sent_ms
    assert spoken.words[-1].end_ms <= spoken.duration_ms
    last = answer[-1]
    assert last.usage_metadata and (last.usage_metadata.response_token_count or 0) > 0
    marks = [kind for kind in record.sent if "model" not in kind and "output" not in kind]
    assert marks[0] == "setupComplete"
    assert marks.index("serverContent.inputTranscription") < marks.index("toolCall")
    end = marks.index("serverContent.generationComplete")
    assert marks.index("toolCall") < end < marks.index("serverContent.turnComplete")


async def test_speech_over_the_answer_interrupts_it_and_its_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_peer(speed=4) as peer:
        client = client_of(peer, monkeypatch)
        async with client.aio.live.connect(model=MODEL, config=config()) as session:
            await session.send_realtime_input(text="tell me a long story")
            async with asyncio.timeout(60):
                async for message in session.receive():
                    content = message.server_content
                    if content and content.output_transcription:
                        break
            await speak(peer, session, "what is my name")
            cut = await turn(session)
            answer = await turn(session)
    contents = [m.server_content for m in cut if m.server_content]
    assert [bool(c.interrupted) for c in contents].count(True) == 1
    assert contents[-1].turn_complete and not any(c.generation_complete for c in contents)
    story, name = peer.spoken
    assert story.interrupted and story.sent_ms < story.duration_ms
    assert story.transcribed and story.text.startswith(story.transcribed)
    [record] = peer.received
    said = [t for t in record.history if t["role"] == "model"]
    assert said[0]["parts"] == [{"text": story.transcribed}]
    assert (
        transcript(answer, "output_transcription") == name.text == ("I do not know your name yet.")
    )


async def test_speech_during_a_blocking_call_takes_the_call_back(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    async with client.aio.live.connect(model=MODEL, config=config()) as session:
        await session.send_realtime_input(text="what is the weather in paris")
        call = await until_tool_call(session)
        await speak(peer, session, "thank you")
        answer = await turn(session)
        late = types.FunctionResponse(id=call.id, name=call.name, response=FORECAST)
        await session.send_tool_response(function_responses=late)
        await session.send_realtime_input(text="hello")
        after = await turn(session)
    withdrawn = [m.tool_call_cancellation for m in answer if m.tool_call_cancellation]
    assert [c.ids for c in withdrawn] == [[call.id]]
    assert transcript(answer, "output_transcription") == "You are welcome."
    assert transcript(after, "output_transcription") == "Hello, how can I help you?"


async def test_a_call_that_does_not_block_is_spoken_over(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    setup = config(behavior="NON_BLOCKING")
    async with client.aio.live.connect(model=MODEL, config=setup) as session:
        await session.send_realtime_input(text="what is the weather in paris")
        call = await until_tool_call(session)
        filler = await turn(session)
        response = types.FunctionResponse(
            id=call.id,
            name=call.name,
            response=FORECAST,
            scheduling=types.FunctionResponseScheduling.WHEN_IDLE,
        )
        await session.send_tool_response(function_responses=response)
        answer = await turn(session)
    assert transcript(filler, "output_transcription") == "Let me check."
    assert "sunny" in transcript(answer, "output_transcription")


async def test_a_session_is_resumed_by_its_handle_with_its_context(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    async with client.aio.live.connect(model=MODEL, config=config()) as session:
        await session.send_realtime_input(text="my name is Emma")
        await turn(session)
        async with asyncio.timeout(60):
            update = (await anext(session.receive())).session_resumption_update
        assert update is not None and update.resumable and update.new_handle
        handle = update.new_handle
        with pytest.raises(errors.APIError) as busy:  # while the session has a connection
            async with client.aio.live.connect(model=MODEL, config=config(handle)):
                pass
        assert busy.value.code == 1011
    async with client.aio.live.connect(model=MODEL, config=config(handle)) as session:
        await session.send_realtime_input(text="what is my name")
        answer = await turn(session)
    assert transcript(answer, "output_transcription") == "Your name is Emma."
    assert peer.received[-1].resumed_from == handle
    assert peer.received[-1].session_id == peer.received[0].session_id
    with pytest.raises(errors.APIError, match="session not found"):
        async with client.aio.live.connect(model=MODEL, config=config("handle-of-nobody")):
            pass


async def test_contents_of_a_session_before_are_as_good_as_its_handle(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    before = types.Content(role="user", parts=[types.Part(text="My name is Oliver.")])
    async with client.aio.live.connect(model=MODEL, config=config()) as session:
        await session.send_client_content(turns=before, turn_complete=False)
        await session.send_realtime_input(text="what is my name")
        answer = await turn(session)
    assert transcript(answer, "output_transcription") == "Your name is Oliver."
    [seeded] = peer.received[0].client_contents
    assert seeded["turns"][0]["parts"] == [{"text": "My name is Oliver."}]


@pytest.mark.parametrize(
    ("model", "nudges"), [("gemini-3.8-live", True), ("gemini-2.5-flash-live", False)]
)
async def test_only_models_of_the_third_generation_wait_for_realtime_input(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch, model: str, nudges: bool
) -> None:
    client = client_of(peer, monkeypatch)
    greet = types.Content(role="user", parts=[types.Part(text="Greet the user.")])
    async with client.aio.live.connect(model=model, config=config()) as session:
        await session.send_client_content(turns=greet, turn_complete=True)
        if nudges:
            await asyncio.sleep(0.1)  # real time: silence
            assert not peer.spoken
            await session.send_realtime_input(text=" ")
        answer = await turn(session)
    assert transcript(answer, "output_transcription").startswith("Hello, I am your concierge.")
    assert len(peer.spoken) == 1


async def test_the_server_says_that_it_goes_away_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_peer(end_after_s=1.0, go_away_s=0.5) as peer:
        client = client_of(peer, monkeypatch)
        left: list[str] = []
        with pytest.raises(errors.APIError) as end:
            async with client.aio.live.connect(model=MODEL, config=config()) as session:
                async with asyncio.timeout(60):
                    async for message in session.receive():
                        if message.go_away:
                            left.append(message.go_away.time_left or "")
    assert left == ["0.5s"]
    assert end.value.code == 1011
    assert peer.received[0].closed == (1011, "Deadline expired before operation could complete.")


@pytest.mark.parametrize(
    ("key", "code", "reason"),
    [("wrong", 1007, "API key not valid"), ("", 1008, "unregistered callers")],
)
async def test_a_wrong_key_and_none_are_refused_with_googles_words(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch, key: str, code: int, reason: str
) -> None:
    client = client_of(peer, monkeypatch, GOOGLE_API_KEY=key or "x")
    if not key:
        client._api_client._http_options.headers["x-goog-api-key"] = ""  # type: ignore[index]
    with pytest.raises(errors.APIError, match=reason) as failure:
        async with client.aio.live.connect(model=MODEL, config=config()):
            pass
    assert failure.value.code == code


async def test_faults_come_when_they_are_ordered_and_then_no_more(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)

    async def ask() -> str:
        async with client.aio.live.connect(model=MODEL, config=config()) as session:
            await session.send_realtime_input(text="what can you do")
            return transcript(await turn(session), "output_transcription")

    peer.faults.append(Fault("quota"))
    with pytest.raises(errors.APIError, match="exceeded your current quota") as failure:
        await ask()
    assert failure.value.code == 1011
    peer.faults.append(Fault("quota", at="turn"))
    with pytest.raises(errors.APIError, match="exceeded your current quota"):
        await ask()
    for at in ("setup", "turn"):
        peer.faults.append(Fault("malformed", at=at))
        with pytest.raises(ValueError, match="Failed to parse response"):
            await ask()
    peer.faults.append(Fault("drop", at="turn"))
    with pytest.raises(errors.APIError) as failure:
        await ask()
    assert failure.value.code == 1006
    for hang in (Fault("hang", at="setup"), Fault("hang", at="turn")):
        peer.faults.append(hang)
        asking = asyncio.ensure_future(ask())
        await until(lambda hang=hang: hang.times == 0)
        answered, _ = await asyncio.wait({asking}, timeout=0.3)  # real time: silence
        assert not answered
        asking.cancel()
        await asyncio.wait({asking})
    assert (await ask()).startswith("I know the weather")
    assert all(fault.times == 0 for fault in peer.faults)


async def test_a_message_that_the_api_does_not_know_ends_the_connection(
    peer: GeminiPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(peer, monkeypatch)
    with pytest.raises(errors.APIError) as failure:
        async with client.aio.live.connect(model=MODEL, config=config()) as session:
            await session._ws.send('{"realtime_inputs": {}}')
            await turn(session)
    assert failure.value.code == 1007


async def test_as_a_program_it_prints_the_variables_that_put_it_in_googles_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.gemini_live_peer", "--port", "0"),
        cwd=Path(__file__).resolve().parents[2],
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            lines = [(await process.stdout.readline()).decode().strip() for _ in range(3)]
        for line in lines:
            export, _, assignment = line.partition(" ")
            assert export == "export"
            name, _, value = assignment.partition("=")
            monkeypatch.setenv(name, value)
        async with genai.Client().aio.live.connect(model=MODEL, config=config()) as session:
            assert session.session_id
    finally:
        process.terminate()
        await process.wait()
