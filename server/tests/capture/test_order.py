"""Numbered audio in order, each sample once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.capture.order import CaptureOrder


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
