"""How much audio a user may send against wall time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.capture.allowance import (
    AUDIO_CREDIT_FACTOR,
    AUDIO_CREDIT_KEPT_MS,
    AUDIO_CREDIT_MAX_MS,
    AUDIO_CREDIT_START_MS,
    AudioAllowance,
    AudioCredit,
)

BLOCK = 640  # 20 ms at 16 kHz
RATE = 16_000


def test_audio_in_real_time_is_never_dropped() -> None:
    credit = AudioCredit()
    assert all(credit.take(20, at * 20) for at in range(10_000))


def test_of_600_s_of_audio_in_60_s_at_most_76_are_taken() -> None:
    allowance = AudioAllowance(sample_rate=RATE)
    taken = sum(allowance.take(BLOCK, 5000 + at * 2) for at in range(30_000))
    assert 75 <= taken * 0.02 <= 76
    assert allowance.dropped_ms == pytest.approx(600_000 - taken * 20, abs=1)


def test_a_wire_that_stalled_for_5_s_loses_nothing() -> None:
    credit = AudioCredit()
    assert credit.take(20, 0)
    assert all(credit.take(20, 5000) for _ in range(AUDIO_CREDIT_MAX_MS // 20))
    assert not credit.take(20, 5000)


def test_a_long_silence_earns_no_more_than_5_s() -> None:
    credit = AudioCredit()
    credit.take(20, 0)
    taken = sum(credit.take(20, 3_600_000) for _ in range(1000))
    assert taken * 20 == AUDIO_CREDIT_MAX_MS


def test_a_rate_that_lies_buys_no_credit() -> None:
    """Duration is counted at the agreed rate, whatever the block's size."""
    assert not AudioAllowance(sample_rate=RATE).take(RATE * 2 + 2, 0)


def test_an_overrun_is_said_once_a_second() -> None:
    allowance = AudioAllowance(sample_rate=RATE)
    said = [at for at in range(0, 5000, 100) if allowance.overrun_due(at)]
    assert said == [0, 1000, 2000, 3000, 4000]


def test_what_was_said_while_a_client_connected_may_come_at_once_and_once() -> None:
    allowance = AudioAllowance(sample_rate=RATE)
    allowance.expect_kept_audio()
    allowance.expect_kept_audio()
    taken = sum(allowance.take(BLOCK, 0) for _ in range(1000))
    assert taken * 20 == AUDIO_CREDIT_START_MS + AUDIO_CREDIT_KEPT_MS


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 40)), max_size=40),
)
@settings(max_examples=200, deadline=None)
def test_however_audio_comes_no_more_is_taken_than_time_allows(
    bursts: list[tuple[int, int]],
) -> None:
    allowance, now_ms, taken_ms, sent_ms = AudioAllowance(sample_rate=RATE), 0, 0, 0
    for wait_ms, blocks in bursts:
        now_ms += wait_ms
        for _ in range(blocks):
            sent_ms += 20
            taken_ms += 20 if allowance.take(BLOCK, now_ms) else 0
    assert taken_ms <= AUDIO_CREDIT_START_MS + now_ms * AUDIO_CREDIT_FACTOR
    assert allowance.dropped_ms == sent_ms - taken_ms
