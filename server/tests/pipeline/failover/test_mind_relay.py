"""Who thinks: deadlines, errors, answers that break off, and who is left alone. Virtual time."""

import asyncio

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from tests.support.fallible import Mind, Provider, Way, candidates
from tests.support.providers.stage import Stage, staged
from voxwire_protocol.virtual_time import in_virtual_time
from voxwire_server.pipeline.failover import Candidate, MindRelay
from voxwire_server.pipeline.failover.mind import APOLOGY, FILLER, GO_ON

WORDS = ["one ", "two ", "three ", "four "]
LATE_S = 0.2
"""What a turn of the loop and four words' pace add to a deadline."""


def two(first: Way, second: Way = Way.WORKS) -> tuple[Provider, Provider, list[Candidate]]:
    """Two providers."""
    a, b = Provider("a", first), Provider("b", second)
    return a, b, candidates(Mind, [a, b], WORDS)


async def ask(stage: Stage) -> float:
    """Ask; when it was."""
    await stage.send(LLMContextFrame(LLMContext([{"role": "user", "content": "Count."}])))
    return stage.now_s


def said(stage: Stage, since_s: float = 0.0) -> str:
    return "".join(frame.text for frame in stage.of(LLMTextFrame, since_s))


async def answer(stage: Stage) -> float:
    """Ask, and wait for the end of the answer, or for the apology; how long it took, s."""
    before = len(stage.below)
    asked_s = await ask(stage)

    def over() -> bool:
        since = [frame for _, frame in stage.below[before:]]
        apologies = [f for f in since if isinstance(f, TTSSpeakFrame) and f.text == APOLOGY]
        return any(isinstance(f, LLMFullResponseEndFrame) for f in since) or bool(apologies)

    assert await stage.until(over)
    return stage.now_s - asked_s


def spoken(stage: Stage) -> list[str]:
    return [frame.text for frame in stage.of(TTSSpeakFrame)]


@in_virtual_time
async def test_who_works_is_asked_alone() -> None:
    a, b, them = two(Way.WORKS)
    async with staged(MindRelay(them)) as stage:
        for _ in range(3):
            await answer(stage)
        assert said(stage) == "".join(WORDS) * 3
        assert (a.made, b.made) == (1, 0)
        assert spoken(stage) == []
        assert len(stage.of(LLMFullResponseStartFrame)) == 3
        assert len(stage.of(LLMFullResponseEndFrame)) == 3


@pytest.mark.parametrize(
    ("way", "after_s"),
    [(Way.SILENT, 5.0), (Way.FAILS, 0.0), (Way.REFUSES, 0.0), (Way.RAISES, 0.0)],
)
@in_virtual_time
async def test_one_of_whom_nothing_comes_is_followed_by_the_next(way: Way, after_s: float) -> None:
    _, b, them = two(way)
    async with staged(MindRelay(them)) as stage:
        took_s = await answer(stage)
        assert after_s + 0.39 <= took_s <= after_s + 0.4 + LATE_S
        assert said(stage) == "".join(WORDS)
        assert (
            len(stage.of(LLMFullResponseStartFrame)) == len(stage.of(LLMFullResponseEndFrame)) == 1
        )
        assert spoken(stage) == ([FILLER] if after_s else [])
        assert [m["content"] for m in b.asked[0]] == ["Count."]
        assert stage.failures == []


@in_virtual_time
async def test_one_that_cannot_be_made_is_followed_by_the_next_and_rests() -> None:
    made: list[str] = []

    def make() -> Mind:
        made.append("a")
        raise ImportError("its library is broken")

    _, __, [___, works] = two(Way.WORKS)
    relay = MindRelay([Candidate("a", make), works])
    failed: list[str] = []
    relay.add_event_handler("on_failed", lambda _, name, why: failed.append(f"{name}: {why}"))
    async with staged(relay) as stage:
        for _ in range(2):
            await answer(stage)
        assert said(stage) == "".join(WORDS) * 2
        assert made == ["a"]
        assert failed == ["a: it cannot be made: its library is broken"]
        assert stage.failures == []


@in_virtual_time
async def test_one_that_does_not_start_is_followed_by_the_next() -> None:
    _, __, them = two(Way.STARTS_NOT)
    async with staged(MindRelay(them)) as stage:
        took_s = await answer(stage)
        assert took_s <= 3.0 + 0.4 + LATE_S
        assert said(stage) == "".join(WORDS)


@pytest.mark.parametrize(("way", "after_s"), [(Way.STALLS, 2.0), (Way.FAILS_LATE, 0.0)])
@in_virtual_time
async def test_an_answer_that_breaks_off_goes_on_with_the_next(way: Way, after_s: float) -> None:
    _, b, them = two(way)
    async with staged(MindRelay(them)) as stage:
        took_s = await answer(stage)
        assert took_s <= 0.2 + after_s + 0.4 + LATE_S
        assert said(stage) == "one two " + "".join(WORDS)
        assert [(m["role"], m["content"]) for m in b.asked[0]] == [
            ("user", "Count."),
            ("assistant", "one two "),
            ("developer", GO_ON),
        ]
        assert (
            len(stage.of(LLMFullResponseStartFrame)) == len(stage.of(LLMFullResponseEndFrame)) == 1
        )
        assert spoken(stage) == []


@pytest.mark.parametrize("way", [way for way in Way if way is not Way.WORKS])
@in_virtual_time
async def test_when_all_fail_it_is_said(way: Way) -> None:
    _, __, them = two(way, way)
    async with staged(MindRelay(them)) as stage:
        took_s = await answer(stage)
        assert took_s <= 10.0 + LATE_S
        assert spoken(stage)[-1] == APOLOGY
        assert [failure.category for failure in stage.failures] == ["server"]
        assert len(stage.of(LLMFullResponseStartFrame)) == len(stage.of(LLMFullResponseEndFrame))


@in_virtual_time
async def test_an_answer_that_was_cut_off_stays_so() -> None:
    a, b, them = two(Way.SILENT)
    async with staged(MindRelay(them)) as stage:
        await ask(stage)
        await asyncio.sleep(1)
        await stage.send(InterruptionFrame())
        await asyncio.sleep(10)
        assert (said(stage), b.made, spoken(stage)) == ("", 0, [])
        a.way = Way.WORKS
        await answer(stage)
        assert said(stage) == "".join(WORDS)
        assert b.made == 0


@in_virtual_time
async def test_one_that_failed_rests_for_30_s() -> None:
    a, b, them = two(Way.FAILS)
    async with staged(MindRelay(them)) as stage:
        await answer(stage)
        a.way = Way.WORKS
        await answer(stage)
        assert (len(a.asked), len(b.asked)) == (1, 2)
        await asyncio.sleep(30)
        await answer(stage)
        assert (len(a.asked), len(b.asked)) == (2, 2)


@in_virtual_time
async def test_all_sessions_know_of_one_that_failed_five_times() -> None:
    a, b, them = two(Way.FAILS)
    for _ in range(5):
        async with staged(MindRelay(them)) as stage:
            await answer(stage)
    assert (len(a.asked), len(b.asked)) == (5, 5)
    async with staged(MindRelay(them)) as stage:
        await answer(stage)
    assert (len(a.asked), len(b.asked)) == (5, 6)


@in_virtual_time
async def test_a_refused_key_is_known_to_all_sessions_at_once() -> None:
    a, b, them = two(Way.REFUSES)
    for _ in range(2):
        async with staged(MindRelay(them)) as stage:
            await answer(stage)
    assert (len(a.asked), len(b.asked)) == (1, 2)


@pytest.mark.parametrize("way", list(Way))
@in_virtual_time
async def test_nothing_is_left_behind(way: Way) -> None:
    before = asyncio.all_tasks()
    _, __, them = two(way, way)
    async with staged(MindRelay(them)) as stage:
        await answer(stage)
    await asyncio.sleep(1)
    assert asyncio.all_tasks() <= before
    assert stage.ended_s is not None


@in_virtual_time
async def test_what_it_has_no_use_for_goes_through() -> None:
    _, __, them = two(Way.WORKS)
    async with staged(MindRelay(them)) as stage:
        await asyncio.sleep(0.1)
        await stage.send(TTSSpeakFrame("hello"))
        assert await stage.passes(1.0) is not None
        assert spoken(stage) == ["hello"]
        assert stage.failures == []
