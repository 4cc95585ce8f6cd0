"""A running pipeline, as its session drives it, in virtual time."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMConfigureOutputFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.wired import RATE, Behind, Speaker, Wired
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server import BotSession
from voxwire_server.pipeline.bot import run_bot
from voxwire_server.ports import Pipeline
from voxwire_server.sent_files import SentFile


def says(pipeline: Pipeline, text: str, **how: Any) -> "asyncio.Task[None]":
    how = {"run_immediately": True, "audio_response": True, "is_void": lambda: False, **how}
    return asyncio.ensure_future(pipeline.text(text, **how))  # type: ignore[arg-type]


@in_virtual_time
async def test_the_user_s_voice_is_fed_in_blocks_and_a_burst_no_faster_than_a_vad_can_follow(
    time: VirtualTime,
) -> None:
    wired, behind = Wired(), Behind()
    block = bytes(RATE * 20 // 1000 * 2)
    async with wired.running(behind) as pipeline:
        for _ in range(300):
            pipeline.user_audio(block)
        assert wired.audio_lost_ms == 50 * 20
        await time.advance(60_000)
        assert len(behind.when(InputAudioRawFrame)) == 250
        assert behind.when(InputAudioRawFrame)[-1] >= 240 * 20 / 4


class _Takes(FrameProcessor):
    """Takes so long for each block of the user's voice, and lets it through or does not."""

    def __init__(self, took_ms: float, *, keeps: bool = False) -> None:
        super().__init__()
        self.took_ms = took_ms
        self.keeps = keeps
        self.done = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await asyncio.sleep(self.took_ms / 1000)  # real time: slow
            self.done += 1
            if self.keeps:
                return
        await self.push_frame(frame, direction)


@in_virtual_time
async def test_the_user_s_voice_does_not_run_ahead_of_what_takes_its_time_with_it(
    time: VirtualTime,
) -> None:
    """Speech recognition in front of a slow voice detector has still what was before the speech."""
    wired, front, slow = Wired(), Behind(), _Takes(1)
    block = bytes(RATE * 20 // 1000 * 2)
    async with wired.running(front, slow) as pipeline:
        pipeline.user_audio(block)
        await time.advance(100)
        slow.took_ms = 60
        for _ in range(80):
            pipeline.user_audio(block)
        ahead = 0
        while slow.done < 80:
            await time.advance(10)
            ahead = max(ahead, len(front.when(InputAudioRawFrame)) - slow.done)
        assert ahead == 11  # 200 ms may be on their way, and the block that is waited with


@in_virtual_time
async def test_a_pipeline_that_lets_no_voice_through_is_not_waited_for(time: VirtualTime) -> None:
    wired, ear = Wired(), _Takes(0)
    block = bytes(RATE * 20 // 1000 * 2)
    async with wired.running(ear) as pipeline:
        pipeline.user_audio(block)
        await time.advance(100)
        ear.keeps = True
        for _ in range(100):
            pipeline.user_audio(block)
        await time.advance(500 + 100 * 20 / 4 + 100)
        assert ear.done == 101


@in_virtual_time
async def test_keys_come_one_by_one(time: VirtualTime) -> None:
    wired, behind = Wired(), Behind()
    async with wired.running(behind) as pipeline:
        await pipeline.keys("4*#")
        await time.settle()
        pressed = [f.button.value for _, f in behind.seen if isinstance(f, InputDTMFFrame)]
        assert pressed == ["4", "*", "#"]


@in_virtual_time
async def test_a_text_cuts_the_bot_off_and_asks(time: VirtualTime) -> None:
    wired, behind, speaker = Wired(), Behind(), Speaker()
    async with wired.running(behind, speaker) as pipeline:
        await speaker.begin("c1", 5000)
        await time.advance(200)
        await says(pipeline, "hello")
        await time.settle()
        kinds = (InterruptionFrame, LLMMessagesAppendFrame, LLMRunFrame)
        came = [type(frame) for _, frame in behind.seen if isinstance(frame, kinds)]
        assert came[1:] == [LLMMessagesAppendFrame, LLMRunFrame]
        [told] = wired.port.of("transcript")
        assert (told.text, told.typed, told.final, told.turn_id) == ("hello", True, True, "t1")
        user = wire.InterruptionSource.INTERRUPTION_SOURCE_USER
        assert [i.source for i in wired.port.of("interrupted")] == [user]
        assert wired.state.bot == wire.BotState.BOT_STATE_THINKING


@in_virtual_time
async def test_what_begins_to_sound_while_a_text_cuts_the_bot_off_is_cut_off_too(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker) as pipeline:
        began_ms = time.now_ms()
        wired.voice.report = asyncio.Future()
        await speaker.begin("c1", 9000)
        asking = says(pipeline, "hello")
        await time.advance(50)
        await speaker.begin("c2", 9000)  # refused by nobody: it was on its way
        wired.voice.report.set_result(50.0)
        await speaker.begin("c3", 9000)
        await asking
        assert time.now_ms() - began_ms < 100
        ends = [told.end for told in wired.port.of("utterance_ended")]
        assert ends == [wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED] * len(
            wired.port.of("utterance_started")
        )


@in_virtual_time
async def test_a_text_that_was_voided_meanwhile_is_noted_and_not_answered(
    time: VirtualTime,
) -> None:
    wired, behind = Wired(), Behind()
    async with wired.running(behind) as pipeline:
        await says(pipeline, "hello", is_void=lambda: True)
        await time.settle()
        assert len(behind.when(LLMMessagesAppendFrame)) == 1
        assert behind.when(LLMRunFrame) == []
        assert wired.state.bot == wire.BotState.BOT_STATE_IDLE


@in_virtual_time
async def test_a_text_that_asks_nothing_cuts_nobody_off(time: VirtualTime) -> None:
    wired, behind, speaker = Wired(), Behind(), Speaker()
    async with wired.running(behind, speaker) as pipeline:
        await speaker.begin("c1", 5000)
        await time.advance(200)
        await says(pipeline, "note this", run_immediately=False)
        await time.settle()
        assert behind.when(InterruptionFrame) == behind.when(LLMRunFrame) == []
        assert wired.port.of("interrupted") == []
        [told] = wired.port.of("transcript")
        assert (told.turn_id, told.typed) == ("n1", True)


@pytest.mark.parametrize("speaks", [True, False])
@in_virtual_time
async def test_a_file_answered_in_text_leaves_a_bot_without_a_voice_silent(
    time: VirtualTime, speaks: bool
) -> None:
    wired, behind = Wired(), Behind()
    async with wired.running(behind) as pipeline:
        entry: Any = wired.session.input()
        entry._params.audio_out_enabled = speaks
        await pipeline.file(
            SentFile(name="a.txt", media_type="text/plain", data=b"x", audio_response=False)
        )
        await time.settle()
        told = [f.skip_tts for _, f in behind.seen if isinstance(f, LLMConfigureOutputFrame)]
        assert told == ([True, False] if speaks else [True])


# the life of a bot


class SlowStart(FrameProcessor):
    """Takes its time to be set up, and starts a task meanwhile."""

    def __init__(self, setup_s: float) -> None:
        super().__init__()
        self._setup_s = setup_s

    async def setup(self, setup: Any) -> None:
        await super().setup(setup)
        await asyncio.sleep(self._setup_s)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


def others() -> set["asyncio.Task[Any]"]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


@pytest.mark.parametrize("turns", range(12))
@in_virtual_time
async def test_a_bot_that_is_cancelled_at_any_turn_of_its_start_leaves_nothing(
    time: VirtualTime, turns: int
) -> None:
    """Pipecat 1.14 leaves four tasks at turn 1, and never ends at turn 2."""
    wired, before = Wired(), others()

    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(LLMContext(), vad_analyzer=None)
        ends = session.input(), session.output()
        await session.run([ends[0], user, ScriptedLLM(), ClickTTS(), ends[1], assistant])

    running = asyncio.ensure_future(run_bot(bot, BotSession(wired.wires)))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait({running})
    await time.settle()
    assert others() == before


@in_virtual_time
async def test_a_bot_that_is_cancelled_at_any_turn_of_its_end_leaves_nothing(
    time: VirtualTime,
) -> None:
    """As one is that does not end in time; Pipecat 1.14 leaves tasks of its bus at nine turns."""

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), ScriptedLLM(), ClickTTS(), session.output()])

    ended, before, left = False, others(), dict[int, list[str]]()
    for turns in range(200):
        session = BotSession(Wired().wires)
        running = asyncio.ensure_future(run_bot(bot, session))
        await time.advance(500)
        await session.end()
        for _ in range(turns):
            await asyncio.sleep(0)
        ended = running.done()
        running.cancel()
        async with asyncio.timeout(60):
            await asyncio.wait({running})
        await time.settle()
        left[turns] = [task.get_name() for task in others() - before]
        if ended:
            break
    assert ended
    assert len(left) > 20
    assert not any(left.values()), left


@in_virtual_time
async def test_a_pipeline_that_starts_slowly_is_let_start_and_is_ended(
    time: VirtualTime,
) -> None:
    wired, behind, before = Wired(), Behind(), others()

    async def bot(session: BotSession) -> None:
        await session.run([SlowStart(1.5), session.input(), session.output(), behind])

    running = asyncio.ensure_future(run_bot(bot, BotSession(wired.wires)))
    await time.advance(100)
    began_ms = time.now_ms()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert 1400 <= time.now_ms() - began_ms < 1500
    assert wired.started.done()
    await time.settle()
    assert others() == before


@in_virtual_time
async def test_a_pipeline_that_hangs_as_it_starts_is_waited_for_three_seconds(
    time: VirtualTime,
) -> None:
    wired, ended = Wired(), list[float]()

    async def bot(session: BotSession) -> None:
        try:
            await session.run([Hangs(), session.input()])
        finally:
            ended.append(time.now_ms())

    running = asyncio.ensure_future(run_bot(bot, BotSession(wired.wires)))
    await time.advance(100)
    began_ms = time.now_ms()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert [round(at_ms - began_ms) for at_ms in ended] == [3000]


@in_virtual_time
async def test_a_bot_that_has_not_run_its_pipeline_yet_is_not_waited_for(
    time: VirtualTime,
) -> None:
    ended: list[float] = []

    async def bot(session: BotSession) -> None:
        session.input()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(time.now_ms())

    running = asyncio.ensure_future(run_bot(bot, BotSession(Wired().wires)))
    await time.settle()
    began_ms = time.now_ms()
    running.cancel()
    await asyncio.wait({running})
    assert ended == [began_ms]


@in_virtual_time
async def test_a_bot_without_a_pipeline_is_cancelled_at_once_and_again_when_it_lingers(
    time: VirtualTime,
) -> None:
    cancelled: list[float] = []

    async def bot(session: BotSession) -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(time.now_ms())

    running = asyncio.ensure_future(run_bot(bot, BotSession(Wired().wires)))
    await time.settle()
    began_ms = time.now_ms()
    running.cancel()
    await time.advance(100)
    assert cancelled == [began_ms]
    assert not running.done()
    await asyncio.wait({running})
    assert time.now_ms() - began_ms >= 3_600_000


@in_virtual_time
async def test_what_a_bot_raises_or_returns_is_its_end() -> None:
    async def fails(_: BotSession) -> None:
        raise RuntimeError("broken")

    async def done(_: BotSession) -> None:
        return

    await run_bot(done, BotSession(Wired().wires))
    [outcome] = await asyncio.gather(
        run_bot(fails, BotSession(Wired().wires)), return_exceptions=True
    )
    assert repr(outcome) == "RuntimeError('broken')"


class Hangs(FrameProcessor):
    """Never starts."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await asyncio.Event().wait()


class SlowToStop(FrameProcessor):
    """Takes 80 ms over an interruption, as a service does that closes a connection."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await asyncio.sleep(0.08)
        await self.push_frame(frame, direction)


@in_virtual_time
async def test_a_greeting_that_begins_as_it_is_cut_off_is_cut_off_once(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(SlowToStop(), speaker, behind=[behind]) as pipeline:
        asking = says(pipeline, "hello")
        await time.advance(20)
        await speaker.begin("c1", 9000)
        await asking
        assert behind.when(InterruptionFrame) == [80]
