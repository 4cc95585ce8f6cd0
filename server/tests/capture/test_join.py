"""A path's own audio behind what was kept: nothing twice, nothing out of order."""

import numpy as np
import pytest

from voxwire_server.capture.join import CaptureJoin

RATE = 16_000
BLOCK = 320
TICKS = 960
LOOKAHEAD = 104
"""6.5 ms at 16 kHz, by which decoded sound is behind its timestamp."""


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
