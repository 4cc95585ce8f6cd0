"""The output in virtual time: places, holds, lets go, is cut off, and drains."""

import asyncio

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.support.wired import Behind, Speaker, Wired
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.pipeline.output_frames import HeardWord

_Source = wire.InterruptionSource
USER, CLIENT, SERVER, GAP = (
    _Source.INTERRUPTION_SOURCE_USER,
    _Source.INTERRUPTION_SOURCE_CLIENT,
    _Source.INTERRUPTION_SOURCE_SERVER,
    _Source.INTERRUPTION_SOURCE_GAP,
)
COMPLETED = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
INTERRUPTED = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
WORDS = ("one", 0), ("two", 200), ("three", 400)


def interruptions(wired: Wired) -> list[tuple[wire.InterruptionSource, str]]:
    """Who the client was told of, and the utterance that was cut."""
    return [(told.source, told.utterance_id) for told in wired.port.of("interrupted")]


@in_virtual_time
async def test_a_voice_is_placed_at_once_and_ends_when_it_was_heard(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]):
        await speaker.begin("c1", 500)
        await speaker.end("c1")
        await time.settle()
        assert wired.voice.playout.end_ms == 500
        [started] = wired.port.of("utterance_started")
        assert (started.utterance_id, started.media_ms) == ("u1", 0)
        assert not wired.port.of("utterance_ended")
        assert behind.when(BotStartedSpeakingFrame) == [0]
        await time.advance(1000)
        assert behind.when(BotStoppedSpeakingFrame) == [500]
        [ended] = wired.port.of("utterance_ended")
        assert (ended.end, ended.heard_media_ms) == (COMPLETED, 500)
        told = [change.bot for change in wired.port.of("state_changed")]
        idle, speaking = wire.BotState.BOT_STATE_IDLE, wire.BotState.BOT_STATE_SPEAKING
        assert told == [idle, speaking, idle]


@in_virtual_time
async def test_words_and_what_comes_behind_leave_when_the_listener_has_heard_so_far(
    time: VirtualTime,
) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]):
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await speaker.end("c1")
        await speaker.push_frame(LLMFullResponseEndFrame())
        await time.advance(1000)
        assert behind.when(TTSTextFrame) == [0, 200, 400]
        assert behind.when(TTSStoppedFrame) == [600]
        assert behind.when(LLMFullResponseEndFrame) == [600]
        [told] = wired.port.of("utterance_words")
        assert told.text == "one two three"


@in_virtual_time
async def test_nothing_leaves_while_nobody_hears_it(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]) as pipeline:
        wired.voice.detach()
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await time.advance(60_000)
        assert behind.when(TTSTextFrame) == [0]  # it stands where the listener is
        wired.voice.attach()
        pipeline.heard()
        await time.advance(1000)
        assert behind.when(TTSTextFrame) == [0, 60_200, 60_400]


@pytest.mark.parametrize("source", [USER, CLIENT, SERVER, GAP])
@in_virtual_time
async def test_a_cut_ends_at_what_was_heard_and_is_told_with_its_source(
    time: VirtualTime, source: wire.InterruptionSource
) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]) as pipeline:
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await time.advance(300)
        await pipeline.interrupt(source)
        await time.settle()
        assert interruptions(wired) == [(source, "u1")]
        [ended] = wired.port.of("utterance_ended")
        assert (ended.end, ended.heard_media_ms, ended.heard_words) == (INTERRUPTED, 300, 2)
        await speaker.begin("c1", 600)  # its synthesiser goes on although it was interrupted
        await time.advance(1000)
        assert wired.voice.playout.end_ms == 600
        assert behind.when(TTSTextFrame) == [0, 200]
        assert len(wired.port.of("utterance_started")) == 1


@in_virtual_time
async def test_heard_words_go_down_ahead_of_the_interruption(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]) as pipeline:
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await time.advance(100)
        wired.voice.report = asyncio.Future()  # the listener has heard more than was believed
        wired.voice.report.set_result(450.0)
        await pipeline.interrupt(CLIENT)
        await time.settle()
        tail = [f for _, f in behind.seen if isinstance(f, HeardWord | InterruptionFrame)]
        assert [getattr(frame, "text", "cut") for frame in tail] == ["two", "three", "cut"]


class Slow(FrameProcessor):
    """Passes on words after a while."""

    def __init__(self, secs: float) -> None:
        super().__init__()
        self.secs = secs

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if type(frame) is TTSTextFrame:
            await asyncio.sleep(self.secs)
        await self.push_frame(frame, direction)


@pytest.mark.parametrize(
    ("slow_s", "kept"),
    [(0.0, "one two three"), (0.05, "one two three"), (0.2, "one two three"), (9.0, "three")],
)
@in_virtual_time
async def test_words_on_their_way_are_in_the_context_before_what_is_heard_behind_them(
    time: VirtualTime, slow_s: float, kept: str
) -> None:
    wired, speaker, context = Wired(), Speaker(), LLMContext()
    aggregator = LLMContextAggregatorPair(context).assistant()
    async with wired.running(speaker, behind=[Slow(slow_s), aggregator]) as pipeline:
        await speaker.begin("c1", 600)
        await speaker.words("c1", ("one", 0), ("two", 200), ("three", 204))
        await speaker.push_frame(LLMFullResponseEndFrame())
        await time.advance(201)
        wired.voice.report = asyncio.Future()
        wired.voice.report.set_result(210.0)  # the listener was further than the server believed
        interrupting = asyncio.ensure_future(pipeline.interrupt(USER))
        await time.advance(1000)
        await interrupting
        assert [message["content"] for message in context.get_messages()] == [kept]


@in_virtual_time
async def test_a_client_s_interrupt_during_the_user_s_own_is_not_told_for_the_user_s_cut(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker) as pipeline:
        await speaker.begin("c1", 600)
        await time.advance(100)
        wired.voice.report = asyncio.Future()
        await speaker.broadcast_interruption()  # Pipecat's own: the user spoke
        await time.settle()
        assert wired.voice.flushed == ["u1"]
        interrupting = asyncio.ensure_future(pipeline.interrupt(CLIENT, settle=True))
        await time.advance(100)
        assert not interruptions(wired)
        wired.voice.report.set_result(100.0)
        await interrupting
        assert interruptions(wired) == [(USER, "u1")]


@in_virtual_time
async def test_the_user_s_own_during_a_client_s_interrupt_is_not_told_for_the_client_s_cut(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker) as pipeline:
        await speaker.begin("c1", 600)
        await time.advance(100)
        wired.voice.report = asyncio.Future()
        interrupting = asyncio.ensure_future(pipeline.interrupt(CLIENT, settle=True))
        await time.settle()
        await speaker.broadcast_interruption()
        await time.advance(100)
        wired.voice.report.set_result(100.0)
        await interrupting
        assert interruptions(wired) == [(CLIENT, "u1")]
        wired.voice.report = None
        await speaker.begin("c2", 600)
        await time.advance(100)
        await speaker.broadcast_interruption()
        await time.settle()
        assert interruptions(wired) == [(CLIENT, "u1"), (USER, "u2")]


@in_virtual_time
async def test_a_cut_that_fails_on_its_way_ends_what_it_was_to_cut(time: VirtualTime) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker) as pipeline:
        await speaker.begin("c1", 600)
        await time.advance(100)
        wired.voice.report = asyncio.Future()
        interrupting = asyncio.ensure_future(pipeline.interrupt(CLIENT, settle=True))
        await time.settle()
        wired.voice.report.set_exception(RuntimeError("a path that fails"))
        await time.advance(100)
        await interrupting
        [ended] = wired.port.of("utterance_ended")
        assert (ended.end, ended.utterance_id) == (INTERRUPTED, "u1")
        wired.voice.report = None
        await speaker.begin("c2", 600)
        await speaker.end("c2")
        await time.advance(1500)
        assert wired.port.of("utterance_ended")[1].end == COMPLETED


@in_virtual_time
async def test_the_end_waits_until_all_is_heard_and_no_longer(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]):
        await speaker.begin("c1", 5000)
        await speaker.words("c1", ("one", 0), ("two", 4000))
        await speaker.end("c1")
        await wired.session.end()
        await time.advance(10_000)
        assert behind.when(TTSTextFrame) == [0, 4000]
        assert behind.when(EndFrame) == [5000]


@in_virtual_time
async def test_the_end_waits_for_a_listener_who_is_away_as_long_as_the_voice_does(
    time: VirtualTime,
) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]):
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await speaker.end("c1")
        await time.advance(100)
        wired.voice.detach()
        wired.voice.waits = True
        await wired.session.end()
        await time.advance(30_000)
        assert behind.when(EndFrame) == []
        wired.voice.give_up()
        await time.advance(500)
        assert behind.when(EndFrame) == [30_100]
        assert behind.when(TTSTextFrame) == [0]  # what was not heard by then is not let go


@in_virtual_time
async def test_a_gap_while_the_end_is_waited_for_does_not_count(time: VirtualTime) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]) as pipeline:
        await speaker.begin("c1", 5000)
        await speaker.words("c1", ("one", 0), ("two", 4000))
        await speaker.end("c1")
        await wired.session.end()
        await time.advance(1000)
        wired.voice.waits = True
        wired.voice.detach()
        await time.advance(20_000)
        wired.voice.attach()
        pipeline.heard()
        await time.advance(20_000)
        assert behind.when(TTSTextFrame) == [0, 24_000]
        assert behind.when(EndFrame) == [25_000]


@in_virtual_time
async def test_the_end_does_not_wait_for_ever_for_a_listener_who_stands_still(
    time: VirtualTime,
) -> None:
    wired, speaker, behind = Wired(), Speaker(), Behind()
    async with wired.running(speaker, behind=[behind]):
        await speaker.begin("c1", 600)
        await speaker.end("c1")
        await time.settle()
        wired.voice.playout.heard.report(0.0, time.now_ms(), playing=False, suspended=True)
        await wired.session.end()
        await time.advance(60_000)
        assert behind.when(EndFrame) == [600 + 1500]


@in_virtual_time
async def test_audio_waits_for_room_and_is_placed_as_soon_as_there_is_some(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker):
        await speaker.begin("c1", 8000)
        await speaker.begin("c1", 4000)
        await speaker.begin("c1", 1000)
        await time.settle()
        assert wired.voice.playout.end_ms == 12_000
        await time.advance(1999)
        assert wired.voice.playout.end_ms == 12_000
        await time.advance(2)
        assert wired.voice.playout.end_ms == 13_000


@in_virtual_time
async def test_audio_that_waits_for_room_is_void_when_the_bot_is_cut_off(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    async with wired.running(speaker) as pipeline:
        await speaker.begin("c1", 12_000)
        await speaker.begin("c2", 1000)
        await time.settle()
        wired.voice.detach()  # nothing moves: only the interruption makes room
        await pipeline.interrupt(GAP)
        await time.advance(60_000)
        assert wired.voice.playout.end_ms == 12_000
        assert [told.utterance_id for told in wired.port.of("utterance_started")] == ["u1"]
