"""What `voxwire_protocol.jitter` promises: order, bounded waiting, honest gaps."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.jitter import Gap, Item, JitterBuffer, Packet

STEP = 960  # 20 ms at 48 kHz


def packet(index: int, *, sequence: int = 0, timestamp: int = 0) -> Packet:
    """The packet with the given place in a stream of 20 ms packets."""
    return Packet(
        (sequence + index) & 0xFFFF,
        (timestamp + index * STEP) & 0xFFFFFFFF,
        index.to_bytes(4, "big"),
    )


def feed(buffer: JitterBuffer, at_ms: float, *packets: Packet) -> list[Item]:
    """Push packets that arrive together, then pop."""
    for each in packets:
        buffer.push(*each, at_ms)
    return buffer.pop(at_ms)


def indices(items: list[Item]) -> list[int]:
    """Which packets are among the items."""
    return [int.from_bytes(item.payload, "big") for item in items if isinstance(item, Packet)]


def gaps(items: list[Item]) -> list[Gap]:
    return [item for item in items if isinstance(item, Gap)]


def play_quiet(buffer: JitterBuffer, start: int, count: int, start_ms: float) -> float:
    """Send packets on time; returns the time of the next one."""
    for index in range(start, start + count):
        assert indices(feed(buffer, start_ms, packet(index))) == [index]
        start_ms += 20
    return start_ms


def test_packets_in_order_are_handed_over_at_once() -> None:
    buffer = JitterBuffer()
    play_quiet(buffer, 0, 100, 0)
    assert buffer.next_due_ms is None
    stats = buffer.stats
    assert (stats.received, stats.lost, stats.late, stats.duplicates) == (100, 0, 0, 0)
    assert stats.concealed_ms == 0
    assert 0 <= stats.target_ms <= 40


def test_an_empty_buffer_has_nothing_to_do() -> None:
    buffer = JitterBuffer()
    assert buffer.pop(0) == []
    assert buffer.next_due_ms is None


def test_swapped_neighbours_are_mended_without_a_gap() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    assert feed(buffer, 20, packet(2)) == []
    assert buffer.next_due_ms == 40
    assert indices(feed(buffer, 25, packet(1))) == [1, 2]
    assert buffer.stats.lost == 0


def test_a_hole_is_waited_for_until_the_target_and_then_declared() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    assert feed(buffer, 40, packet(2)) == []
    assert buffer.pop(59.9) == []
    items = buffer.pop(60)
    assert items == [Gap(STEP, STEP), packet(2)]
    assert buffer.next_due_ms is None
    assert buffer.stats.lost == 1
    assert buffer.stats.concealed_ms == 20


def test_two_holes_are_given_up_each_in_its_time() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    feed(buffer, 40, packet(2))
    feed(buffer, 55, packet(4))
    assert buffer.pop(60) == [Gap(STEP, STEP), packet(2)]
    assert buffer.next_due_ms is not None
    assert buffer.next_due_ms > 60
    assert buffer.pop(buffer.next_due_ms) == [Gap(3 * STEP, STEP), packet(4)]


def test_late_packets_and_duplicates_are_dropped_and_counted() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(5))
    assert feed(buffer, 1, packet(4)) == []  # before the first
    assert feed(buffer, 2, packet(5)) == []
    feed(buffer, 40, packet(7))
    assert feed(buffer, 41, packet(7)) == []  # a duplicate of one that waits
    buffer.pop(100)
    assert feed(buffer, 101, packet(6)) == []  # its gap has been declared
    assert feed(buffer, 102, packet(6)) == []
    stats = buffer.stats
    assert (stats.received, stats.lost, stats.late, stats.duplicates) == (7, 1, 2, 3)


def test_numbers_and_timestamps_wrap_around() -> None:
    buffer = JitterBuffer()
    base = {"sequence": 0xFFFE, "timestamp": 0xFFFFFFFF - STEP}
    got = indices(feed(buffer, 0, packet(0, **base)))
    got += indices(feed(buffer, 20, packet(1, **base)))
    feed(buffer, 60, packet(3, **base))
    items = buffer.pop(100)
    assert items == [Gap(packet(2, **base).timestamp, STEP), packet(3, **base)]
    assert got == [0, 1]


def test_a_timestamp_jump_with_consecutive_numbers_is_silence_not_a_gap() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, Packet(1, 0, b"a"))
    assert feed(buffer, 400, Packet(2, 20 * STEP, b"b")) == [Packet(2, 20 * STEP, b"b")]
    assert buffer.stats.concealed_ms == 0


def test_silence_inside_a_hole_is_not_concealed() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, Packet(1, 0, b"a"))
    feed(buffer, 400, Packet(3, 20 * STEP, b"c"))
    assert buffer.pop(500) == [Gap(19 * STEP, STEP), Packet(3, 20 * STEP, b"c")]


def test_a_hole_without_missing_time_gives_no_gap() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, Packet(1, 0, b"a"))
    feed(buffer, 40, Packet(3, STEP, b"c"))
    assert buffer.pop(100) == [Packet(3, STEP, b"c")]
    assert buffer.stats.lost == 1


def test_a_long_outage_is_concealed_for_120_ms_only() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    feed(buffer, 1020, packet(51))
    assert buffer.pop(1200) == [Gap(STEP, 6 * STEP), packet(51)]
    assert buffer.stats.lost == 50


def test_the_length_of_packets_comes_from_the_payload() -> None:
    buffer = JitterBuffer(samples_of=lambda payload: 480 * len(payload))
    feed(buffer, 0, Packet(1, 0, b"aaaaaa"))  # 60 ms
    feed(buffer, 60, Packet(2, 2880, b""))  # unknown: as before
    feed(buffer, 180, Packet(4, 4 * 2880, b"cccccc"))
    assert buffer.pop(300) == [Gap(9 * 960, 2880), Packet(4, 4 * 2880, b"cccccc")]


def test_the_target_grows_with_jitter_and_decays_within_five_seconds() -> None:
    buffer = JitterBuffer()
    now = play_quiet(buffer, 0, 100, 0)
    quiet = buffer.stats.target_ms
    for index in range(100, 160):  # in bursts of three
        now = 20.0 * (index - index % 3 + 3)
        feed(buffer, now, packet(index))
    grown = buffer.stats.target_ms
    assert 35 <= grown <= 160
    for index in range(160, 160 + 300):
        feed(buffer, 20.0 * (index + 3), packet(index))
    assert buffer.stats.target_ms == quiet


def test_a_late_packet_raises_the_target_at_once_and_it_fades() -> None:
    buffer = JitterBuffer()
    now = play_quiet(buffer, 0, 300, 0)
    feed(buffer, now + 20, packet(301))
    feed(buffer, now + 40, packet(302))
    feed(buffer, now + 60, packet(303), packet(300))
    raised = buffer.stats.target_ms
    assert 55 <= raised <= 80
    feed(buffer, now + 140, packet(305))
    feed(buffer, now + 150, packet(304))  # less late than the remembered one, and in time
    assert buffer.stats.lost == 1
    later = play_quiet(buffer, 306, 100, now + 160)
    halfway = buffer.stats.target_ms
    assert 20 < halfway < raised
    play_quiet(buffer, 406, 160, later)
    assert buffer.stats.target_ms == 20


def test_a_less_late_packet_does_not_lower_the_target() -> None:
    buffer = JitterBuffer()
    now = play_quiet(buffer, 0, 300, 0)
    feed(buffer, now + 100, packet(305))
    buffer.pop(now + 200)
    feed(buffer, now + 200, packet(300))
    raised = buffer.stats.target_ms
    feed(buffer, now + 201, packet(304))
    assert buffer.stats.target_ms >= raised - 1
    assert buffer.stats.target_ms == 160


def test_the_target_never_exceeds_its_maximum() -> None:
    buffer = JitterBuffer(max_target_ms=100)
    for index in range(50):
        feed(buffer, 20.0 * index + (400 if index % 2 else 0), packet(index))
    assert buffer.stats.target_ms == 100


def test_a_pause_of_the_sender_is_not_jitter() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    feed(buffer, 10_000, packet(1))
    assert buffer.stats.target_ms == 20


def test_the_window_of_jitter_samples_is_bounded() -> None:
    buffer = JitterBuffer()
    for index in range(2000):  # 2.5 ms packets
        buffer.push(index, index * 120, b"", index * 2.5)
        buffer.pop(index * 2.5)
    assert buffer.stats.target_ms == 20


def test_a_full_buffer_gives_up_the_hole_and_drops_what_does_not_fit() -> None:
    buffer = JitterBuffer(capacity=4)
    feed(buffer, 0, packet(0))
    assert feed(buffer, 1, packet(2), packet(3), packet(4)) == []
    items = feed(buffer, 2, packet(5))
    assert indices(items) == [2, 3, 4, 5]
    assert len(gaps(items)) == 1
    for index in range(6, 12):
        buffer.push(*packet(index), 3)
    assert indices(buffer.pop(3)) == [6, 7, 8, 9]
    assert buffer.stats.late == 2


def test_a_restarted_sender_continues_the_stream_at_its_second_packet() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    assert feed(buffer, 20, Packet(30_000, 7, b"x")) == []
    assert feed(buffer, 40, Packet(30_001, 967, b"y")) == [Packet(30_001, 967, b"y")]
    assert feed(buffer, 60, Packet(30_002, 1927, b"z")) == [Packet(30_002, 1927, b"z")]
    assert buffer.stats.lost == 0
    assert buffer.stats.late == 1


def test_one_stray_packet_changes_nothing() -> None:
    buffer = JitterBuffer()
    feed(buffer, 0, packet(0))
    feed(buffer, 10, Packet(30_000, 7, b"x"))
    assert indices(feed(buffer, 20, packet(1))) == [1]
    feed(buffer, 30, Packet(30_001, 7, b"x"))
    assert indices(feed(buffer, 40, packet(2))) == [2]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, int, list[tuple[float, int]]]:
    """A stream's first numbers, and (arrival in ms, index) of what the network delivers."""
    sequence = draw(st.integers(0, 0xFFFF))
    timestamp = draw(st.integers(0, 0xFFFFFFFF))
    arrivals: list[tuple[float, int]] = [(0, 0)]
    for index in range(1, draw(st.integers(1, 60))):
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))):
            delay = draw(st.sampled_from([1, 1, 1, 5, 30, 90, 300]))
            arrivals.append((20.0 * index + delay, index))
    return sequence, timestamp, sorted(arrivals, key=lambda arrival: arrival[0])


@given(deliveries())
def test_whatever_the_network_does(case: tuple[int, int, list[tuple[float, int]]]) -> None:
    """Order is kept, nothing comes twice, gaps cover holes only, every packet is counted."""
    sequence, timestamp, arrivals = case
    buffer = JitterBuffer()
    items: list[Item] = []
    for now, index in arrivals:
        due = buffer.next_due_ms
        if due is not None and due < now:  # as a timer would
            popped = buffer.pop(due)
            assert popped
            items += popped
        items += feed(buffer, now, packet(index, sequence=sequence, timestamp=timestamp))
    while (due := buffer.next_due_ms) is not None:
        popped = buffer.pop(due)
        assert popped
        items += popped

    out = indices(items)
    assert all(a < b for a, b in pairwise(out))
    stats = buffer.stats
    assert len(out) + stats.late + stats.duplicates == stats.received == len(arrivals)
    assert stats.lost == out[-1] + 1 - len(out)
    assert 20 <= stats.target_ms <= 160
    assert stats.concealed_ms == sum(gap.samples for gap in gaps(items)) // 48
    for item, following in pairwise(items):
        if isinstance(item, Gap):
            assert isinstance(following, Packet)
            assert 0 < item.samples <= 6 * STEP
            before = (following.timestamp - item.timestamp) & 0xFFFFFFFF
            assert item.samples <= before
    assert not isinstance(items[-1], Gap)


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 100)),
        max_size=300,
    )
)
def test_any_numbers_at_all_keep_the_bounds(pushes: list[tuple[int, int, int]]) -> None:
    """Hostile packets are never an error, and what comes out is bounded by what went in."""
    buffer = JitterBuffer(capacity=8)
    now, out = 0.0, 0
    for sequence, timestamp, wait in pushes:
        now += wait
        items = feed(buffer, now, Packet(sequence, timestamp, b""))
        out += len(indices(items))
        assert len(items) <= 2 * 8
        assert all(gap.samples <= 6 * STEP for gap in gaps(items))
    due = buffer.next_due_ms
    assert due is None or due <= now + 160
    out += len(indices(buffer.pop(now + 10_000)))
    stats = buffer.stats
    assert buffer.next_due_ms is None
    assert out + stats.late + stats.duplicates == stats.received


@pytest.mark.parametrize("count", [100_000])
def test_a_packet_costs_microseconds(count: int, record_property) -> None:
    """Not a limit: the figure is printed."""
    import time

    buffer = JitterBuffer()
    start = time.process_time()
    for index in range(count):
        buffer.push(index & 0xFFFF, index * STEP & 0xFFFFFFFF, b"", index * 20.0)
        buffer.pop(index * 20.0)
    each = (time.process_time() - start) / count * 1e6
    record_property("us_per_packet", each)
    print(f"\njitter buffer: {each:.2f} us a packet")
