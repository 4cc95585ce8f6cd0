"""Turns in which nothing was said."""

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.pipeline.unanswered import WAIT_MS, WordlessTurns


@in_virtual_time
async def test_a_turn_without_words_is_owed_no_answer(time: VirtualTime) -> None:
    dropped: list[float] = []
    turns = WordlessTurns(time, lambda: dropped.append(time.now_ms()))
    turns.started()
    turns.stopped()
    due_ms = time.now_ms() + WAIT_MS
    await time.advance(WAIT_MS - 1)
    assert not dropped
    await time.advance(WAIT_MS)
    assert dropped == [due_ms]


@in_virtual_time
async def test_words_before_or_after_the_end_keep_the_answer(time: VirtualTime) -> None:
    dropped: list[str] = []
    turns = WordlessTurns(time, lambda: dropped.append("dropped"))
    turns.started()
    turns.words()
    turns.stopped()
    await time.advance(2 * WAIT_MS)
    turns.started()
    turns.stopped()
    turns.words()
    await time.advance(2 * WAIT_MS)
    assert not dropped


@in_virtual_time
async def test_a_new_turn_begins_anew(time: VirtualTime) -> None:
    dropped: list[str] = []
    turns = WordlessTurns(time, lambda: dropped.append("dropped"))
    turns.started()
    turns.words()
    turns.stopped()
    turns.started()
    await time.advance(2 * WAIT_MS)
    assert not dropped
    turns.stopped()
    await time.advance(2 * WAIT_MS)
    assert dropped == ["dropped"]
