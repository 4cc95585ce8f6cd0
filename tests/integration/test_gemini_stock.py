"""Pipecat's own GeminiLiveLLMService, in a pipeline without Voxwire, on the local peer."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.workers.runner import WorkerRunner

from tests.support.espeak import render_pcm
from tests.support.gemini_live_peer import running_peer
from voxwire_server.bots.offline.tools import get_weather


class Probe(FrameProcessor):
    """Keeps what passes, and says when the second turn is over."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.greeted, self.answered = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        if isinstance(frame, TTSStoppedFrame):
            (self.answered if self.greeted.is_set() else self.greeted).set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[Frame]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]


async def test_the_stock_service_greets_hears_calls_and_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_peer(speed=30, waits_for_playback=False) as peer:
        for name, value in peer.env.items():
            monkeypatch.setenv(name, value)
        llm = GeminiLiveLLMService(
            api_key=peer.settings.key,
            settings=GeminiLiveLLMService.Settings(system_instruction="You are a concierge."),
        )
        greet: list[Any] = [{"role": "developer", "content": "Greet the user."}]
        context = LLMContext(greet, tools=[get_weather])  # with these Pipecat connects twice
        pair = LLMContextAggregatorPair(context)
        below = Probe()
        worker = PipelineWorker(
            Pipeline([pair.user(), llm, below, pair.assistant()]),
            params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        question, _ = await render_pcm("what is the weather in rome", client=peer.espeak)
        async with asyncio.timeout(60):
            await worker.queue_frame(LLMRunFrame())
            await below.greeted.wait()
            audio = bytes(6400) + question + bytes(32000)
            for at in range(0, len(audio), 3200):
                await worker.queue_frame(InputAudioRawFrame(audio[at : at + 3200], 16000, 1))
            await below.answered.wait()
            await worker.queue_frame(EndFrame())
            await running
    record = peer.received[-1]
    assert record.heard == ["What is the weather in rome?"]
    [call], [response] = record.tool_calls, record.tool_responses
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Rome"})
    assert response["id"] == call["id"]
    assert response["response"]["found"] is True
    greeting, answer = record.spoken
    said = "".join(frame.text for frame in below.of(TTSTextFrame))
    assert said == greeting.text + answer.text
    audio_bytes = sum(len(frame.audio) for frame in below.of(TTSAudioRawFrame))
    assert abs(audio_bytes // 48 - greeting.sent_ms - answer.sent_ms) <= 2  # rounded apart
    users = [m["content"] for m in context.get_messages() if m.get("role") == "user"]  # type: ignore[union-attr]
    assert record.heard[0] in users
