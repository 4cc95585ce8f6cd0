"""A stretch begins behind a silence and is announced where it becomes loud; its end is said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.media.stretches import LOUD, QUIET_MS, Stretches
from voxwire_server.ports import Block

RATE = 24_000
BLOCK = 480


def block(start: int, *, loud_from: int | None = 0, num_samples: int = BLOCK) -> Block:
    samples = np.zeros(num_samples, "<i2")
    if loud_from is not None:
        samples[loud_from:] = LOUD + 1
    return Block(start, samples.tobytes())


def test_the_first_sound_of_a_stretch_is_said_once() -> None:
    stretches = Stretches(sample_rate=RATE)
    assert stretches.wait_ms(1000, 0) == 0
    assert stretches.wrote(block(1000, loud_from=None), 0) is None
    assert stretches.wrote(block(1480, loud_from=100), 20) == 1580
    assert stretches.wrote(block(1960), 40) is None


def test_a_stretch_that_stays_quiet_is_said_all_the_same() -> None:
    stretches = Stretches(sample_rate=RATE)
    said = [stretches.wrote(block(n * BLOCK, loud_from=None), n * 20) for n in range(12)]
    assert [n for n, one in enumerate(said) if one is not None] == [9]
    assert said[9] == 9 * BLOCK


def test_what_is_placed_elsewhere_waits_for_a_silence_ahead_of_it() -> None:
    stretches = Stretches(sample_rate=RATE)
    stretches.wrote(block(0), 0)
    assert stretches.wait_ms(BLOCK, 10) == 0  # it goes on
    assert stretches.wait_ms(10 * BLOCK, 10) == 10 + QUIET_MS
    assert stretches.wait_ms(10 * BLOCK, 20 + QUIET_MS) == 0
    assert stretches.wrote(block(10 * BLOCK), 20 + QUIET_MS) == 10 * BLOCK


def test_a_cut_says_where_it_ended_and_what_follows_waits() -> None:
    stretches = Stretches(sample_rate=RATE)
    stretches.wrote(block(0), 0)
    assert stretches.cut() == BLOCK
    assert stretches.cut() is None
    assert stretches.wait_ms(BLOCK, 20) == QUIET_MS  # even where its positions go on


def test_an_end_is_said_when_nothing_has_followed_for_a_while() -> None:
    stretches = Stretches(sample_rate=RATE)
    assert stretches.ends_ms(0) is None
    stretches.wrote(block(0, num_samples=240), 0, padding=240)
    assert stretches.ended(19 + QUIET_MS) is None
    assert stretches.ends_ms(50) == QUIET_MS - 30
    assert stretches.ended(20 + QUIET_MS) == 240
    assert stretches.ended(500) is None
    assert stretches.ends_ms(500) is None


def test_small_gaps_are_let_be_until_they_are_too_much_together() -> None:
    stretches = Stretches(sample_rate=RATE)
    now, said = 0.0, []
    for n in range(6):  # the voice comes in bits, each 15 ms late
        wait = stretches.wait_ms(n * BLOCK, now)
        now += wait
        said.append((wait, stretches.wrote(block(n * BLOCK), now)))
        now += 35
    assert [n for n, (_, one) in enumerate(said) if one is not None] == [0, 4]
    assert said[4][0] == QUIET_MS - 15


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 3)), max_size=40))
def test_every_stretch_is_said_behind_a_silence(steps: list[tuple[float, int]]) -> None:
    """Whatever is written when: what is said names what was written, and never follows sound."""
    stretches, now, position, free = Stretches(sample_rate=RATE), 0.0, 0, -1e9
    for pause_ms, jump in steps:
        now += pause_ms
        position += jump * BLOCK
        now += stretches.wait_ms(position, now)
        said = stretches.wrote(block(position), now)
        if said is not None:
            assert said == position
            assert now - free >= QUIET_MS - 1e-6
        free = max(now, free) + 20
        position += BLOCK
