"""Bots that ``pipecat init`` writes now, under ``voxwire-server run`` in a process of its own.

Of the cascade only the constructors of its services are others; the realtime bot is as it was
written, with a peer on loopback in Google's place. What the log says of a turn is what the bot's
context holds of it: both are written with ``--transcription``, whose handlers log each turn.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.gemini_live_peer import running_peer
from tests.support.listening import Ear
from tests.support.pipecat_init import generated, needs_pipecat_tools, with_services
from tests.support.programs import serving
from tests.support.s2s import Talk
from tests.support.waiting import until
from voxwire_protocol.events import UtteranceEnd
from voxwire_server.bots.offline.espeak import EspeakClient, shared_espeak

pytestmark = needs_pipecat_tools

STORY = "tell me a long story"
CUT = "thank you"
WORDS = 5
"""Words of the story that are heard before it is cut off."""
CASCADE = (
    *("-t", "smallwebrtc", "-m", "cascade", "--transcription", "--eval"),
    *("--stt", "deepgram_stt", "--llm", "openai_llm", "--tts", "cartesia_tts"),
)
REALTIME = (
    *("-t", "smallwebrtc", "-m", "realtime", "--transcription", "--eval"),
    *("--realtime", "gemini_live_realtime"),
)


@asynccontextmanager
async def talking(url: str, transport: str, espeak: EspeakClient) -> AsyncIterator[Talk]:
    microphone, ear = voxwire.ClipMicrophone(), Ear()
    async with voxwire.connect(
        url, microphone=microphone, speaker=ear, transport=transport
    ) as session:
        yield Talk(session, microphone, ear, espeak)


def turns(log: Path) -> list[str]:
    """What the assistants said, each turn as its context holds it."""
    return re.findall(r"Transcript: \[\S+\] assistant: (.*)", log.read_text("utf-8"))


async def converse(url: str, transport: str, espeak: EspeakClient, log: Path) -> str:
    """A greeting, a question, an answer that is cut off by voice, and another one.

    Returns:
        What was heard of the answer that was cut off.
    """
    async with asyncio.timeout(150), talking(url, transport, espeak) as talk:
        assert await talk.answer()
        await talk.say(STORY)
        first = len(talk.events)
        await talk.until_seen(first, lambda kinds: kinds.count(voxwire.BotWord) >= WORDS)
        await talk.say(CUT)
        ended = await talk.until(voxwire.UtteranceEnded, end=UtteranceEnd.INTERRUPTED)
        told = [e for e in talk.events[first:] if isinstance(e, voxwire.BotWord)]
        assert told[-1].utterance_id == ended.utterance_id
        heard = " ".join(word.text for word in told)
        await until(lambda: heard in turns(log))
        assert await talk.answer()
        finals = [e.text for e in talk.of(voxwire.UserTranscript) if e.final]
        assert [text.lower().strip(" .?!") for text in finals] == [STORY, CUT]
        assert talk.session.transport == transport
        assert not talk.of(voxwire.ErrorEvent)
    return heard


async def converse_both_ways(url: str, log: Path) -> None:
    espeak = shared_espeak()
    try:
        heard = await asyncio.gather(
            *(converse(url, transport, espeak, log) for transport in TRANSPORTS)
        )
    finally:
        await espeak.aclose()
    print(*heard, sep="\n")


async def test_a_cascade_that_pipecat_init_writes_holds_a_conversation(tmp_path: Path) -> None:
    written = await generated(tmp_path, "cascade", *CASCADE)
    source = written.read_text("utf-8")
    written.write_text(with_services(source), "utf-8")
    folder = written.parent
    run = ("voxwire-server", "run", "bot.py")
    async with serving(run, folder, VOXWIRE_LOG_LEVEL="INFO") as url:
        await converse_both_ways(url, folder / "server.log")


async def test_a_realtime_bot_that_pipecat_init_writes_runs_as_it_is(tmp_path: Path) -> None:
    written = await generated(tmp_path, "realtime", *REALTIME)
    folder = written.parent
    env = {"GOOGLE_MODEL": "models/gemini-live", "GOOGLE_VOICE_ID": "Charon"}
    run = ("voxwire-server", "run", "bot.py")
    async with running_peer() as peer:
        async with serving(run, folder, VOXWIRE_LOG_LEVEL="INFO", **env, **peer.env) as url:
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
