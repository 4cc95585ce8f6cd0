"""The built-in bot over both transports: spoken phrases in, tools run, the data spoken."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.support.espeak import random_voice, render_pcm
from tests.support.pace import SLOW
from tests.support.waiting import PATIENT
from voxwire_server import BotSession, ToolReport
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline.intents import parse
from voxwire_server.bots.offline.phrases import Phrase, random_phrases
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

PHRASES = {"websocket": 10, "webrtc": 2 if SLOW else 4}
"""They understand alike; what differs is the way that the voice takes."""
AT_A_TIME = {"websocket": 2, "webrtc": 1} if SLOW else {"websocket": 5, "webrtc": 2}
"""Five WebRTC calls with both of their ends in one process are too much for a slow machine."""
PAUSE_S = 5.0
"""Longest pause of the bot within a turn."""


async def open_bot(session: BotSession) -> None:
    """The offline bot with its tool calls shown in full."""
    session.report_tools(ToolReport.FULL)
    await offline.bot(session)


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    bot = LoadedBot(name="offline", run=open_bot, warm=offline.warm, close=offline.close)
    async with running_server(bot, answer_timeout_ms=60_000, **PATIENT) as server:
        yield server


@dataclass
class Turn:
    """What one question brought."""

    heard: str = ""
    tools: list[voxwire.ToolCallStarted] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    spoken: str = ""


async def cut_greeting(session: voxwire.Session) -> None:
    """Hear the greeting begin and end it: it is another test's business."""
    await session.wait_for(voxwire.BotWord)
    await session.interrupt()
    await session.wait_for(voxwire.UtteranceEnded)


async def until_idle(session: voxwire.Session) -> Turn:
    """Follow one turn to the end of the bot's speech.

    On a slow machine the bot may be idle between "Let me check." and what its tool brought: until
    more was spoken than there were tools, the turn goes on for `PAUSE_S` after an idle.
    """
    turn = Turn()
    utterances: set[str] = set()
    idle = False
    while True:
        try:
            async with asyncio.timeout(PAUSE_S if idle else None):
                event = await anext(session)
        except TimeoutError:
            return turn
        match event:
            case voxwire.UserTranscript(final=True, text=text):
                turn.heard = text
            case voxwire.ToolCallStarted():
                turn.tools.append(event)
            case voxwire.ToolCallEnded(result=result):
                turn.results.append(result if isinstance(result, dict) else {})
            case voxwire.BotWord(text=text, utterance_id=utterance):
                turn.spoken += f" {text}"
                utterances.add(utterance)
            case voxwire.StateChanged(bot=bot):
                idle = bot == voxwire.BotState.IDLE and bool(utterances)
                if idle and len(utterances) > len(turn.tools):
                    return turn
            case voxwire.SessionEnded():
                return turn
            case _:
                pass


def check(phrase: Phrase, turn: Turn) -> None:
    """The phrase was understood, its tool ran with its arguments, and the answer has the data."""
    understood = parse(turn.heard)
    assert understood.intent == phrase.intent, (phrase, turn)
    assert dict(understood.slots) == phrase.slots, (phrase, turn)
    [call] = turn.tools
    assert call.name == phrase.tool
    arguments = call.arguments if isinstance(call.arguments, dict) else {}
    for slot, value in phrase.slots.items():
        assert str(arguments[slot]).lower() == value, (phrase, turn)
    [result] = turn.results
    spoken = turn.spoken.lower()
    if phrase.intent == "weather":
        assert str(result["high_c"]) in spoken and result["condition"].lower() in spoken, turn
    else:
        assert result.get("name", phrase.slots["cuisine"]).lower() in spoken, turn


async def test_spoken_phrases_run_their_tools_and_are_answered_with_the_data(
    server: RunningServer, transport: str
) -> None:
    seed = int(os.environ.get("VOXWIRE_TEST_SEED", "20261122"))
    print(f"{transport}: seed {seed}")
    phrases = random_phrases(seed, PHRASES[transport], intents=("weather", "restaurants"))
    voice = random_voice(seed)
    print(f"voice {voice}")

    free = asyncio.Semaphore(AT_A_TIME[transport])

    async def ask(phrase: Phrase) -> None:
        pcm, _ = await render_pcm(phrase.text, voice=voice.voice, rate=voice.rate)
        microphone = voxwire.ClipMicrophone()
        async with (
            free,
            voxwire.connect(server.url, microphone=microphone, transport=transport) as session,
        ):
            await cut_greeting(session)
            microphone.play(np.frombuffer(pcm, np.int16))
            await session.wait_for(voxwire.UserTranscript)
            check(phrase, await until_idle(session))

    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for phrase in phrases:
            group.create_task(ask(phrase))


async def test_a_spoken_phrase_runs_the_clients_own_tool(server: RunningServer) -> None:
    shown: list[str] = []

    @voxwire.tool
    async def show_on_map(place: str) -> str:
        """Show a place on the map."""
        if place != "Berlin":
            raise voxwire.ToolError("that is off the map")
        shown.append(place)
        return f"{place}, seen from above"

    async def say(text: str) -> Turn:
        pcm, _ = await render_pcm(text)
        microphone.play(np.frombuffer(pcm, np.int16))
        return await until_idle(session)

    microphone = voxwire.ClipMicrophone()
    async with (
        asyncio.timeout(60),
        voxwire.connect(
            server.url, microphone=microphone, transport="websocket", tools=[show_on_map]
        ) as session,
    ):
        await session.wait_for(voxwire.BotWord)  # the greeting has begun, and is cut off
        await session.interrupt()
        await session.wait_for(voxwire.UtteranceEnded)
        worked = await say("show me Berlin on the map")
        failed = await say("please show Rome on the map")
    assert worked.heard == "show me berlin on the map"
    assert [call.name for call in worked.tools] == ["show_on_map"]
    assert worked.spoken.strip() == "It is on your map: Berlin, seen from above."
    assert failed.spoken.strip() == "Sorry, I could not show Rome on your map."
    assert shown == ["Berlin"]


async def test_the_filler_and_the_answer_queue_with_their_words_in_place(
    server: RunningServer, transport: str
) -> None:
    """ "Let me check." and the answer behind it: words lie in the sound of their own utterance."""
    speaker = voxwire.Recording()
    async with asyncio.timeout(60):
        async with voxwire.connect(server.url, speaker=speaker, transport=transport) as session:
            await session.wait_for(voxwire.BotWord)  # the greeting is heard
            await session.send_text("what is the weather in Rome tomorrow")
            utterances: dict[str, voxwire.UtteranceStarted] = {}
            words: list[voxwire.BotWord] = []
            async for event in session:
                if isinstance(event, voxwire.UtteranceStarted):
                    utterances[event.utterance_id] = event
                elif isinstance(event, voxwire.BotWord):
                    words.append(event)
                elif isinstance(event, voxwire.UtteranceEnded) and [*utterances][1:] == [
                    event.utterance_id
                ]:
                    break
    filler, answer = list(utterances)[-2:]
    last_of_filler = [w for w in words if w.utterance_id == filler][-1]
    first_of_answer = next(w for w in words if w.utterance_id == answer)
    assert last_of_filler.end_ms <= first_of_answer.start_ms
    assert first_of_answer.start_ms >= utterances[answer].media_ms
    loud = np.abs(speaker.samples.astype(int)) > 600
    for word in (last_of_filler, first_of_answer):
        rate = speaker.sample_rate
        piece = loud[word.start_ms * rate // 1000 : word.end_ms * rate // 1000]
        assert piece.any(), f"{word.text!r} stands in silence"


async def test_speech_outside_the_grammar_is_answered_with_what_can_be_said(
    server: RunningServer, transport: str
) -> None:
    pcm, _ = await render_pcm("which wristwatches are swiss")
    microphone = voxwire.ClipMicrophone()
    async with asyncio.timeout(60):
        async with voxwire.connect(
            server.url, microphone=microphone, transport=transport
        ) as session:
            await cut_greeting(session)
            microphone.play(np.frombuffer(pcm, np.int16))
            turn = await until_idle(session)
    assert "say" in turn.spoken.lower(), turn
    assert turn.tools == []


async def test_the_bot_remembers_a_name_and_ends_the_session_on_goodbye(
    server: RunningServer,
) -> None:
    async with asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            await cut_greeting(session)
            await session.send_text("my name is Emma")
            await until_idle(session)
            await session.send_text("what is my name")
            turn = await until_idle(session)
    assert "Emma" in turn.spoken, json.dumps(turn.spoken)
