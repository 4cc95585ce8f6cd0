"""Turns in which nothing was said."""

import asyncio

import pytest

from voxwire_server.pipeline import unanswered
from voxwire_server.pipeline.unanswered import WordlessTurns


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(unanswered, "WAIT_SECS", 0.02)
    return []


@pytest.fixture
def turns(dropped: list[str]) -> WordlessTurns:
    return WordlessTurns(lambda: dropped.append("dropped"))


async def test_a_turn_without_words_is_owed_no_answer(
    turns: WordlessTurns, dropped: list[str]
) -> None:
    turns.started()
    turns.stopped()
    assert not dropped
    await asyncio.sleep(0.1)
    assert dropped == ["dropped"]


async def test_words_before_or_after_the_end_keep_the_answer(
    turns: WordlessTurns, dropped: list[str]
) -> None:
    turns.started()
    turns.words()
    turns.stopped()
    await asyncio.sleep(0.1)
    turns.started()
    turns.stopped()
    turns.words()
    await asyncio.sleep(0.1)
    assert not dropped


async def test_a_new_turn_begins_anew(turns: WordlessTurns, dropped: list[str]) -> None:
    turns.started()
    turns.words()
    turns.stopped()
    turns.started()
    await asyncio.sleep(0.1)
    assert not dropped
    turns.stopped()
    await asyncio.sleep(0.1)
    assert dropped == ["dropped"]
