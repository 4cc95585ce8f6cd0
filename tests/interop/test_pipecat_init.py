"""Bots that ``pipecat init`` writes now, under ``voxwire-server run`` in a process of its own.

Of the cascade only the constructors of its services are others; the realtime bot is as it was
written, with a peer on loopback in Google's place. What the log says of a turn is what the bot's
context holds of it: both are written with ``--transcription``, whose handlers log each turn.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.espeak import EspeakClient, shared_espeak
from tests.support.gemini_live_peer import running_peer
from tests.support.listening import Ear
from tests.support.pipecat_init import generated, needs_pipecat_tools, with_services
from tests.support.programs import serving
from tests.support.s2s import Talk
from tests.support.waiting import LONG, until
from voxwire_protocol.events import UtteranceEnd

pytestmark = needs_pipecat_tools

STORY = "tell me a long story"
CUT = "thank you"
WORDS = 5
"""Words of the story that are heard before it is cut off."""
ATTEMPTS = 4
NOTICED_S = 8
"""How long a bot may take to stop; then it is told again."""
LONGEST_S = 200
"""For a conversation that hangs; one takes 15 s."""
LOG = {"VOXWIRE_LOG_LEVEL": "INFO"}
CASCADE = (
    *("-t", "smallwebrtc", "-m", "cascade", "--transcription", "--eval"),
    *("--stt", "deepgram_stt", "--llm", "openai_llm", "--tts", "cartesia_tts"),
)
REALTIME = (
    *("-t", "smallwebrtc", "-m", "realtime", "--transcription", "--eval"),
    *("--realtime", "gemini_live_realtime"),
)


@contextlib.asynccontextmanager
async def talking(url: str, transport: str, espeak: EspeakClient) -> AsyncIterator[Talk]:
    microphone, ear = voxwire.ClipMicrophone(), Ear()
    async with voxwire.connect(
        url,
        microphone=microphone,
        speaker=ear,
        transport=transport,
        timeouts=LONG,
    ) as session:
        yield Talk(session, microphone, ear, espeak)


def turns(log: Path) -> list[str]:
    """What the assistants said, each turn as its context holds it."""
    return re.findall(r"Transcript: \[\S+\] assistant: (.*)", log.read_text("utf-8"))


async def ask_for_the_story(talk: Talk) -> int:
    """Say so until it is understood, as one does; on a busy machine a microphone stumbles.

    Returns:
        The number of the first event of the answer, or one before it.
    """
    for _ in range(ATTEMPTS):
        first = len(talk.events)
        await talk.say(STORY)
        with contextlib.suppress(TimeoutError):  # of what was no word nothing is told
            async with asyncio.timeout(NOTICED_S):
                understood = await talk.until(voxwire.UserTranscript, final=True)
                if understood.text.lower().strip(" .?!") == STORY:
                    return first
    raise AssertionError(f"{STORY!r} was not understood: {talk.of(voxwire.UserTranscript)}")


async def cut_off(talk: Talk) -> voxwire.UtteranceEnded:
    """Speak until the bot stops."""
    for _ in range(ATTEMPTS):
        await talk.say(CUT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NOTICED_S):
                return await talk.until(voxwire.UtteranceEnded, end=UtteranceEnd.INTERRUPTED)
    raise AssertionError(f"{CUT!r} did not stop the bot")


def heard_of(ended: voxwire.UtteranceEnded, events: list[Any]) -> list[str]:
    """The words of an utterance that were heard, as the end of it says."""
    words: dict[int, str] = {}
    for event in events:
        if isinstance(event, voxwire.UtteranceWords) and event.utterance_id == ended.utterance_id:
            words |= {word.index: word.text for word in event.words}
    return [words[index] for index in range(ended.heard_words)]


async def converse(url: str, transport: str, espeak: EspeakClient, log: Path) -> None:
    """A greeting, a question, an answer that is cut off by voice, and another one."""
    async with asyncio.timeout(LONGEST_S), talking(url, transport, espeak) as talk:
        assert await talk.answer()
        first = await ask_for_the_story(talk)
        while sum(isinstance(event, voxwire.BotWord) for event in talk.events[first:]) < WORDS:
            await talk.next()
        ended = await cut_off(talk)
        heard = heard_of(ended, talk.events[first:])
        assert len(heard) >= WORDS
        await until(lambda: " ".join(heard) in turns(log))
        assert await talk.answer()
        assert talk.of(voxwire.UserTranscript)[-1].final
        assert talk.session.transport == transport
        assert not talk.of(voxwire.ErrorEvent)


async def converse_both_ways(url: str, log: Path) -> None:
    espeak = shared_espeak()
    try:
        async with asyncio.TaskGroup() as group:
            for transport in TRANSPORTS:
                group.create_task(converse(url, transport, espeak, log))
    finally:
        await espeak.aclose()


async def test_a_cascade_that_pipecat_init_writes_holds_a_conversation(tmp_path: Path) -> None:
    written = await generated(tmp_path, "cascade", *CASCADE)
    source = written.read_text("utf-8")
    written.write_text(with_services(source), "utf-8")
    folder = written.parent
    run = ("voxwire-server", "run", "bot.py")
    async with serving(run, folder, timeout_s=LONGEST_S, **LOG) as url:
        await converse_both_ways(url, folder / "server.log")


async def test_a_realtime_bot_that_pipecat_init_writes_runs_as_it_is(tmp_path: Path) -> None:
    written = await generated(tmp_path, "realtime", *REALTIME)
    folder = written.parent
    env = {"GOOGLE_MODEL": "models/gemini-live", "GOOGLE_VOICE_ID": "Charon"}
    run = ("voxwire-server", "run", "bot.py")
    async with running_peer() as peer:
        async with serving(run, folder, timeout_s=LONGEST_S, **LOG, **env, **peer.env) as url:
            await converse_both_ways(url, folder / "server.log")


def test_only_constructors_and_their_imports_are_replaced() -> None:
    source = (
        "from pipecat.services.deepgram.stt import DeepgramSTTService\n"
        "from pipecat.frames.frames import LLMRunFrame\n\n"
        "x = [DeepgramSTTService(\n    api_key='é', more=[1],\n), LLMRunFrame()]\n"
    )
    assert with_services(source) == (
        "from voxwire_server.bots.offline.stt import SphinxSTTService as STTService\n"
        "from pipecat.frames.frames import LLMRunFrame\n\n"
        "x = [STTService(), LLMRunFrame()]\n"
    )
