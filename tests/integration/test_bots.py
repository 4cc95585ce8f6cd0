"""Bots: stock pipelines run unchanged, a failing bot ends its own session only."""

import asyncio
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

import voxwire
from tests.support.clicks import ClickTTS, ScriptedLLM, make_bot
from tests.support.waiting import until
from voxwire_server import BotSession
from voxwire_server.testing import running_server


async def run_stock_bot(transport: BaseTransport, recorded: list[bytes]) -> None:
    """A bot as Pipecat's examples write it; it knows nothing of Voxwire."""
    context = LLMContext()
    aggregators = LLMContextAggregatorPair(context)
    recorder = AudioBufferProcessor(num_channels=1)
    pipeline = Pipeline(
        [
            transport.input(),
            aggregators.user(),
            ScriptedLLM(),
            ClickTTS(),
            transport.output(),
            recorder,
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(pipeline, params=PipelineParams(enable_metrics=True))

    @recorder.event_handler("on_audio_data")
    async def on_audio_data(_buffer: Any, audio: bytes, _rate: int, _channels: int) -> None:
        recorded.append(audio)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport: Any, _client: Any) -> None:
        await recorder.start_recording()
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: Any, _client: Any) -> None:
        await recorder.stop_recording()
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def test_a_pipeline_written_for_stock_pipecat_runs_unchanged(transport: str) -> None:
    recorded: list[bytes] = []

    async def bot(session: BotSession) -> None:
        await run_stock_bot(session.transport, recorded)

    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as session:
            greeting = await session.wait_for(voxwire.BotWord)
            await session.wait_for(voxwire.UtteranceEnded)
            await session.send_text("say 4")
            words = [await session.wait_for(voxwire.BotWord) for _ in range(4)]
            await session.wait_for(voxwire.UtteranceEnded)
    assert greeting.text == "w0."
    assert [w.text for w in words] == ["w1", "w2", "w3", "w4."]
    assert np.abs(np.frombuffer(b"".join(recorded), np.int16)).max() > 10_000


async def test_a_bot_that_raises_ends_its_own_session_and_no_other(transport: str) -> None:
    calls = 0

    async def bot(session: BotSession) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ZeroDivisionError("on purpose")
        await make_bot()(session)

    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as good:
            with pytest.raises(voxwire.BotError) as failure:
                async with voxwire.connect(server.url, transport="websocket"):
                    pass
            assert failure.value.code == voxwire.ErrorCode.BOT_FAILED
            assert "on purpose" not in str(failure.value)
            await good.send_text("say 2")
            assert (await good.wait_for(voxwire.BotWord)).text == "w0"


async def test_a_bot_that_fails_later_ends_with_a_typed_error() -> None:
    async def bot(session: BotSession) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(make_bot()(session))
            await asyncio.sleep(0.5)  # real time: slow
            raise ZeroDivisionError("on purpose")

    async with running_server(bot) as server, asyncio.timeout(60):
        with pytest.raises(voxwire.BotError):
            async with voxwire.connect(server.url, transport="websocket") as session:
                async for _ in session:
                    pass


async def test_a_bot_that_returns_ends_the_session_in_order(transport: str) -> None:
    async def bot(session: BotSession) -> None:
        running = asyncio.ensure_future(make_bot()(session))
        await asyncio.sleep(1)  # real time: slow
        await session.say("bye now")
        await session.end()
        await running

    async with running_server(bot) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport=transport) as session:
            events = [event async for event in session]
    words = [e.text for e in events if isinstance(e, voxwire.BotWord)]
    assert words == ["bye", "now"]
    [ended] = [e for e in events if isinstance(e, voxwire.SessionEnded)]
    assert ended.reason == voxwire.EndReason.BOT


class Echo(FrameProcessor):
    """Says what it hears."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, 1))
        else:
            await self.push_frame(frame, direction)


def loud_s(speaker: voxwire.Recording) -> float:
    """How much of what was played is loud, seconds."""
    return float((np.abs(speaker.samples.astype(int)) > 3000).sum()) / speaker.sample_rate


async def test_audio_that_is_no_utterance_is_played_all_the_same(transport: str) -> None:
    async def bot(session: BotSession) -> None:
        await session.run([session.input(), Echo(), session.output()])

    speaker = voxwire.Recording()
    tone = (np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000) * 12000).astype(np.int16)
    async with (
        running_server(bot) as server,
        asyncio.timeout(60),
        voxwire.connect(server.url, microphone=tone, speaker=speaker, transport=transport),
    ):
        await until(lambda: loud_s(speaker) > 0.4)


async def test_a_greeting_that_raises_ends_the_session_as_the_bots_failure() -> None:
    async def bot(session: BotSession) -> None:
        async def greet(_: object) -> None:
            raise LookupError("no greeting")

        await session.run([session.input(), session.output()], on_ready=greet)

    async with running_server(bot) as server, asyncio.timeout(60):
        with pytest.raises(voxwire.BotError, match="LookupError") as failure:
            async with voxwire.connect(server.url, transport="websocket") as session:
                async for _ in session:
                    pass
    assert failure.value.code == voxwire.ErrorCode.BOT_FAILED
