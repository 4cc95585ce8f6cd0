"""A user speaks into a microphone in memory and the bot answers aloud, word by word."""

from __future__ import annotations

import itertools
import json

from pipecat.frames.frames import (
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSStartedFrame,
)

from tests.support.espeak import render_pcm
from voxwire_server.bots.offline import replies, tools


async def say(call, text: str, **voice) -> int:
    """Speak into the microphone; returns the position in the spoken frames."""
    pcm, _ = await render_pcm(text, **voice)
    since = len(call.spoken.frames)
    call.mic.speak(pcm)
    await call.mic.idle.wait()
    return since


def gapless_words(words) -> None:
    """Every context's words are in order and do not overlap."""
    for before, after in itertools.pairwise(words):
        assert before["start_ms"] <= before["end_ms"] <= after["start_ms"], (before, after)


async def test_it_greets_on_an_empty_context_and_remembers_that_it_did(call):
    await call.worker.queue_frames([LLMRunFrame()])
    text = await call.until_said("story.")
    assert text == replies.GREETING
    gapless_words(call.words())
    await call.spoken.wait(lambda: "LLMFullResponseEndFrame" in str(call.spoken.frames[-3:]), 10)


async def test_a_spoken_question_is_answered_from_the_tools_data(call):
    await say(call, "what is the weather in paris", rate=150)
    today = tools.weather()["paris"]["today"]
    text = await call.until_said(f"{today['low_c']}.", timeout_s=60)

    finals = [f.text for f in call.heard.of(TranscriptionFrame)]
    assert finals == ["what is the weather in paris"]
    assert text.startswith(f"{replies.FILLER} In Paris it is {today['condition']} today,")
    (in_progress,) = call.spoken.of(FunctionCallInProgressFrame)
    assert in_progress.arguments == {"city": "Paris", "day": "today"}
    (result,) = call.spoken.of(FunctionCallResultFrame)
    assert result.result["condition"] == today["condition"]


async def test_the_answer_queues_behind_the_filler_and_its_words_come_after(call):
    await say(call, "find a japanese restaurant in london", rate=150)
    await call.until_said("5.", timeout_s=60)
    started = call.spoken.of(TTSStartedFrame)
    assert len(started) == 2
    frames = [f for f in call.spoken.frames if "word" in f.metadata]
    filler = [f for f in frames if f.context_id == started[0].context_id]
    answer = [f for f in frames if f.context_id == started[1].context_id]
    assert [f.text for f in filler] == replies.FILLER.split()
    # The answer starts at the end of the filler's audio, not at the start of its last word.
    gap_ms = (answer[0].pts - filler[-1].pts) / 1e6
    last = filler[-1].metadata["word"]
    assert gap_ms >= last["end_ms"] - last["start_ms"]
    assert answer[0].metadata["word"]["start_ms"] < 100
    gapless_words([f.metadata["word"] for f in answer])


async def test_an_interrupted_story_stops_and_the_next_answer_has_all_its_words(call):
    await say(call, "tell me a long story", rate=150)
    await call.spoken.wait(lambda: len(call.words()) >= 8, 20)
    since = await say(call, "what is the weather in tokyo tomorrow", rate=150)
    forecast = tools.weather()["tokyo"]["tomorrow"]
    answer = (
        f"{replies.FILLER} In Tokyo it will be {forecast['condition']} tomorrow, with a high of "
        f"{forecast['high_c']} degrees and a low of {forecast['low_c']}."
    )
    await call.until_said(answer, since, timeout_s=60)
    assert call.interruptions >= 1
    told = next(m for m in call.context.messages if "lighthouse" in str(m.get("content")))
    assert len(told["content"].split()) < 60
    assert " ".join(tools.story()).startswith(told["content"])


async def test_speech_outside_the_grammar_is_answered_with_phrases_that_work(call):
    await say(call, "which wristwatches are swiss", rate=150)
    await call.until_said(".", timeout_s=60)
    finals = [frame.text for frame in call.heard.of(TranscriptionFrame)]
    assert set(finals) == {"[unknown]"}  # a stall may cut one sentence into two
    sorry = "Sorry, I did not catch that. You can say:"
    await call.spoken.wait(lambda: sorry in call.text())
    asked = [m["content"] for m in call.context.messages if m.get("role") == "user"]
    assert set(" ".join(asked).split()) == {"[unknown]"}  # no phrase that nobody said


async def test_an_unfinished_phrase_does_not_hang_the_turn(call):
    await say(call, "find a japanese restaurant", rate=150)
    await call.spoken.wait(lambda: call.text().startswith("Sorry, I did not"), 6)


async def test_typed_text_is_understood_and_the_name_is_remembered(call):
    async def type_text(text: str) -> int:
        since = len(call.spoken.frames)
        message = {"role": "user", "content": text}
        await call.worker.queue_frames([LLMMessagesAppendFrame([message], run_llm=True)])
        return since

    since = await type_text("Hi there! My name is Zoltan.")
    assert await call.until_said("Zoltan.", since) == "Nice to meet you, Zoltan."
    since = await type_text("So, what's my name?")
    assert await call.until_said("Zoltan.", since) == "Your name is Zoltan."


async def test_the_tools_result_is_in_the_context(call):
    await say(call, "tell me a joke", rate=150)
    await call.until_said(tools.jokes()[0].rsplit(" ", 1)[1], timeout_s=60)
    (message,) = [m for m in call.context.messages if m.get("role") == "tool"]
    assert json.loads(message["content"]) == {"joke": tools.jokes()[0]}
