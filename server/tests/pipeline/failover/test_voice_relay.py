"""Who speaks: what one voice leaves unsaid the next one says, and no word twice. Virtual time."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from pipecat.frames.frames import (
    EndFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from tests.support.fallible import RATE, WORD_S, Provider, Voice, Way, candidates
from tests.support.providers.stage import Stage, staged
from voxwire_protocol.virtual_time import in_virtual_time
from voxwire_server.pipeline.failover import Candidate, VoiceRelay
from voxwire_server.pipeline.failover.deadlines import VOICE

SENTENCES = ("one two three four. ", "five six seven eight. ")
ALL = "one two three four. five six seven eight."
LEVEL = 100
"""Of the first voice's sound; the n-th has n times as much."""


def two(first: Way, second: Way = Way.WORKS) -> tuple[Provider, Provider, list[Candidate]]:
    """Two providers."""
    a, b = Provider("a", first), Provider("b", second)
    return a, b, candidates(Voice, [a, b], LEVEL)


async def say(stage: Stage, sentences: Sequence[str] = SENTENCES) -> float:
    """A model's answer; when it was given."""
    at_s = stage.now_s
    await stage.send(LLMFullResponseStartFrame())
    for sentence in sentences:
        await stage.send(LLMTextFrame(sentence))
    await stage.send(LLMFullResponseEndFrame())
    return at_s


async def spoken(stage: Stage, sentences: Sequence[str] = SENTENCES) -> float:
    """Have it say an answer; how long that took, s."""
    at_s = await say(stage, sentences)
    assert await stage.until(lambda: bool(stage.of(LLMFullResponseEndFrame, at_s)))
    await asyncio.sleep(0.5)
    return stage.now_s - at_s - 0.5


def words(stage: Stage) -> str:
    return " ".join(frame.text.strip() for frame in stage.of(TTSTextFrame))


def levels(stage: Stage) -> list[int]:
    """Whose sound came out, one for each word's length of it."""
    pcm = b"".join(frame.audio for frame in stage.of(TTSAudioRawFrame))
    samples = np.frombuffer(pcm, np.int16)[:: int(RATE * WORD_S)]
    return [int(level) // LEVEL for level in samples]


def balanced(stage: Stage) -> bool:
    """Whether each context that began has ended once, in order."""
    open_, seen = set[str | None](), set[str | None]()
    for _, frame in stage.below:
        if isinstance(frame, TTSStartedFrame):
            if frame.context_id in seen:
                return False
            seen.add(frame.context_id)
            open_.add(frame.context_id)
        elif isinstance(frame, TTSStoppedFrame):
            if frame.context_id not in open_:
                return False
            open_.discard(frame.context_id)
    return not open_


@in_virtual_time
async def test_who_works_speaks_alone() -> None:
    a, b, them = two(Way.WORKS)
    async with staged(VoiceRelay(them)) as stage:
        await spoken(stage)
        assert words(stage) == ALL
        assert levels(stage) == [1] * 8
        assert (a.made, b.made) == (1, 0)
        assert balanced(stage)


@pytest.mark.parametrize(
    ("way", "after_s"),
    [(Way.SILENT, 3.0), (Way.FAILS, 0.0), (Way.REFUSES, 0.0), (Way.STARTS_NOT, 3.0)],
)
@in_virtual_time
async def test_what_one_does_not_say_the_next_one_does(way: Way, after_s: float) -> None:
    _, b, them = two(way)
    async with staged(VoiceRelay(them)) as stage:
        at_s = await say(stage)
        assert await stage.until(lambda: bool(stage.of(TTSAudioRawFrame)))
        assert stage.now_s - at_s <= after_s + 0.2
        await stage.until(lambda: bool(stage.of(LLMFullResponseEndFrame)))
        await asyncio.sleep(0.5)
        assert words(stage) == ALL
        assert levels(stage) == [2] * 8
        assert "".join(b.asked).replace(" ", "") == ALL.replace(" ", "")
        assert balanced(stage)
        assert stage.failures == []


@pytest.mark.parametrize(("way", "after_s"), [(Way.STALLS, 2.0), (Way.FAILS_LATE, 0.0)])
@in_virtual_time
async def test_a_voice_that_breaks_off_is_followed_behind_its_last_word(
    way: Way, after_s: float
) -> None:
    _, b, them = two(way)
    async with staged(VoiceRelay(them)) as stage:
        await spoken(stage)
        assert words(stage) == ALL
        assert levels(stage) == [1, 1, *[2] * 6]
        assert b.asked[0].split()[0] == "three"
        assert balanced(stage)
        assert (
            len(stage.of(LLMFullResponseStartFrame)) == len(stage.of(LLMFullResponseEndFrame)) == 1
        )


@pytest.mark.parametrize("way", [Way.SILENT, Way.FAILS, Way.REFUSES, Way.STARTS_NOT])
@in_virtual_time
async def test_when_all_fail_the_client_is_told_and_nothing_hangs(way: Way) -> None:
    _, __, them = two(way, way)
    async with staged(VoiceRelay(them)) as stage:
        await spoken(stage)
        assert words(stage) == ""
        assert [failure.category for failure in stage.failures] == ["server"]
        assert await stage.passes(1.0) is not None


@in_virtual_time
async def test_the_next_answer_is_spoken_although_all_failed_before() -> None:
    a, b, them = two(Way.FAILS, Way.FAILS)
    async with staged(VoiceRelay(them)) as stage:
        await spoken(stage)
        a.way = b.way = Way.WORKS
        await spoken(stage, ("nine ten. ",))
        assert words(stage) == "nine ten."


@in_virtual_time
async def test_what_was_cut_off_is_not_said_by_the_next() -> None:
    _, b, them = two(Way.STALLS)
    async with staged(VoiceRelay(them)) as stage:
        await say(stage)
        await asyncio.sleep(1.0)
        await stage.send(InterruptionFrame())
        await asyncio.sleep(10.0)
        assert words(stage) == "one two"
        assert b.asked == []
        await stage.send(TTSSpeakFrame("back again"))
        await asyncio.sleep(5.0)
        assert words(stage) == "one two back again"


@in_virtual_time
async def test_a_sentence_of_its_own_goes_to_the_next() -> None:
    _, b, them = two(Way.FAILS_LATE)
    async with staged(VoiceRelay(them)) as stage:
        await stage.send(TTSSpeakFrame("one two three four"))
        await asyncio.sleep(5.0)
        assert words(stage) == "one two three four"
        assert b.asked == ["three four"]
        assert balanced(stage)


@in_virtual_time
async def test_what_was_given_before_the_end_is_said() -> None:
    _, __, them = two(Way.WORKS)
    async with staged(VoiceRelay(them)) as stage:
        await say(stage)
        await stage.send(EndFrame())
        assert await stage.until(lambda: bool(stage.of(EndFrame)))
        assert words(stage) == ALL
        assert balanced(stage)


@in_virtual_time
async def test_a_voice_that_is_silent_does_not_hold_the_end_for_ever() -> None:
    _, __, them = two(Way.SILENT)
    async with staged(VoiceRelay(them)) as stage:
        await say(stage)
        await stage.send(EndFrame())
        assert await stage.until(lambda: bool(stage.of(EndFrame)), 2 * VOICE.end_s + 1)


@in_virtual_time
async def test_nothing_is_left_of_a_session_that_ends_while_a_voice_is_waited_for() -> None:
    before = asyncio.all_tasks()
    _, __, them = two(Way.SILENT)
    async with staged(VoiceRelay(them)) as stage:
        await say(stage)
        await asyncio.sleep(0.5)
    assert asyncio.all_tasks() <= before


@pytest.mark.parametrize("way", list(Way))
@in_virtual_time
async def test_nothing_is_left_behind(way: Way) -> None:
    before = asyncio.all_tasks()
    _, __, them = two(way, way)
    async with staged(VoiceRelay(them)) as stage:
        await say(stage)
        await asyncio.sleep(8.0)
    await asyncio.sleep(1.0)
    assert asyncio.all_tasks() <= before
    assert stage.ended_s is not None
