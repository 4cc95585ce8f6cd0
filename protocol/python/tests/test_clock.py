"""The clock estimate: four timestamps, the fastest of the last eight, nothing forged."""

from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync, Sample


def exchange(
    sync: ClockSync, now_us: int, *, offset_us: int, out_us: int, back_us: int, delay_us: int = 0
) -> Sample | None:
    """One ping and its pong over a path with the given delays."""
    ping = sync.ping(now_us)
    received_us = now_us + out_us + offset_us
    pong = ClockSync.pong(ping, received_us, received_us + delay_us)
    return sync.receive(pong, now_us + out_us + delay_us + back_us)


def test_nothing_is_known_before_the_first_sample() -> None:
    sync = ClockSync()
    assert sync.offset_us is None
    assert sync.rtt_us is None


def test_a_pong_echoes_the_ping_and_says_both_times() -> None:
    pong = ClockSync.pong(wire.Ping(number=3, t0_us=5), 70, 90)
    assert pong == wire.Pong(number=3, t0_us=5, t1_us=70, t2_us=90)


@given(
    offset_us=st.integers(0, 10**12),
    way_us=st.integers(0, 10**6),
    delay_us=st.integers(0, 10**6),
)
def test_a_symmetric_path_gives_the_exact_offset(
    offset_us: int, way_us: int, delay_us: int
) -> None:
    sync = ClockSync()
    sample = exchange(
        sync, 1000, offset_us=offset_us, out_us=way_us, back_us=way_us, delay_us=delay_us
    )
    assert sample == Sample(offset_us=offset_us, rtt_us=2 * way_us)
    assert (sync.offset_us, sync.rtt_us) == (offset_us, 2 * way_us)


def test_a_peer_whose_clock_is_behind_has_a_negative_offset() -> None:
    sync = ClockSync()
    exchange(sync, 1_000_000, offset_us=-400_000, out_us=10, back_us=10)
    assert sync.offset_us == -400_000


@given(
    out_us=st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
    back_us=st.integers(0, 10**6),
)
def test_the_error_is_at_most_half_the_shortest_round_trip_of_the_last_eight(
    out_us: list[int], back_us: int
) -> None:
    sync = ClockSync()
    for number, way_us in enumerate(out_us):
        exchange(sync, number * 10**7, offset_us=5000, out_us=way_us, back_us=back_us)
    assert sync.rtt_us == min(way_us + back_us for way_us in out_us[-8:])
    assert sync.offset_us is not None
    assert abs(sync.offset_us - 5000) <= sync.rtt_us / 2 + 1


def test_forged_repeated_and_impossible_pongs_are_ignored() -> None:
    sync = ClockSync()
    ping = sync.ping(1000)
    good = ClockSync.pong(ping, 5000, 5010)
    assert sync.receive(wire.Pong(number=9, t0_us=1000, t1_us=1, t2_us=1), 2000) is None
    assert sync.receive(wire.Pong(number=1, t0_us=999, t1_us=1, t2_us=1), 2000) is None
    assert sync.receive(good, 2000) == Sample(offset_us=3505, rtt_us=990)
    assert sync.receive(good, 2000) is None
    backwards = ClockSync.pong(sync.ping(3000), 20, 10)
    assert sync.receive(backwards, 4000) is None
    too_slow = ClockSync.pong(sync.ping(5000), 0, 1001)
    assert sync.receive(too_slow, 6000) is None
    assert sync.rtt_us == 990


def test_only_the_last_eight_pings_are_open() -> None:
    sync = ClockSync()
    pings = [sync.ping(at) for at in range(9)]
    assert sync.receive(ClockSync.pong(pings[0], 0, 0), 100) is None
    assert sync.receive(ClockSync.pong(pings[1], 0, 0), 100) is not None


def test_five_pings_in_the_first_second_then_one_every_ten_seconds() -> None:
    sync = ClockSync()
    now_ms = 123_000
    assert sync.next_ping_ms(now_ms) == now_ms
    sent: list[int] = []
    for _ in range(7):
        now_ms = sync.next_ping_ms(now_ms)
        sent.append(now_ms - 123_000)
        sync.ping(now_ms * 1000)
    assert sent == [0, 200, 400, 600, 800, 10_800, 20_800]
