"""What is kept of a conversation for another process: what was said, as far as it was heard."""

import asyncio
import json
from typing import Any

from pipecat.frames.frames import (
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    TranscriptionFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators import async_tool_messages
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

from tests.support.wired import Speaker, Wired
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.pipeline.kept_context import (
    LOST,
    MAX_CONTEXT_BYTES,
    MAX_INSTRUCTION_BYTES,
    take_over,
)
from voxwire_server.sent_files import SentFile

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


@in_virtual_time
async def test_late_results_are_no_instructions_and_of_too_many_of_those_the_first_stay(
    time: VirtualTime,
) -> None:
    """Pipecat gives the model both as a developer's; what was kept was too long to be read."""
    late = [
        async_tool_messages.build_final_result_message(f"c{number}", "x" * 20_000)
        for number in range(50)
    ]
    rules = [said("developer", f"{number}" + "y" * 30_000) for number in range(20)]
    running = [called("c99"), came("c99", "IN_PROGRESS")]
    context = LLMContext(
        [said("system", "be kind"), *late, *rules, *running, said("user", "hello")]
    )
    wired = Wired()
    _, assistant = LLMContextAggregatorPair(context)
    async with wired.running(behind=[assistant]) as pipeline:
        kept = pipeline.messages()
        assert kept is not None
        assert len(json.dumps(kept)) < MAX_INSTRUCTION_BYTES + MAX_CONTEXT_BYTES
        assert kept[0] == said("system", "be kind") and kept[-1] == said("user", "hello")
        assert [it for it in kept if it in rules[:8]] == rules[:8]
        assert kept[-3:-1] == running  # whatever instructions take


def called(call_id: str) -> dict[str, Any]:
    function = {"name": "pay", "arguments": '{"sum": 3}'}
    call = {"id": call_id, "function": function, "type": "function"}
    return {"role": "assistant", "tool_calls": [call]}


def came(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "content": content, "tool_call_id": call_id}


def picture(num_bytes: int) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * num_bytes}}


@in_virtual_time
async def test_a_picture_a_recording_and_a_file_leave_the_rest_of_the_conversation(
    time: VirtualTime,
) -> None:
    parts = [
        picture(300_000),
        {"type": "input_audio", "input_audio": {"data": "A" * 500, "format": "wav"}},
        {"type": "file_base64", "file": {"file_data": "data:;base64,A", "filename": "a.pdf"}},
    ]
    content = [{"type": "text", "text": "what is this"}, *parts]
    given = [said("system", "be kind"), said("user", "hello"), {"role": "user", "content": content}]
    context = LLMContext(list(given))
    wired = Wired()
    _, assistant = LLMContextAggregatorPair(context)
    async with wired.running(behind=[assistant]) as pipeline:
        kept = pipeline.messages()
        assert kept is not None and kept[:2] == given[:2]
        texts = [part["text"] for part in kept[2]["content"]]
        assert texts == [
            "what is this",
            "[image, not kept]",
            "[audio, not kept]",
            "[file, not kept]",
        ]
        assert "AAAA" not in json.dumps(kept) and "a.pdf" not in json.dumps(kept)
        assert context.get_messages() == given and content[1] is parts[0]  # the model has it all


@in_virtual_time
async def test_a_long_result_leaves_the_rest_of_the_conversation(time: VirtualTime) -> None:
    given = [said("user", "hello"), called("c1"), came("c1", "ö" * 200_000)]
    wired = Wired()
    _, assistant = LLMContextAggregatorPair(LLMContext(list(given)))
    async with wired.running(behind=[assistant]) as pipeline:
        kept = pipeline.messages()
        assert kept is not None and kept[:2] == given[:2] and len(kept) == 3
        assert kept[2]["content"].startswith("öööö") and kept[2]["content"].endswith(" [...]")
        assert len(json.dumps(kept)) < MAX_CONTEXT_BYTES


@in_virtual_time
async def test_a_call_that_runs_is_kept_however_much_is_said_behind_it(time: VirtualTime) -> None:
    running = [called("c1"), came("c1", "IN_PROGRESS")]
    rest = [said("user", "x" * 1000) for _ in range(200)]
    wired = Wired()
    _, assistant = LLMContextAggregatorPair(LLMContext([said("user", "pay"), *running, *rest]))
    async with wired.running(behind=[assistant]) as pipeline:
        kept = pipeline.messages()
        assert kept is not None and kept[:2] == running
        assert {len(it["content"]) for it in kept[2:]} == {1000} and 50 < len(kept) < 70


@in_virtual_time
async def test_a_call_is_kept_though_the_context_gets_it_behind_the_voice(
    time: VirtualTime,
) -> None:
    context = LLMContext([said("user", "pay")])
    wired, speaker = Wired(), Speaker()
    _, assistant = LLMContextAggregatorPair(context)
    async with wired.running(speaker, behind=[assistant]) as pipeline:
        await speaker.begin("c", 2000)
        await speaker.words("c", ("moment", 100))
        await speaker.end("c")
        fields: Any = {"function_name": "pay", "tool_call_id": "c1", "arguments": {"sum": 3}}
        await speaker.push_frame(FunctionCallInProgressFrame(**fields, cancel_on_interruption=True))
        await time.advance(500)
        assert len(context.get_messages()) == 1
        kept = pipeline.messages()
        spoken = [said("user", "pay"), said("assistant", "moment")]
        assert kept is not None and kept == [*spoken, called("c1"), came("c1", "IN_PROGRESS")]
        taken = LLMContext()
        take_over(taken, kept)
        assert taken.get_messages()[-1] == came("c1", LOST)
        await speaker.push_frame(FunctionCallResultFrame(**fields, result={"paid": True}))
        await time.advance(500)
        paid = [*spoken, called("c1"), came("c1", '{"paid": true}')]
        assert len(context.get_messages()) == 1
        assert pipeline.messages() == paid
        await time.advance(3000)  # and once: all is in the context, but for the answer's words
        there = context.get_messages()
        assert there == [said("user", "pay"), called("c1"), came("c1", '{"paid": true}')]
        assert pipeline.messages() == [*there, said("assistant", "moment")]


@in_virtual_time
async def test_what_the_user_wrote_beside_a_file_is_kept_while_the_bot_is_cut_off(
    time: VirtualTime,
) -> None:
    wired, speaker = Wired(), Speaker()
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=turns)
    async with wired.running(user, speaker, behind=[assistant]) as pipeline:
        await speaker.begin("c1", 5000)
        await time.advance(200)
        wired.voice.report = asyncio.Future()  # how much was heard is not known yet
        file = SentFile(name="a.png", media_type="image/png", data=b"AAAA", text="what is this")
        giving = asyncio.ensure_future(pipeline.file(file))
        await time.advance(50)
        assert [told.text for told in wired.port.of("transcript")] == ["what is this"]
        assert pipeline.messages() == [said("user", "what is this")]
        wired.voice.report.set_result(200.0)
        await giving
        kept = pipeline.messages()
        assert kept is not None and "what is this" in str(kept)
        changes = wired.num_changes
        await time.settle()
        assert wired.num_changes > changes  # with the picture's word
        text, word = ({"type": "text", "text": it} for it in ("what is this", "[image, not kept]"))
        assert pipeline.messages() == [{"role": "user", "content": [text, word]}]


class _Holds(FrameProcessor):
    """A recogniser that is busy: passes nothing on before it may."""

    free: asyncio.Event

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMMessagesAppendFrame):
            await self.free.wait()
        await self.push_frame(frame, direction)


@in_virtual_time
async def test_what_the_user_has_typed_is_kept_until_the_context_has_it(time: VirtualTime) -> None:
    wired, holds = Wired(), _Holds()
    holds.free = asyncio.Event()
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=turns)
    async with wired.running(holds, user, behind=[assistant]) as pipeline:
        await pipeline.text(
            "hello", run_immediately=False, audio_response=True, is_void=lambda: False
        )
        await time.advance(2000)
        assert not user.context.get_messages()
        assert pipeline.messages() == [said("user", "hello")]
        holds.free.set()
        await time.settle()
        assert pipeline.messages() == user.context.get_messages() == [said("user", "hello")]
