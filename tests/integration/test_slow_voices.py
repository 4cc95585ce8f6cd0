"""Whoever is slow, the model or the voice: no word is lost, and each stands where it sounds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.clicks import RATE, ClickTTS, ScriptedLLM, click_pcm, word_ms
from voxwire_server import BotSession
from voxwire_server.testing import running_server

PATIENCE_S = 0.2
"""After so long without a sound Pipecat stops a context (3 s by itself)."""

SENTENCES = ("One.", "Two.", "Three.")


class Says(ScriptedLLM):
    """Says the sentences, and thinks before some of them."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self._slow = slow

    async def _answer(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        for sentence in SENTENCES:
            if sentence == self._slow:
                await asyncio.sleep(4 * PATIENCE_S)  # real time: slow
            await self.push_frame(LLMTextFrame(f"{sentence} "))
        await self.push_frame(LLMFullResponseEndFrame())


class Speaks(ClickTTS):
    """A word for each sentence, timed ahead of its sound or behind it; it is slow, too."""

    def __init__(self, slow: str, *, ahead: bool) -> None:
        super().__init__(stop_frame_timeout_s=PATIENCE_S)
        self._slow = slow
        self._ahead = ahead

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        if text == self._slow:
            await asyncio.sleep(4 * PATIENCE_S)  # real time: slow
        offset, number = self._offsets.get(context_id, 0.0), self._spoken
        self._spoken += 1
        self._offsets[context_id] = offset + word_ms(number) / 1000
        if self._ahead:
            await self.add_word_timestamps([(text, offset)], context_id)
        yield TTSAudioRawFrame(click_pcm(1, number), RATE, 1, context_id=context_id)
        if not self._ahead:
            await self.add_word_timestamps([(text, offset)], context_id)


@asynccontextmanager
async def talk(
    context: LLMContext, llm: Says, voice: Speaks, **settings: Any
) -> AsyncIterator[voxwire.Session]:
    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(context, vad_analyzer=None)
        await session.run([session.input(), user, llm, voice, session.output(), assistant])

    async with (
        asyncio.timeout(60),
        running_server(bot, **settings) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        yield session


async def until_idle(session: voxwire.Session, *, heard: bool) -> list[Any]:
    """What the client is told of an answer until the bot is idle after it."""
    told, begun = list[Any](), voxwire.UtteranceEnded if heard else voxwire.BotResponseStarted
    async for event in session:
        told.append(event)
        idle = isinstance(event, voxwire.StateChanged) and event.bot == voxwire.BotState.IDLE
        if idle and any(isinstance(event, begun) for event in told):
            break
    return told


async def converse(llm: Says, voice: Speaks) -> tuple[list[Any], list[str]]:
    """One answer: what the client was told, and what the model remembers of it."""
    context = LLMContext()
    async with talk(context, llm, voice) as session:
        await session.send_text("go")
        told = await until_idle(session, heard=True)
        await session.send_text("again")  # what was said is in the context by then
        await session.wait_for(voxwire.BotWord)
    kept: list[Any] = [m for m in context.get_messages() if m["role"] == "assistant"]
    return told, str(kept[0]["content"]).split()


def starts_of(told: list[Any]) -> dict[str, int]:
    """Where each word stands behind the first sample of its utterance, ms."""
    begins = {e.utterance_id: e.media_ms for e in told if isinstance(e, voxwire.UtteranceStarted)}
    words = [event for event in told if isinstance(event, voxwire.BotWord)]
    return {word.text: word.start_ms - begins[word.utterance_id] for word in words}


@pytest.mark.parametrize("ahead", [True, False])
async def test_words_behind_a_pause_of_the_model_stand_where_they_sound(ahead: bool) -> None:
    """The first one is spoken when the second one is known to be another, and so on."""
    told, kept = await converse(Says("Three."), Speaks("", ahead=ahead))
    assert kept == list(SENTENCES)
    starts = starts_of(told)
    assert list(starts) == list(SENTENCES)
    assert (starts["One."], starts["Two."]) == (0, 0)
    assert abs(starts["Three."] - word_ms(1)) <= 1


@pytest.mark.parametrize("slow", ["One.", "Two."])
async def test_a_slow_voice_has_the_time_of_an_answer_and_loses_no_word(slow: str) -> None:
    """It was reported as one that gives no audio, and its words came too late."""
    told, kept = await converse(Says(""), Speaks(slow, ahead=False))
    assert not [event for event in told if isinstance(event, voxwire.ErrorEvent)]
    assert kept == list(SENTENCES)
    assert list(starts_of(told)) == list(SENTENCES)


async def test_a_voice_that_is_slower_than_an_answer_may_be_is_told_once() -> None:
    llm, voice = Says(""), Speaks("One.", ahead=False)
    async with talk(LLMContext(), llm, voice, answer_timeout_ms=500) as session:
        await session.send_text("go")
        told = await until_idle(session, heard=False)
    [error] = [event for event in told if isinstance(event, voxwire.ErrorEvent)]
    assert error.code == voxwire.ErrorCode.SERVICE_FAILED
    assert error.subject_id.startswith("Speaks")
    assert not [event for event in told if isinstance(event, voxwire.UtteranceStarted)]
