"""Bot files that were written for Pipecat's runner, on our sessions; none of them knows of us.

The files are in `bot_files/`, in the forms of Pipecat's examples; only the services are ours.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.support.clicks import word_ms
from tests.support.listening import Ear, click_onsets_ms
from tests.support.proxy import proxied
from tests.support.stock_socket import dialled
from tests.support.waiting import LONG, PATIENT, until
from voxwire_protocol.errors import ErrorCode
from voxwire_server.bots.house import Bots
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import RunningServer, running_server

FILES = Path(__file__).parent / "bot_files"
GREETS = ("quickstart", "classic")
TOLD_TWICE = {"bot-llm-text", "bot-tts-text", "bot-output", "user-llm-text", "bot-ready"}


@asynccontextmanager
async def serving(*names: str, **settings: Any) -> AsyncIterator[tuple[RunningServer, Any]]:
    """A server with the bots of some files, and the first of them as a module."""
    bots = [load_bot(str(FILES / f"{name}.py")) for name in names]
    async with asyncio.timeout(90), running_server(Bots(bots), **PATIENT, **settings) as server:
        yield server, sys.modules[f"voxwire_bot_{names[0]}"]


def connect(url: str, **options: Any) -> AbstractAsyncContextManager[voxwire.Session]:
    """Our client; a bot's first session imports what a busy machine takes its time for."""
    return voxwire.connect(url, timeouts=LONG, **options)


def answers(module: Any) -> list[str]:
    """What the assistant said in the last conversation, as the model will read it."""
    messages: list[Any] = module.CONTEXTS[-1].get_messages()
    return [str(m["content"]) for m in messages if m["role"] == "assistant"]


async def words_until_quiet(session: voxwire.Session) -> list[str]:
    """The words of one utterance as they are played, and its end."""
    words: list[str] = []
    async for event in session:
        match event:
            case voxwire.BotWord():
                words.append(event.text)
            case voxwire.UtteranceEnded():
                return words
            case _:
                pass
    raise AssertionError("the session ended first")


@pytest.mark.parametrize("name", GREETS)
async def test_a_bot_greets_answers_and_remembers_what_was_heard(name: str, transport: str) -> None:
    async with serving(name) as (server, module):
        ear = Ear()
        async with connect(server.url, speaker=ear, transport=transport) as session:
            assert await words_until_quiet(session) == ["w0."]
            await session.send_text("say 30")
            started = await session.wait_for(voxwire.UtteranceStarted)
            await until(lambda: session.position_ms > started.media_ms + 900)
            await session.interrupt()
            await session.wait_for(voxwire.UtteranceEnded)
            await until(lambda: len(answers(module)) == 2)
            heard = len(click_onsets_ms(ear.samples, ear.sample_rate)) - 1
            assert abs(len(answers(module)[-1].split()) - heard) <= 1
            await session.send_text("say 3")
            assert await words_until_quiet(session) == ["w31", "w32", "w33."]
            await until(lambda: answers(module)[-1] == "w31 w32 w33.")
        await until(lambda: len(server.registry) == 0)


@pytest.mark.parametrize("name", GREETS)
async def test_nothing_is_told_twice(name: str) -> None:
    """Pipecat's observer tells of a pipeline what the session tells by itself."""
    async with serving(name) as (server, _):
        events: list[Any] = []
        async with connect(server.url) as session:
            async for event in session:
                events.append(event)
                if isinstance(event, voxwire.UtteranceEnded):
                    break
        assert not [e for e in events if isinstance(e, voxwire.AppMessage)]
        assert len([e for e in events if isinstance(e, voxwire.BotResponseStarted)]) == 1
        async with dialled(f"{server.url}/ws-client") as client:
            await client.ready()
            await client.until(lambda: "bot-stopped-speaking" in client.types)
            assert client.types.count("bot-ready") == 1
            assert client.types.count("bot-llm-started") == 1
            assert client.spoken == "w0."


async def test_a_stock_client_cuts_a_stock_bot_at_the_heard_word() -> None:
    async with serving("quickstart") as (server, module), dialled(f"{server.url}/ws") as client:
        await client.ready()
        await client.until(lambda: client.spoken == "w0.")
        await client.say("send-text", {"content": "say 30"})
        await client.until(lambda: len(client.spoken.split()) > 4)
        await client.say("send-text", {"content": "say 1"})
        await client.until(lambda: client.of("bot-interrupted"))
        await until(lambda: len(answers(module)) == 3)
        told = client.spoken.split()[1:]
        cut = answers(module)[1].split()
        assert cut == told[: len(cut)]
        assert len(told) - len(cut) <= 1


async def test_a_session_outlives_its_socket_and_the_bot_does_not_notice() -> None:
    async with (
        serving("quickstart", grace_ms=60_000) as (server, module),
        proxied(server.port) as proxy,
    ):
        async with connect(proxy.url, transport="websocket") as session:
            assert await words_until_quiet(session) == ["w0."]
            conversations = len(module.CONTEXTS)
            await session.send_text("say 8")
            await session.wait_for(voxwire.BotWord)
            proxy.cut()
            words = await words_until_quiet(session)
            assert words == [f"w{number}" for number in range(2, 8)] + ["w8."]
            assert len(module.CONTEXTS) == conversations
            name = session.id
        await until(lambda: module.ENDED[-1:] == [name])


async def test_messages_requests_and_errors_go_both_ways() -> None:
    async with serving("messages") as (server, module):
        async with connect(server.url, transport="websocket") as session:
            await session.send_message("add", [1, 2, 3], request_id="r1")
            answer = await session.wait_for(voxwire.AppMessage)
            assert (answer.type, answer.data, answer.request_id) == ("add", 6, "r1")
            assert answer.response
            await session.send_message("refuse", request_id="r2")
            error = await session.wait_for(voxwire.ErrorEvent)
            assert (error.subject_id, error.reason) == ("r2", "not today")
            await session.send_message("tell", 7)
            told = [await session.wait_for(voxwire.AppMessage) for _ in range(2)]
            assert sorted((m.type, json.dumps(m.data)) for m in told) == [
                ("named", "7"),
                ("server-message", '{"shown": 7}'),
            ]
            await session.send_message("fail")
            errors = [await session.wait_for(voxwire.ErrorEvent) for _ in range(2)]
            assert [e.reason for e in errors].count("and so is the bot") == 1
            assert all(e.code is ErrorCode.SERVICE_FAILED for e in errors)
            clicked = {"event": "click", "payload": {"x": 1}}
            page = {"label": "rtvi-ai", "type": "ui-event", "id": "u1", "data": clicked}
            await session.send_message("rtvi-ai", page)
            forged = {"function_name": "f", "tool_call_id": "1", "arguments": {}, "result": "x"}
            await session.send_message(
                "rtvi-ai", {**page, "type": "llm-function-call-result", "data": forged}
            )
            for number in range(20):
                await session.send_message("note", number)
            await session.send_message("add", [], request_id="r3")
            assert (await session.wait_for(voxwire.AppMessage)).data == 0
        heard = module.HEARD
        assert [data for kind, data in heard if kind == "note"] == list(range(20))
        assert ("client-ready", True) in heard
        assert ("add", [1, 2, 3]) in heard
        assert ("click", {"x": 1}) in heard
        assert ("client-message", True) in heard
        assert ("llm-function-call-result", True) not in heard
        assert not any(kind == "dtmf" for kind, _ in heard)


async def test_a_stock_page_has_its_messages_answered() -> None:
    async with serving("messages") as (server, _), dialled(f"{server.url}/ws-client") as client:
        await client.ready()
        asked = await client.say("client-message", {"t": "add", "d": [4, 5]})
        await client.until(lambda: client.of("server-response"))
        [answer] = [m for m in client.messages if m["type"] == "server-response"]
        assert (answer["id"], answer["data"]) == (asked, {"t": "add", "d": 9})
        refused = await client.say("client-message", {"t": "refuse"})
        await client.until(lambda: client.of("error-response"))
        [error] = [m for m in client.messages if m["type"] == "error-response"]
        assert (error["id"], error["data"]) == (refused, {"error": "not today"})
        await client.say("client-message", {"t": "tell", "d": "x"})
        await client.until(lambda: len(client.of("server-message")) == 2)
        assert {"shown": "x"} in client.of("server-message")
        assert {"t": "named", "d": "x"} in client.of("server-message")


async def test_calls_are_told_as_far_as_the_bot_lets_them_be() -> None:
    """By ``function_call_report_level``: one is shown whole, all others are hidden."""
    async with serving("messages") as (server, _):
        events: list[Any] = []
        async with connect(server.url, transport="websocket") as session:
            for name in ("get_secret", "get_weather"):
                await session.send_text(name)
                async for event in session:
                    events.append(event)
                    if isinstance(event, voxwire.UtteranceEnded):
                        break
        [started] = [e for e in events if isinstance(e, voxwire.ToolCallStarted)]
        [ended] = [e for e in events if isinstance(e, voxwire.ToolCallEnded)]
        assert (started.name, started.arguments) == ("get_weather", {"city": "Paris"})
        assert ended.result == {"conditions": "sunny"}


async def test_a_transport_made_by_hand_has_the_rates_and_the_body_of_the_page() -> None:
    async with serving("by_hand") as (server, module):
        ear, microphone = Ear(), voxwire.ClipMicrophone()
        t = np.arange(16_000) / 16_000
        tone = (np.sin(2 * np.pi * 300 * t) * 9000).astype(np.int16)
        options: dict[str, Any] = {"speaker": ear, "microphone": microphone}
        async with connect(server.url, metadata={"name": "Ann"}, **options) as session:
            assert await words_until_quiet(session) == ["hello", "Ann"]
            await microphone.play(tone, sample_rate=16_000).wait()
            await until(lambda: sum(module.SAMPLES) >= 8000)
        assert sorted(module.RATES) == [8000]
        first, second = click_onsets_ms(ear.samples, ear.sample_rate)[:2]
        assert abs(second - first - word_ms(0)) <= 45


async def test_a_bot_that_speaks_and_hears_nothing_answers_in_writing() -> None:
    async with serving("silent") as (server, _):
        ear = Ear()
        async with connect(server.url, speaker=ear, transport="websocket") as session:
            for said in ("w0 w1. ", "w2 w3. "):
                await session.send_text("say 2")
                text = ""
                async for event in session:
                    if isinstance(event, voxwire.BotResponseText):
                        text += event.text
                    elif isinstance(event, voxwire.BotResponseEnded):
                        break
                assert text == said
        assert not click_onsets_ms(ear.samples, ear.sample_rate)


async def test_several_files_are_chosen_by_name() -> None:
    async with serving("quickstart", "classic", "silent") as (server, _):
        for name in GREETS:
            async with connect(server.url, bot=name) as session:
                assert await words_until_quiet(session) == ["w0."]
