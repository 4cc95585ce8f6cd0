"""Who hears: what one leaves unsaid the next one is given again. Virtual time."""

import asyncio

import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from tests.support.fallible import Ears, Provider, Way, candidates
from tests.support.providers.stage import IN_RATE, Stage, staged
from voxwire_protocol.virtual_time import in_virtual_time
from voxwire_server.pipeline.failover import Candidate, HearingRelay
from voxwire_server.pipeline.failover.hearing import APOLOGY

BLOCK = bytes(IN_RATE // 50 * 2)
BLOCKS = 50
"""Of an utterance, 20 ms each."""
AHEAD = 30
"""Blocks that are kept ahead of it."""


def two(first: Way, second: Way = Way.WORKS) -> tuple[Provider, Provider, list[Candidate]]:
    """Two providers."""
    a, b = Provider("a", first), Provider("b", second)
    return a, b, candidates(Ears, [a, b])


async def sound(stage: Stage, blocks: int) -> None:
    for _ in range(blocks):
        await stage.send(InputAudioRawFrame(BLOCK, IN_RATE, 1))
        await asyncio.sleep(0.02)  # real time: pace


async def utter(stage: Stage, blocks: int = BLOCKS) -> float:
    """The user speaks; when he stopped."""
    await stage.send(VADUserStartedSpeakingFrame())
    await sound(stage, blocks)
    await stage.send(VADUserStoppedSpeakingFrame())
    return stage.now_s


def heard(stage: Stage) -> list[str]:
    return [frame.text for frame in stage.of(TranscriptionFrame)]


@in_virtual_time
async def test_who_works_hears_alone() -> None:
    a, b, them = two(Way.WORKS)
    async with staged(HearingRelay(them)) as stage:
        await asyncio.sleep(0.1)
        for _ in range(3):
            await utter(stage)
            await asyncio.sleep(5)
        assert heard(stage) == ["a: 50"] * 3
        assert (a.made, b.made) == (1, 0)
        assert stage.of(TTSSpeakFrame) == []


@pytest.mark.parametrize(
    ("way", "after_s"), [(Way.SILENT, 3.0), (Way.FAILS, 0.0), (Way.REFUSES, 0.0), (Way.RAISES, 0.0)]
)
@in_virtual_time
async def test_what_one_does_not_write_down_the_next_one_does(way: Way, after_s: float) -> None:
    _, __, them = two(way)
    async with staged(HearingRelay(them)) as stage:
        await sound(stage, 2 * AHEAD)
        stopped_s = await utter(stage)
        assert await stage.until(lambda: bool(heard(stage)), 10.0)
        assert stage.now_s - stopped_s <= after_s + 0.3
        assert heard(stage) == [f"b: {AHEAD + BLOCKS}"]
        assert stage.failures == []


@in_virtual_time
async def test_one_that_does_not_start_is_followed_by_the_next() -> None:
    _, __, them = two(Way.STARTS_NOT)
    async with staged(HearingRelay(them)) as stage:
        stopped_s = await utter(stage)
        assert await stage.until(lambda: bool(heard(stage)), 10.0)
        assert stage.now_s - stopped_s <= 3.0
        assert heard(stage) == ["b: 50"]


@in_virtual_time
async def test_who_was_followed_is_asked_no_more() -> None:
    a, _, them = two(Way.SILENT)
    async with staged(HearingRelay(them)) as stage:
        for _ in range(3):
            await utter(stage)
            await asyncio.sleep(5)
        assert heard(stage) == ["b: 50"] * 3
        assert len(a.asked) == 1


@pytest.mark.parametrize("way", [way for way in Way if way is not Way.WORKS])
@in_virtual_time
async def test_when_nobody_hears_it_is_said(way: Way) -> None:
    _, __, them = two(way, way)
    async with staged(HearingRelay(them)) as stage:
        stopped_s = await utter(stage)
        assert await stage.until(lambda: bool(stage.of(TTSSpeakFrame)), 20.0)
        assert stage.now_s - stopped_s <= 6.5
        assert [frame.text for frame in stage.of(TTSSpeakFrame)] == [APOLOGY]


@in_virtual_time
async def test_all_that_were_silent_are_not_at_fault() -> None:
    """It was noise, perhaps: the first one hears the next words again."""
    a, _, them = two(Way.SILENT, Way.SILENT)
    async with staged(HearingRelay(them)) as stage:
        await utter(stage)
        await asyncio.sleep(10)
        a.way = Way.WORKS
        stopped_s = await utter(stage)
        assert await stage.until(lambda: bool(heard(stage)), 10.0)
        assert stage.now_s - stopped_s < 7


@in_virtual_time
async def test_who_has_written_it_down_before_the_user_stopped_owes_nothing() -> None:
    a, b, them = two(Way.WORKS)
    a.early = 20
    async with staged(HearingRelay(them)) as stage:
        await asyncio.sleep(0.1)
        await utter(stage)
        await asyncio.sleep(10)
        assert heard(stage) == ["early: 20"]
        assert (b.made, stage.of(TTSSpeakFrame)) == (0, [])


@in_virtual_time
async def test_who_has_written_down_the_beginning_owes_the_rest() -> None:
    a, _, them = two(Way.WORKS)
    a.early = 20
    async with staged(HearingRelay(them)) as stage:
        await asyncio.sleep(0.1)
        await utter(stage, 100)
        assert await stage.until(lambda: len(heard(stage)) == 2, 10.0)
        assert heard(stage) == ["early: 20", "b: 80"]


@in_virtual_time
async def test_nobody_apologises_for_a_cough() -> None:
    _, b, them = two(Way.SILENT, Way.SILENT)
    async with staged(HearingRelay(them)) as stage:
        await utter(stage, 10)
        await asyncio.sleep(10)
        assert (b.asked, stage.of(TTSSpeakFrame)) == ([10], [])


@pytest.mark.parametrize("way", list(Way))
@in_virtual_time
async def test_nothing_is_left_behind(way: Way) -> None:
    before = asyncio.all_tasks()
    _, __, them = two(way, way)
    async with staged(HearingRelay(them)) as stage:
        await utter(stage)
        await asyncio.sleep(10)
    await asyncio.sleep(1)
    assert asyncio.all_tasks() <= before
    assert stage.ended_s is not None
