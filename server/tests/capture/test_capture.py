"""The user's audio: numbered blocks in order and once, a path's own audio behind what was kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.capture.capture import CaptureOrder
from voxwire_server.capture.join import CaptureJoin

RATE = 16_000
BLOCK = 320
TICKS = 960
LOOKAHEAD = 104
"""6.5 ms at 16 kHz, by which decoded sound is behind its timestamp."""


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_of_blocks_that_overlap_every_sample_is_taken_once(blocks: list[tuple[int, int]]) -> None:
    order = CaptureOrder()
    taken: list[int] = []
    for index, count in blocks:
        known = order.take(index, count)
        taken.extend(range(index + known, index + count))
    assert taken == sorted(set(taken))
    assert order.next_index == max((index + count for index, count in blocks), default=0)


def live(first: int) -> bytes:
    """A block whose samples say their own number."""
    return np.arange(first, first + BLOCK).astype("<i2").tobytes()


def numbers(pieces: list[bytes]) -> list[int]:
    return np.frombuffer(b"".join(pieces), "<i2").tolist()


@pytest.mark.parametrize("origin", [1000, 2**32 - 3000])
def test_live_audio_is_held_and_begins_with_the_sample_that_was_named(origin: int) -> None:
    join = CaptureJoin(sample_rate=RATE, now_ms=0)
    heard: list[bytes] = []
    for at in range(4):
        heard += join.live(live(at * BLOCK), (origin + at * TICKS) % 2**32, at * 20)
    assert heard == []
    heard += join.kept_ends((origin + 2 * TICKS) % 2**32, 80)
    for at in range(4, 8):
        heard += join.live(live(at * BLOCK), (origin + at * TICKS) % 2**32, at * 20)
    assert numbers(heard) == list(range(2 * BLOCK + LOOKAHEAD, 8 * BLOCK))


def test_where_live_audio_begins_later_than_was_said_so_far_nothing_comes_before() -> None:
    join = CaptureJoin(sample_rate=RATE, now_ms=0)
    heard = join.kept_ends(3 * TICKS, 10)
    for at in range(6):
        heard += join.live(live(at * BLOCK), at * TICKS, 20 + at * 20)
    assert numbers(heard) == list(range(3 * BLOCK + LOOKAHEAD, 6 * BLOCK))


def test_without_a_name_the_next_60_ms_are_left_out_rather_than_heard_twice() -> None:
    join = CaptureJoin(sample_rate=RATE, now_ms=0)
    heard = join.live(live(0), 0, 20) + join.kept_ends(None, 30)
    for at in range(1, 6):
        heard += join.live(live(at * BLOCK), at * TICKS, 20 + at * 20)
    assert numbers(heard) == list(range(4 * BLOCK, 6 * BLOCK))


def test_what_was_kept_is_waited_for_a_second_and_no_longer() -> None:
    join = CaptureJoin(sample_rate=RATE, now_ms=0)
    heard: list[bytes] = []
    for at in range(60):
        heard += join.live(live(at * BLOCK), at * TICKS, at * 20)
    assert numbers(heard) == list(range(60 * BLOCK))
    assert not join.waiting
    assert join.kept_ends(0, 1300) == []
