"""Interruptions: silence at once, and exactly the heard words in the model's context."""

import asyncio
import random
import statistics
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.clicks import ForetoldClickTTS, make_bot, word_ms
from tests.support.clients import WITH_OPUS, connect
from tests.support.inside import patient
from tests.support.listening import Ear, click_onsets_ms, monotonic
from tests.support.waiting import PATIENT, until
from voxwire_server import BotSession
from voxwire_server.testing import RunningServer, running_server

pytestmark = pytest.mark.parametrize("transport", WITH_OPUS)

ROUNDS, AT_ONCE = 20, 5
WORDS = 30
TIMED_ROUNDS = 4
SEED = 20261122
NEAR_MS = 15
"""A click that a cut comes this close to may be heard or not: the voice fades for 10 ms."""


def answers(context: LLMContext) -> list[str]:
    """What the assistant said, as the model will read it."""
    messages: list[Any] = context.get_messages()
    return [str(m["content"]) for m in messages if m["role"] == "assistant"]


@dataclass
class Cut:
    """An interruption."""

    began_ms: int
    media_ms: int
    """Where the voice began and ended, on the media clock."""
    flushed_at: float
    silent_at: float
    """When the flush was told and when the last sound was heard (the clock of the ear)."""

    def is_near_a_click(self) -> bool:
        starts = accumulate((word_ms(word) for word in range(WORDS)), initial=self.began_ms)
        return any(abs(start - self.media_ms) < NEAR_MS for start in starts)


async def cut_once(session: voxwire.Session, ear: Ear, after_ms: float) -> Cut:
    """Have the bot speak, cut it off ``after_ms`` into its speech."""
    await session.send_text(f"say {WORDS}")
    started = await session.wait_for(voxwire.UtteranceStarted)
    await session.wait_for(voxwire.UtteranceWords)  # what nobody knows is not remembered either
    while session.position_ms < started.media_ms + after_ms:
        await asyncio.sleep(0.003)
    await session.interrupt()
    flushed = await session.wait_for(voxwire.Flushed)
    flushed_at = monotonic()
    await session.wait_for(voxwire.UtteranceEnded)
    await asyncio.sleep(0.25)  # real time: silence
    silent_at = ear.last_sound(flushed_at) or flushed_at
    return Cut(started.media_ms, flushed.media_ms, flushed_at, silent_at)


async def test_the_context_holds_what_was_heard(transport: str) -> None:
    """20 cuts at seeded random points; words are counted in the samples, not in events."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    contexts: dict[str, list[LLMContext]] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def bot(session: BotSession) -> None:
        made = contexts[session.id] = []
        await make_bot(made, tts=ForetoldClickTTS)(session)

    def committed(session: voxwire.Session) -> int:
        said = answers(contexts[session.id][0])
        return len(said[0].split()) if said else 0

    async def one(server: RunningServer, after_ms: float) -> None:
        ear = Ear()
        async with gate, connect(server.url, speaker=ear, transport=transport) as session:
            cut = await cut_once(session, ear, after_ms)
            heard = len(click_onsets_ms(ear.samples, ear.sample_rate))
            spare = int(cut.is_near_a_click())
            await until(lambda: committed(session) or heard <= spare)
            assert abs(committed(session) - heard) <= spare, (cut, committed(session), heard)

    with patient():
        async with running_server(bot, **PATIENT) as server, asyncio.TaskGroup() as group:
            for _ in range(ROUNDS):
                group.create_task(one(server, rng.uniform(60, 1500)))


@pytest.mark.timing(reason="silence within 60 ms of a flush is what an interruption promises")
async def test_a_flush_is_silence(transport: str) -> None:
    rng = random.Random(SEED)
    delays: list[float] = []
    async with running_server(make_bot()) as server:
        for number in range(TIMED_ROUNDS):
            ear = Ear()
            async with connect(server.url, speaker=ear, transport=transport) as session:
                cut = await cut_once(session, ear, rng.uniform(60, 1000))
                delays.append((cut.silent_at - cut.flushed_at) * 1000)
                tail = ear.last_sound(cut.flushed_at + 0.06)
            assert tail is None, f"round {number}: sound after the cut"
    median = statistics.median(delays)
    print(f"{transport}: flush -> silence median {median:.0f} ms, max {max(delays):.0f} ms")
    assert median <= 60


async def test_the_next_answer_has_all_its_words_and_none_of_the_cut_one(transport: str) -> None:
    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(60):
        ear = Ear()
        async with connect(server.url, speaker=ear, transport=transport) as session:
            cut = await cut_once(session, ear, 700)
            await session.send_text("say 5")
            words = [await session.wait_for(voxwire.BotWord) for _ in range(5)]
            await session.wait_for(voxwire.UtteranceEnded)
            every = click_onsets_ms(ear.samples, ear.sample_rate)
            onsets = [onset for onset in every if onset >= cut.media_ms]
    assert [w.text for w in words] == ["w30", "w31", "w32", "w33", "w34."]
    assert len(onsets) == 5
    assert all(abs(w.start_ms - o) <= 45 for w, o in zip(words, onsets, strict=True))
    said = answers(contexts[0])
    assert said[-1] == "w30 w31 w32 w33 w34."
    assert len(said) == 2


async def test_an_interruption_of_nothing_changes_nothing(transport: str) -> None:
    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(60):
        async with connect(server.url, transport=transport) as session:
            for _ in range(3):
                await session.interrupt()
            await session.send_text("say 3")
            words = [await session.wait_for(voxwire.BotWord) for _ in range(3)]
            await session.wait_for(voxwire.UtteranceEnded)
            await asyncio.sleep(0.2)  # real time: silence
    assert [w.text for w in words] == ["w0", "w1", "w2."]
    assert answers(contexts[0]) == ["w0 w1 w2."]
