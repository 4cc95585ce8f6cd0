"""Where a turn's time goes: the server's stages against the client's own microphone and ear."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pipecat.frames.frames import Frame, LLMContextFrame, TTSAudioRawFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.clicks import RATE, ClickTTS, ScriptedLLM, click_pcm
from tests.support.espeak import render_pcm
from tests.support.listening import QUIET, Ear
from voxwire.audio import CAPTURE_RATE
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.tts import HibariTTSService
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

QUESTION = "what time is it"
TURNS = 2
"""Of each kind: as they are, and with a slow synthesiser."""

PAUSE_S = 0.7
"""Between two turns: the recogniser looks back as far as this."""

DELAY_MS = 300
NOISE_MS = 60
EAR_MS = 20


class DelayedTTS(HibariTTSService):
    """Thinks for ``delay_ms`` before each sentence."""

    delay_ms = 0

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self.delay_ms / 1000)  # real time: slow
        async for frame in super().run_tts(text, context_id):
            yield frame


def loud(samples: NDArray[np.int16]) -> NDArray[np.intp]:
    return np.flatnonzero(np.abs(samples.astype(int)) > QUIET)


class Microphone(voxwire.ClipMicrophone):
    """Knows when it gave its last audible sample, and how many samples came before its end."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped_s = 0.0
        self.stopped_sample = 0
        self._read = 0

    def read(self, num_samples: int) -> NDArray[np.int16]:
        samples = super().read(num_samples)
        found = loud(samples)
        if len(found):
            self.stopped_s = time.monotonic() - (num_samples - 1 - found[-1]) / CAPTURE_RATE
            self.stopped_sample = self._read + int(found[-1]) + 1
        self._read += num_samples
        return samples


def first_sound(ear: Ear, after_s: float) -> float:
    """When the first audible sample after a moment sounded, monotonic seconds."""
    for at, block in ear.blocks:
        found = loud(block.samples) if at > after_s else []
        if len(found):
            return at + float(found[0]) / ear.sample_rate
    raise AssertionError("nothing sounded")


@dataclass
class Turn:
    """One turn as the server tells it and as the client saw it."""

    metrics: voxwire.TurnMetrics
    ear_ms: float
    way_up_ms: float
    capture_ms: float


@dataclass
class Talk:
    """The turns of one transport."""

    transport: str
    as_it_is: list[Turn] = field(default_factory=list)
    delayed: list[Turn] = field(default_factory=list)

    @property
    def turns(self) -> list[Turn]:
        return self.as_it_is + self.delayed


async def quiet(session: voxwire.Session) -> None:
    """Cut the bot off."""
    await session.interrupt()
    await session.wait_for(voxwire.UtteranceEnded)


async def ask(
    session: voxwire.Session, microphone: Microphone, ear: Ear, pcm: NDArray[np.int16]
) -> Turn:
    await asyncio.sleep(PAUSE_S)  # real time: pace
    await microphone.play(pcm).wait()
    metrics = await session.wait_for(voxwire.TurnMetrics)
    stopped = microphone.stopped_s
    ear_ms = (first_sound(ear, stopped) - stopped) * 1000
    assert metrics.user_stopped_server_us is not None
    way_up_ms = metrics.user_stopped_server_us / 1000 - stopped * 1000  # one machine, one clock
    await quiet(session)
    capture_ms = microphone.stopped_sample * 1000 / CAPTURE_RATE
    return Turn(metrics, ear_ms, way_up_ms, capture_ms)


async def hold(url: str, transport: str, voices: dict[str, DelayedTTS]) -> Talk:
    """Asks the same thing again and again; every second time the synthesiser is slow."""
    samples = np.frombuffer((await render_pcm(QUESTION))[0], np.int16)
    talk, microphone, ear = Talk(transport), Microphone(), Ear()
    async with voxwire.connect(
        url,
        microphone=microphone,
        speaker=ear,
        transport=transport,
        metadata={"transport": transport},
    ) as session:
        await session.wait_for(voxwire.BotWord)
        await quiet(session)
        for _ in range(TURNS):
            for delay_ms, turns in ((0, talk.as_it_is), (DELAY_MS, talk.delayed)):
                voices[transport].delay_ms = delay_ms
                turns.append(await ask(session, microphone, ear, samples))
    return talk


def check_sum(turn: Turn) -> None:
    """The stages are there, lie side by side and are the whole."""
    metrics = turn.metrics
    assert metrics.total_ms == sum(metrics.stages.values()), metrics
    assert list(metrics.stages) == [
        *("vad", "stt", "turn", "llm", "tool", "tts", "output", "playout_delay", "lead_silence")
    ]
    assert not metrics.typed
    assert metrics.heard_source == voxwire.HeardSource.CLIENT_REPORT


def check_ear(talk: Talk) -> None:
    """The server's whole and the way up are what lay between the microphone and the ear."""
    apart: list[float] = []
    for turn in talk.turns:
        whole_ms = turn.metrics.total_ms or 0
        apart.append(turn.ear_ms - turn.way_up_ms - whole_ms)
    way_up_ms = median(turn.way_up_ms for turn in talk.turns)
    print(
        f"{talk.transport}: ear {median(t.ear_ms for t in talk.turns):.0f} ms, "
        f"way up {way_up_ms:.0f} ms, "
        f"whole apart by {', '.join(f'{ms:.0f}' for ms in apart)} ms"
    )
    assert abs(median(apart)) <= EAR_MS, apart
    assert -EAR_MS <= way_up_ms <= 250, talk.turns


def check_delay(talk: Talk) -> None:
    """What slows the synthesiser down is in its stage, and in no other."""
    rises: dict[str, float] = {}
    for name in talk.as_it_is[0].metrics.stages:
        before = median(turn.metrics.stages[name] for turn in talk.as_it_is)
        after = median(turn.metrics.stages[name] for turn in talk.delayed)
        rises[name] = after - before
        print(f"{talk.transport}: {name} {before:.0f} -> {after:.0f} ms")
    assert abs(rises.pop("tts") - DELAY_MS) <= NOISE_MS
    assert all(abs(rise) <= NOISE_MS for rise in rises.values()), rises


@pytest.mark.timing(reason="the stages of a turn against what its own client hears")
async def test_the_stages_are_what_the_client_hears_and_a_slow_voice_is_seen_in_its_own() -> None:
    voices: dict[str, DelayedTTS] = {}

    async def slow_bot(session: BotSession) -> None:
        context = LLMContext(tools=list(tools.TOOLS))
        user, assistant = session.aggregators(context)
        stt, llm, _ = offline.build_services()
        tts = voices[session.metadata["transport"]] = DelayedTTS()
        await session.run(
            [session.input(), stt, user, llm, tts, session.output(), assistant],
            on_ready=offline._greet,
        )

    bot = LoadedBot(name="slow", run=slow_bot, warm=offline.warm, close=offline.close)
    async with asyncio.timeout(90), running_server(bot) as server:
        talks = await asyncio.gather(*(hold(server.url, name, voices) for name in TRANSPORTS))
    for talk in talks:
        for turn in talk.turns:
            check_sum(turn)
            if talk.transport == "websocket":
                captured = turn.metrics.user_stopped_capture_ms
                assert captured is not None and abs(captured - turn.capture_ms) <= 5
        check_ear(talk)
        check_delay(talk)


class Voice(ScriptedLLM):
    """Answers in sound, as a speech-to-speech model does: no text, no synthesis context."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, LLMContextFrame):
            await self.push_frame(TTSAudioRawFrame(bytes(RATE // 10 * 2), RATE, 1))
            await self.push_frame(TTSAudioRawFrame(click_pcm(3), RATE, 1))
        else:
            await super().process_frame(frame, direction)


async def spoken_text(transport: str, processors: list[Any]) -> voxwire.TurnMetrics:
    """Types to a bot; the figures of that turn."""

    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(LLMContext(), vad_analyzer=None)
        await session.run([session.input(), user, *processors, session.output(), assistant])

    async with asyncio.timeout(60), running_server(bot) as server:
        async with voxwire.connect(server.url, transport=transport) as session:
            await session.send_text("say 3")
            return await session.wait_for(voxwire.TurnMetrics)


async def test_a_typed_turn_answered_by_a_model_that_speaks_by_itself(transport: str) -> None:
    metrics = await spoken_text(transport, [Voice()])
    print(f"{transport}: {metrics.stages}")
    assert metrics.typed
    assert metrics.total_ms == sum(metrics.stages.values())
    assert (metrics.vad_ms, metrics.stt_ms) == (0, 0)
    assert metrics.llm_ms is not None
    assert (metrics.tts_ms, metrics.tool_ms, metrics.user_stopped_capture_ms) == (None, None, None)
    assert metrics.lead_silence_ms is not None and 60 <= metrics.lead_silence_ms <= 101


async def test_a_typed_turn_has_its_text_at_a_synthesiser_that_is_done_at_once(
    transport: str,
) -> None:
    metrics = await spoken_text(transport, [ScriptedLLM(), ClickTTS()])
    print(f"{transport}: {metrics.stages}")
    assert list(metrics.stages) == [
        *("vad", "stt", "turn", "llm", "tts", "output", "playout_delay", "lead_silence")
    ]
    assert metrics.total_ms == sum(metrics.stages.values())
