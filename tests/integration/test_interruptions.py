"""Interruptions: silence at once, and exactly the heard words in the model's context."""

import asyncio
import random
import statistics
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.clicks import make_bot
from tests.support.listening import Ear, click_onsets_ms, monotonic
from voxwire_server.testing import running_server

ROUNDS = 20
SEED = 20261122


def answers(context: LLMContext) -> list[str]:
    """What the assistant said, as the model will read it."""
    messages: list[Any] = context.get_messages()
    return [str(m["content"]) for m in messages if m["role"] == "assistant"]


async def cut_once(session: voxwire.Session, ear: Ear, after_ms: float) -> tuple[float, float]:
    """Have the bot speak, cut it off ``after_ms`` into its speech; (flush, last sound) moments."""
    await session.send_text("say 30")
    started = await session.wait_for(voxwire.UtteranceStarted)
    while session.position_ms < started.media_ms + after_ms:
        await asyncio.sleep(0.003)
    await session.interrupt()
    await session.wait_for(voxwire.Flushed)
    flushed_at = monotonic()
    await session.wait_for(voxwire.UtteranceEnded)
    await asyncio.sleep(0.25)
    return flushed_at, ear.last_sound(flushed_at) or flushed_at


@pytest.mark.timing
async def test_the_context_holds_what_was_heard_and_the_rest_is_silent(transport: str) -> None:
    """20 cuts at seeded random points; words are counted in the samples, not in events."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    contexts: list[LLMContext] = []
    delays: list[float] = []
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(110):
        for round_number in range(ROUNDS):
            ear = Ear()
            async with voxwire.connect(server.url, speaker=ear, transport=transport) as session:
                flushed_at, silent_at = await cut_once(session, ear, rng.uniform(60, 1500))
                delays.append((silent_at - flushed_at) * 1000)
                tail = ear.last_sound(flushed_at + 0.06)
            heard = len(click_onsets_ms(ear.samples, ear.sample_rate))
            said = answers(contexts[round_number])
            committed = len(said[0].split()) if said else 0
            assert abs(committed - heard) <= 1, (round_number, said, heard)
            assert tail is None, f"round {round_number}: sound after the cut"
    median = statistics.median(delays)
    print(f"{transport}: flush -> silence median {median:.0f} ms, max {max(delays):.0f} ms")
    assert median <= 60


@pytest.mark.timing
async def test_the_next_answer_has_all_its_words_and_none_of_the_cut_one(transport: str) -> None:
    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(40):
        ear = Ear()
        async with voxwire.connect(server.url, speaker=ear, transport=transport) as session:
            await cut_once(session, ear, 700)
            cut_clicks = len(click_onsets_ms(ear.samples, ear.sample_rate))
            await session.send_text("say 5")
            words = [await session.wait_for(voxwire.BotWord) for _ in range(5)]
            await session.wait_for(voxwire.UtteranceEnded)
            onsets = click_onsets_ms(ear.samples, ear.sample_rate)[cut_clicks:]
    assert [w.text for w in words] == ["w30", "w31", "w32", "w33", "w34."]
    assert len(onsets) == 5
    assert all(abs(w.start_ms - o) <= 45 for w, o in zip(words, onsets, strict=True))
    said = answers(contexts[0])
    assert said[-1] == "w30 w31 w32 w33 w34."
    assert len(said) == 2


async def test_an_interruption_of_nothing_changes_nothing(transport: str) -> None:
    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(30):
        async with voxwire.connect(server.url, transport=transport) as session:
            for _ in range(3):
                await session.interrupt()
            await session.send_text("say 3")
            words = [await session.wait_for(voxwire.BotWord) for _ in range(3)]
            await session.wait_for(voxwire.UtteranceEnded)
            await asyncio.sleep(0.2)
    assert [w.text for w in words] == ["w0", "w1", "w2."]
    assert answers(contexts[0]) == ["w0 w1 w2."]
