"""The queue behind the bot's voice."""

from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.pipeline.release import ReleaseQueue


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers()), max_size=40), st.floats(0, 1000))
def test_what_is_heard_leaves_in_order_and_the_rest_stays(
    items: list[tuple[float, int]], heard: float
) -> None:
    queue: ReleaseQueue[tuple[float, int, int]] = ReleaseQueue()
    for number, (position, value) in enumerate(items):
        queue.hold((position, number, value), position)
    out = list(queue.due(heard))
    assert out == sorted(i for i in out)
    assert all(position <= heard for position, _, _ in out)
    assert len(out) + len(queue) == len(items)
    left = queue.take_all()
    assert [h.media_ms for h in left] == sorted(h.media_ms for h in left)
    assert len(queue) == 0
    assert queue.next_ms is None


def test_it_is_known_how_far_items_were_let_go() -> None:
    queue: ReleaseQueue[str] = ReleaseQueue()
    for text, media_ms in (("a", 100.0), ("b", 300.0), ("c", 900.0)):
        queue.hold(text, media_ms)
    assert queue.released_ms == 0
    assert list(queue.due(500)) == ["a", "b"]
    assert queue.released_ms == 300
    queue.take_all()  # an interruption lets nothing go
    assert queue.released_ms == 300
