"""Who pushes what, and what the client is told of it, in virtual time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TextFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService

from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.wired import Speaker, Wired
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.pipeline.unanswered import WAIT_MS

UP = FrameDirection.UPSTREAM
IDLE, THINKING, LISTENING = (
    wire.BotState.BOT_STATE_IDLE,
    wire.BotState.BOT_STATE_THINKING,
    wire.BotState.BOT_STATE_LISTENING,
)


class Ears(STTService):
    """A recogniser that recognises what a test says."""

    def __init__(self) -> None:
        settings = STTSettings(model="ears", language=None)
        super().__init__(sample_rate=16_000, settings=settings)

    async def run_stt(self, audio: bytes) -> Any:
        yield None


class Mind(ScriptedLLM):
    """A model that says what a test has it say."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super(ScriptedLLM, self).process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)


class Parts:
    """The processors of a pipeline, in its order."""

    def __init__(self) -> None:
        self.stt, self.llm, self.tts = Ears(), Mind(), ClickTTS()
        self.first, self.last = Speaker(), Speaker()

    @property
    def all(self) -> list[FrameProcessor]:
        return [self.first, self.stt, self.llm, self.tts, self.last]


def said(text: str, **fields: Any) -> TranscriptionFrame:
    return TranscriptionFrame(text, "u", "now", **fields)


def called(call_id: str = "call") -> FunctionCallInProgressFrame:
    return FunctionCallInProgressFrame(
        function_name="weather", tool_call_id=call_id, arguments={}, cancel_on_interruption=True
    )


def events(wired: Wired) -> list[str]:
    """The names of what the client was told, changes of state left out."""
    return [name for name, _ in wired.port.sent if name != "state_changed"]


Push = Callable[[Parts], Awaitable[None]]


def pushes(by: str, *frames: Frame) -> Push:
    async def push(parts: Parts) -> None:
        for frame in frames:
            await getattr(parts, by).push_frame(frame)

    return push


def interim(text: str) -> InterimTranscriptionFrame:
    return InterimTranscriptionFrame(text, "u", "now")


ANSWER = LLMFullResponseStartFrame, lambda: LLMTextFrame("hi. "), LLMFullResponseEndFrame
RESPONSE = ["response_started", "response_text", "response_ended"]


@pytest.mark.parametrize(
    ("by", "frames", "told"),
    [
        ("stt", [lambda: interim("he"), lambda: said("hello")], ["transcript", "transcript"]),
        ("first", [lambda: said("hello")], ["transcript"]),
        ("llm", [lambda: said("hello")], ["transcript"]),
        ("llm", ANSWER, RESPONSE),
        ("first", ANSWER, RESPONSE),
        ("stt", [lambda: TextFrame("a text of nobody")], RESPONSE[:2]),
        ("tts", [lambda: MetricsFrame(data=[TTFBMetricsData(processor="tts", value=0.1)])],
         ["service_metrics"]),
        ("stt", [InterruptionFrame], []),
    ],
)  # fmt: skip
@in_virtual_time
async def test_a_frame_counts_where_it_is_pushed_first_and_once(
    time: VirtualTime, by: str, frames: list[Callable[[], Frame]], told: list[str]
) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all):
        for make in frames:
            await getattr(parts, by).push_frame(make())
        await time.advance(1)
        names = [name for name in events(wired) if not name.startswith("utterance")]
        assert names == told


@in_virtual_time
async def test_transcripts_are_told_with_turn_and_segment(time: VirtualTime) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all):
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        for frame in (interim("he"), said("hello"), said("again")):
            await parts.stt.push_frame(frame)
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        await time.settle()
        await parts.stt.push_frame(said("more"))
        await time.settle()
        told = [(t.turn_id, t.transcript_id, t.final) for t in wired.port.of("transcript")]
        assert told[-1] == ("t2", "s2", True)
        assert [(segment, final) for _, segment, final in told[:3]] == [
            ("s0", False),
            ("s0", True),
            ("s1", True),
        ]


@in_virtual_time
async def test_a_response_is_part_of_its_turn_and_its_voice_is_part_of_both(
    time: VirtualTime,
) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all):
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        await parts.stt.push_frame(UserStoppedSpeakingFrame(), UP)
        await time.settle()
        await pushes("llm", *(make() for make in ANSWER))(parts)
        await time.advance(10)
        [started], [utterance] = (
            wired.port.of("response_started"),
            wired.port.of("utterance_started"),
        )
        assert (started.response_id, started.turn_id) == ("r1", "t1")
        assert (utterance.response_id, utterance.turn_id) == ("r1", "t1")
        assert utterance.source == wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD


@in_virtual_time
async def test_the_state_follows_the_user_and_the_model(time: VirtualTime) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(parts.stt, parts.llm):
        for frame in (UserStartedSpeakingFrame(), UserStoppedSpeakingFrame()):
            await parts.stt.push_frame(frame, UP)
            await time.settle()
        await parts.stt.push_frame(said("hello"))
        await pushes("llm", *(make() for make in ANSWER))(parts)
        await time.settle()
        assert [c.bot for c in wired.port.of("state_changed")] == [IDLE, LISTENING, THINKING, IDLE]


@in_virtual_time
async def test_a_turn_in_which_nothing_was_recognised_is_owed_no_answer(time: VirtualTime) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(parts.stt, parts.llm):
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        await parts.stt.push_frame(UserStoppedSpeakingFrame(), UP)
        await time.advance(WAIT_MS - 100)
        assert wired.state.bot == THINKING
        await time.advance(200)
        assert wired.state.bot == IDLE


@in_virtual_time
async def test_calls_are_told_as_part_of_the_response_that_made_them_and_of_no_other_turn_s(
    time: VirtualTime,
) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all):
        await parts.llm.push_frame(LLMFullResponseStartFrame())
        await parts.llm.push_frame(called("a"))
        await parts.llm.push_frame(
            FunctionCallResultFrame("weather", "a", arguments={}, result={"ok": True})
        )
        await time.settle()
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        await time.settle()
        await parts.llm.push_frame(called("b"))
        await parts.llm.push_frame(FunctionCallCancelFrame("weather", "b"))
        await time.settle()
        assert [told[:2] for told in wired.tools.told] == [
            ("called", "a"),
            ("ended", "a"),
            ("called", "b"),
            ("ended", "b"),
        ]
        responses = [told[3] for told in wired.tools.told if told[0] == "called"]
        assert responses == ["r1", ""]


@in_virtual_time
async def test_an_interruption_ends_the_response_and_reaches_the_calls_once(
    time: VirtualTime,
) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all) as pipeline:
        await parts.llm.push_frame(LLMFullResponseStartFrame())
        await time.settle()
        await pipeline.interrupt(wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT)
        await time.settle()
        assert events(wired) == ["response_started", "response_ended"]
        assert wired.tools.told == [("interrupted",)]


@in_virtual_time
async def test_a_service_that_fails_is_told_by_name(time: VirtualTime) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(*parts.all):
        await parts.tts.push_error("quota exceeded", RuntimeError("429"))
        await time.settle()
        [error] = wired.port.errors
        assert error.code.value == wire.ErrorCode.ERROR_CODE_SERVICE_FAILED
        assert error.subject == str(parts.tts)


@in_virtual_time
async def test_an_answer_that_does_not_come_is_cut_in_the_server_s_name(time: VirtualTime) -> None:
    wired, parts = Wired(answer_timeout_ms=5000), Parts()
    async with wired.running(parts.stt, parts.llm):
        await parts.stt.push_frame(UserStartedSpeakingFrame(), UP)
        await parts.stt.push_frame(UserStoppedSpeakingFrame(), UP)
        await time.settle()
        await parts.stt.push_frame(said("hello"))
        await parts.stt.push_frame(LLMContextFrame(LLMContext()))
        await time.advance(4000)
        assert wired.state.bot == THINKING
        await time.advance(3000)
        assert wired.state.bot == IDLE
        assert [error.subject for error in wired.port.errors] == [parts.llm.name]
        assert len(wired.lane.put_kinds) == 1


@in_virtual_time
async def test_what_cannot_be_told_is_left_out_and_the_rest_goes_on(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired, parts = Wired(), Parts()
    async with wired.running(parts.stt):
        emit = wired.port.emit

        def fails(**payload: Any) -> None:
            if "transcript" in payload and payload["transcript"].text == "bad":
                raise RuntimeError("secret")
            emit(**payload)

        monkeypatch.setattr(wired.port, "emit", fails)
        for text in ("bad", "good"):
            await parts.stt.push_frame(said(text))
        await time.settle()
        assert [t.text for t in wired.port.of("transcript")] == ["good"]
        [error] = wired.port.errors
        assert "secret" not in error.reason
