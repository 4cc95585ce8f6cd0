"""Placing, sending and flushing the bot's voice on the media clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.playout.placed import MAX_BACKLOG_MS, Playout

RATE = 1000  # one sample a millisecond


def pcm(num_samples: int, value: int = 1) -> bytes:
    return value.to_bytes(2, "little") * num_samples


@pytest.fixture
def playout() -> Playout:
    playout = Playout(sample_rate=RATE)
    playout.attach(0, reports=True)
    return playout


def test_the_first_utterance_starts_on_the_clock(playout: Playout) -> None:
    assert playout.place(pcm(100), 250, new_stretch=True) == 250
    assert playout.place(pcm(100), 251, new_stretch=False) == 350
    assert playout.end_ms == 450


def test_a_second_utterance_queues_behind_the_first(playout: Playout) -> None:
    playout.place(pcm(2000), 0, new_stretch=True)
    assert playout.place(pcm(100), 10, new_stretch=True) == 2000


def test_audio_before_any_path_waits_at_the_frozen_clock() -> None:
    playout = Playout(sample_rate=RATE)
    assert playout.place(pcm(100), 5000, new_stretch=True) == 0
    assert playout.heard_ms(9000) == 0
    playout.attach(9000, reports=True)
    block = playout.take(40, 9000)
    assert block is not None
    assert (block.start, len(block.pcm)) == (0, 80)


def test_a_continuing_source_that_is_late_stays_contiguous(playout: Playout) -> None:
    playout.place(pcm(20), 0, new_stretch=False)
    assert playout.place(pcm(20), 320, new_stretch=False) == 20
    assert playout.clock_samples(320) == 20  # the clock waited for it


def test_a_long_pause_is_silence_on_the_clock(playout: Playout) -> None:
    playout.place(pcm(20), 0, new_stretch=False)
    assert playout.place(pcm(20), 5000, new_stretch=False) == 5000


def test_take_gives_contiguous_audio_once(playout: Playout) -> None:
    playout.place(pcm(30, 1), 0, new_stretch=True)
    playout.place(pcm(30, 2), 0, new_stretch=False)
    block = playout.take(40, 0)
    assert block is not None
    assert block.pcm == pcm(30, 1) + pcm(10, 2)
    rest = playout.take(40, 0)
    assert rest is not None
    assert (rest.start, rest.pcm) == (40, pcm(20, 2))
    assert playout.take(40, 0) is None
    assert not playout.pending


def test_take_stops_at_a_gap(playout: Playout) -> None:
    playout.place(pcm(30), 0, new_stretch=True)
    playout.place(pcm(30), 100, new_stretch=True)
    first = playout.take(60, 100)
    second = playout.take(60, 100)
    assert first is not None and second is not None
    assert (first.start, first.end, second.start) == (0, 30, 100)


def test_a_flush_voids_what_is_unheard_and_never_rewinds(playout: Playout) -> None:
    playout.place(pcm(5000), 0, new_stretch=True)
    playout.take(1000, 0)
    playout.heard.report(700, 700, playing=True)
    cut = playout.flush(700)
    assert cut is not None
    assert (cut.flush_id, cut.until_ms) == (1, 5000)
    playout.finish_flush(cut, 800)
    assert playout.take(20, 800) is None
    assert playout.heard_ms(800) == 5000
    assert playout.place(pcm(10), 900, new_stretch=True) == 5100  # 100 ms after the cut


def test_a_flush_of_nothing_is_none(playout: Playout) -> None:
    assert playout.flush(0) is None
    playout.place(pcm(10), 0, new_stretch=True)
    playout.take(10, 0)
    playout.heard.report(10, 10, playing=False)
    assert playout.flush(20) is None


def test_a_new_path_starts_at_the_last_heard_position(playout: Playout) -> None:
    playout.place(pcm(3000), 0, new_stretch=True)
    playout.take(1000, 0)
    playout.heard.report(400, 400, playing=True)
    playout.detach(400)
    assert playout.heard_ms(50_000) == 400
    playout.attach(50_000, reports=True)
    block = playout.take(10, 50_000)
    assert block is not None
    assert block.start == 400


def test_room_is_made_of_the_oldest_live_sound_and_never_of_an_utterance(
    playout: Playout,
) -> None:
    assert playout.make_room()
    playout.place(pcm(MAX_BACKLOG_MS + 60), 0, new_stretch=False, live=True)
    assert playout.make_room()
    assert (playout.next_start(), playout.live_backlog_samples()) == (60, MAX_BACKLOG_MS)
    playout.place(pcm(100), 0, new_stretch=True)
    assert not playout.make_room()
    assert playout.next_start() == 60


def test_the_backlog_of_a_live_source_can_be_shed_and_that_of_an_utterance_not(
    playout: Playout,
) -> None:
    playout.place(pcm(100), 0, new_stretch=False, live=True)
    assert playout.live_backlog_samples() == 100
    playout.skip_live(60)
    block = playout.take(100, 0)
    assert block is not None
    assert block.start == 60
    assert playout.live_backlog_samples() == 0
    playout.place(pcm(100), 0, new_stretch=True)
    assert playout.live_backlog_samples() == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 600), st.booleans(), st.integers(1, 200)),
        max_size=30,
    )
)
def test_every_placed_sample_is_sent_once_in_order(
    steps: list[tuple[int, int, bool, int]],
) -> None:
    playout = Playout(sample_rate=RATE)
    playout.attach(0, reports=True)
    now = 0
    placed: list[tuple[int, int]] = []
    sent: list[tuple[int, int]] = []
    for length, wait, new_stretch, wanted in steps:
        now += wait
        start = playout.place(pcm(length), now, new_stretch=new_stretch)
        if placed:
            assert start >= placed[-1][1]
        placed.append((start, start + length))
        block = playout.take(wanted, now)
        if block is not None:
            sent.append((block.start, block.end))
    while (block := playout.take(97, now)) is not None:
        sent.append((block.start, block.end))
    positions = [p for start, end in sent for p in range(start, end)]
    assert positions == [p for start, end in placed for p in range(start, end)]
