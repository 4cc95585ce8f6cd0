"""What is kept of a conversation for another process: what was said, as far as it was heard."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

from tests.support.wired import Speaker, Wired
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.pipeline.kept_context import MAX_CONTEXT_BYTES

WORDS = ("one", 0), ("two", 200), ("three", 400)


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


@in_virtual_time
async def test_an_answer_that_is_being_spoken_is_kept_as_far_as_it_was_heard(
    time: VirtualTime,
) -> None:
    context = LLMContext([said("system", "be kind")])
    wired, speaker = Wired(), Speaker()
    _, assistant = LLMContextAggregatorPair(context)
    async with wired.running(speaker, behind=[assistant]) as pipeline:
        assert pipeline.messages() == [said("system", "be kind")]
        await speaker.push_frame(LLMFullResponseStartFrame())
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS)
        await speaker.end("c1")
        await speaker.push_frame(LLMFullResponseEndFrame())
        await time.advance(300)
        kept = pipeline.messages()
        assert kept is not None and kept[1:] == [said("assistant", "one two")]
        assert wired.num_changes == 4  # each word: it was heard, and the context has it
        await time.advance(1000)
        kept = pipeline.messages()
        assert kept is not None and kept[1:] == [said("assistant", "one two three")]
        assert context.get_messages() == kept


class _Dawdles(FrameProcessor):
    """Passes on what comes, later."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSTextFrame):
            await asyncio.sleep(0.15)  # real time: slow
        await self.push_frame(frame, direction)


@in_virtual_time
async def test_a_word_that_was_kept_too_early_is_kept_again_once_the_context_has_it(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    _, assistant = LLMContextAggregatorPair(LLMContext())
    async with wired.running(speaker, behind=[_Dawdles(), assistant]) as pipeline:
        await speaker.begin("c1", 600)
        await speaker.words("c1", *WORDS[:1])
        await time.advance(100)
        assert wired.num_changes == 1
        assert pipeline.messages() == []  # it was heard, and is on its way
        await time.advance(100)
        assert wired.num_changes == 2
        assert pipeline.messages() == [said("assistant", "one")]


@in_virtual_time
async def test_a_user_s_turn_that_goes_on_is_kept(time: VirtualTime) -> None:
    context = LLMContext()
    wired, speaker = Wired(), Speaker()
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    user, assistant = LLMContextAggregatorPair(context, user_params=turns)
    async with wired.running(speaker, user, behind=[assistant]) as pipeline:
        await speaker.push_frame(TranscriptionFrame("good morning", "ada", "now"))
        await time.settle()
        assert not context.get_messages()
        assert pipeline.messages() == [said("user", "good morning")]


@in_virtual_time
async def test_what_the_user_has_typed_is_kept_while_the_bot_is_cut_off(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=turns)
    async with wired.running(user, speaker, behind=[assistant]) as pipeline:
        await speaker.begin("c1", 5000)
        await time.advance(200)
        wired.voice.report = asyncio.Future()  # how much was heard is not known yet
        asking = asyncio.ensure_future(
            pipeline.text("hello", run_immediately=True, audio_response=True, is_void=lambda: False)
        )
        await time.advance(50)
        assert [told.text for told in wired.port.of("transcript")] == ["hello"]
        assert pipeline.messages() == [said("user", "hello")]
        changes = wired.num_changes
        wired.voice.report.set_result(200.0)
        await asking
        assert wired.num_changes > changes
        await time.settle()
        assert pipeline.messages() == [said("user", "hello")]  # and once


@in_virtual_time
async def test_of_a_long_conversation_the_newest_is_kept(time: VirtualTime) -> None:
    long = "x" * (MAX_CONTEXT_BYTES // 3)
    context = LLMContext([said("system", "be kind"), *(said("user", long) for _ in range(5))])
    wired = Wired()
    _, assistant = LLMContextAggregatorPair(context)
    async with wired.running(behind=[assistant]) as pipeline:
        kept = pipeline.messages()
        assert kept is not None
        assert [it["role"] for it in kept] == ["system", "user", "user"]
