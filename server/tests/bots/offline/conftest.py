"""What the offline bot's tests share: two voices, closed at the end, and a call in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from tests.support.espeak import EspeakClient, shared_espeak
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.agent import ConciergeLLMService
from voxwire_server.bots.offline.bot import build_services
from voxwire_server.bots.offline.decoders import DecoderPool
from voxwire_server.bots.offline.voice import VoiceClient, shared_voice

IN_RATE = 16000
OUT_RATE = 24000
FRAME_MS = 20
SILENCE = bytes(IN_RATE * FRAME_MS // 1000 * 2)
FRAMES_OF_WINDOWS = 8
"""As many frames as Silero has five windows of 512 samples in."""


@pytest.fixture
async def espeak() -> AsyncIterator[EspeakClient]:
    """The loop's client, closed at the end of the test."""
    client = shared_espeak()
    yield client
    await client.aclose()


@pytest.fixture
async def bot_voice() -> AsyncIterator[VoiceClient]:
    """The bot's own voice of this loop, closed at the end of the test."""
    client = shared_voice()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def decoders() -> DecoderPool:
    """Decoders shared by all tests: they hold no loop, and loading one takes a while."""
    return DecoderPool()


class MemoryInput(BaseInputTransport):
    """A microphone: plays queued PCM in real time, silence otherwise. A text starts where a window
    of the speech detector's model does, so that the model always hears it alike: at another place
    it finds a pause in the middle of some sentences.
    """

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._pcm = bytearray()
        self._mic: asyncio.Task[None] | None = None
        self._frames = 0
        self._speaking = False
        self.idle = asyncio.Event()
        self.ended_at = 0.0

    def speak(self, pcm: bytes) -> None:
        self.idle.clear()
        self._pcm += pcm

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._mic = self.create_task(self._run(), "mic")

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            piece = bytes(self._take())
            if not self._pcm and not self.idle.is_set():
                self.ended_at = time.monotonic()
                self.idle.set()
            await self.push_audio_frame(
                InputAudioRawFrame(piece.ljust(len(SILENCE), b"\0"), IN_RATE, 1)
            )
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))  # real time: pace

    def _take(self) -> bytearray:
        """What sounds in the next frame."""
        at_window = self._frames % FRAMES_OF_WINDOWS == 1
        self._frames += 1
        if not self._speaking and not at_window:
            return bytearray()
        piece = self._pcm[: len(SILENCE)]
        del self._pcm[: len(SILENCE)]
        self._speaking = bool(self._pcm)
        return piece

    async def cleanup(self) -> None:
        await super().cleanup()
        if self._mic is not None:
            await self.cancel_task(self._mic)
            self._mic = None


class MemoryOutput(BaseOutputTransport):
    """A speaker: takes audio in real time and notes when it first sounded."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.played = bytearray()
        self.first_sound_at: list[float] = []
        self._due = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        now = time.monotonic()
        if any(frame.audio):
            self.first_sound_at.append(now)
        self._due = max(self._due, now) + frame.num_frames / frame.sample_rate
        await asyncio.sleep(self._due - now)  # real time: pace
        self.played += frame.audio
        return True


class Probe(FrameProcessor):
    """Keeps every frame that passes, and wakes whoever waits for one."""

    def __init__(self, *, audio: bool = False) -> None:
        super().__init__()
        self._skipped = InputAudioRawFrame if audio else (InputAudioRawFrame, OutputAudioRawFrame)
        self.frames: list[Frame] = []
        self.times: list[float] = []
        self._changed = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, self._skipped):
            return
        async with self._changed:
            self.frames.append(frame)
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def of(self, *kinds: type[Frame], since: int = 0) -> list[Any]:
        return [frame for frame in self.frames[since:] if isinstance(frame, kinds)]

    async def wait(self, ready: Callable[[], Any], timeout_s: float = 60) -> Any:
        """Wait until ``ready`` says so, looking after every frame."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(ready)
        return ready()


@dataclass
class Call:
    """A running pipeline in memory: microphone, the bot's three services, speaker."""

    context: LLMContext
    llm: ConciergeLLMService
    mic: MemoryInput
    speaker: MemoryOutput
    heard: Probe
    made: Probe
    spoken: Probe
    worker: PipelineWorker

    def words(self, since: int = 0) -> list[dict[str, Any]]:
        """The spans of the words that reached the end of the pipeline."""
        return [f.metadata["word"] for f in self.spoken.of(TTSTextFrame, since=since)]

    def text(self, since: int = 0) -> str:
        return " ".join(word["text"] for word in self.words(since))

    async def until_said(self, ending: str, since: int = 0, timeout_s: float = 60) -> str:
        """Wait until the words since a position end with a text."""
        await self.spoken.wait(lambda: self.text(since).endswith(ending), timeout_s)
        return self.text(since)

    @property
    def interruptions(self) -> int:
        return len(self.spoken.of(InterruptionFrame))


@asynccontextmanager
async def run_steps(
    *steps: FrameProcessor, probe: Probe, out_rate: int = OUT_RATE
) -> AsyncIterator[PipelineWorker]:
    """Run processors as a pipeline until the block is left."""
    worker = PipelineWorker(
        Pipeline(list(steps)),
        params=PipelineParams(audio_in_sample_rate=IN_RATE, audio_out_sample_rate=out_rate),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await probe.wait(lambda: probe.of(StartFrame))
        yield worker
    finally:
        await worker.cancel()
        async with asyncio.timeout(60):
            await running


@pytest.fixture
def run_pipeline() -> Callable[..., Any]:
    """``run_steps``, for tests that build their own pipeline."""
    return run_steps


@pytest.fixture
def make_probe() -> type[Probe]:
    """The class ``Probe``."""
    return Probe


@asynccontextmanager
async def memory_call(decoders: DecoderPool) -> AsyncIterator[Call]:
    """Run the bot's services between a microphone and a speaker in memory."""
    params = TransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_in_sample_rate=IN_RATE,
        audio_out_sample_rate=OUT_RATE,
    )
    context = LLMContext(tools=tools.TOOLS)
    stt, llm, tts = build_services()
    stt._pool = decoders
    stt._has_ears = False  # what the grammar does alone; test_ears.py has the others
    tts._speed = 1.5  # the bot talks fast, so that the tests do not take long
    vad = SileroVADAnalyzer(params=VADParams(confidence=0.7, start_secs=0.2, stop_secs=0.2))
    strategies = UserTurnStrategies(
        start=[VADUserTurnStartStrategy()],
        stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)],
    )
    pair = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(vad_analyzer=vad, user_turn_strategies=strategies),
    )
    mic, speaker = MemoryInput(params), MemoryOutput(params)
    heard, made, spoken = Probe(), Probe(), Probe()
    steps = [mic, stt, heard, pair.user(), llm, made, tts, speaker, spoken, pair.assistant()]
    async with run_steps(*steps, probe=spoken) as worker:
        yield Call(context, llm, mic, speaker, heard, made, spoken, worker)


@pytest.fixture
async def call(
    espeak: EspeakClient, bot_voice: VoiceClient, decoders: DecoderPool
) -> AsyncIterator[Call]:
    """A call that nobody has spoken in yet."""
    async with memory_call(decoders) as running:
        yield running
