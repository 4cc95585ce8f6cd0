"""When a listener is told where the bot's voice stands, against one who does what it is told."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.playout.anchors import LEAD_MS, SHED_WINDOW, Anchor, AnchorSchedule

RATE = 24_000
BLOCK = 480
BLOCK_MS = 20.0


def schedule() -> AnchorSchedule:
    return AnchorSchedule(sample_rate=RATE, block_samples=BLOCK)


def test_voice_is_announced_one_block_ahead_and_then_runs_on() -> None:
    anchors = schedule()
    anchors.pulled(0, 0.0)
    assert not anchors.stands(5000, 0)
    assert anchors.announce(5000) == Anchor(media=5000, track=BLOCK)
    for number in range(1, 10):
        first = number * BLOCK
        anchors.pulled(first, number * BLOCK_MS)
        assert anchors.stands(5000 + first - BLOCK, first)
    assert not anchors.stands(9000, 10 * BLOCK)


def test_what_was_announced_is_not_said_twice() -> None:
    anchors = schedule()
    anchors.pulled(0, 0.0)
    assert anchors.announce(700) is not None
    assert anchors.announce(700) is None
    assert anchors.placed(700, 5.0) is None
    assert anchors.announce(800) == Anchor(800, BLOCK)


@pytest.mark.parametrize(
    ("before_ms", "track"), [(LEAD_MS + 1.0, BLOCK), (float(LEAD_MS), BLOCK), (9.0, 2 * BLOCK)]
)
def test_an_anchor_names_the_block_after_the_next_where_that_is_too_near(
    before_ms: float, track: int
) -> None:
    anchors = schedule()
    anchors.pulled(0, 0.0)
    assert anchors.placed(960, BLOCK_MS - before_ms) == Anchor(960, track)
    anchors.pulled(BLOCK, BLOCK_MS)
    assert anchors.stands(960, BLOCK) is (track == BLOCK)
    assert track == BLOCK or anchors.announce(960) is None  # it has been said


def test_before_the_first_block_nothing_can_be_named() -> None:
    assert schedule().placed(0, 0.0) is None


def test_a_listener_that_could_not_play_is_told_again() -> None:
    anchors = schedule()
    anchors.pulled(0, 0.0)
    anchors.announce(0)
    anchors.pulled(BLOCK, BLOCK_MS)
    assert anchors.stands(0, BLOCK)
    anchors.reset()
    assert not anchors.stands(0, BLOCK)
    assert anchors.announce(0) == Anchor(0, 2 * BLOCK)


def test_skipped_blocks_of_a_stalled_loop_are_announced_anew() -> None:
    anchors = schedule()
    anchors.pulled(0, 0.0)
    anchors.announce(0)
    anchors.pulled(60 * BLOCK, 1200.0)  # the named block was never made
    assert not anchors.stands(0, 60 * BLOCK)
    assert anchors.announce(0) == Anchor(0, 61 * BLOCK)


# live sources


def live(anchors: AnchorSchedule, backlog: int, blocks: int) -> list[Anchor]:
    said: list[Anchor] = []
    for number in range(blocks):
        first = number * BLOCK
        anchors.pulled(first, number * BLOCK_MS)
        said += filter(None, [anchors.sent(backlog, first + BLOCK)])
    return said


def test_a_lasting_backlog_is_shed_once_and_costs_no_silence() -> None:
    anchors = schedule()
    first = SHED_WINDOW * BLOCK
    assert live(anchors, 3 * BLOCK, SHED_WINDOW) == [Anchor(first + 2 * BLOCK, first)]
    anchors.pulled(first, SHED_WINDOW * BLOCK_MS)
    assert anchors.skips(first, first) == 2 * BLOCK
    assert anchors.stands(first + 2 * BLOCK, first)
    assert anchors.skips(first + 2 * BLOCK, first) == 0


def test_what_is_no_lasting_backlog_stays() -> None:
    assert live(schedule(), BLOCK, 4 * SHED_WINDOW) == []
    assert live(schedule(), 0, 4 * SHED_WINDOW) == []
    assert live(schedule(), 9 * BLOCK, SHED_WINDOW - 1) == []


def test_an_utterance_that_came_between_loses_nothing_to_the_backlog() -> None:
    """A flush took the live sound; what is placed behind it is not what was to be dropped."""
    anchors = schedule()
    live(anchors, 3 * BLOCK, SHED_WINDOW)
    first = SHED_WINDOW * BLOCK
    anchors.pulled(first, SHED_WINDOW * BLOCK_MS)
    assert anchors.skips(first + 7000, first) == 0


# a listener


@dataclass
class Listener:
    """Places what it is sent by the newest anchor at or before it, as the specification says."""

    anchors: dict[int, int] = field(default_factory=dict)

    def told(self, anchor: Anchor | None) -> None:
        if anchor is not None:
            self.anchors[anchor.track] = anchor.media

    def place(self, track: int) -> int:
        at = max(first for first in self.anchors if first <= track)
        return self.anchors[at] + track - at


@dataclass
class Stream:
    """A path: voice that is placed, blocks that are pulled, and who listens."""

    schedule: AnchorSchedule = field(default_factory=schedule)
    listener: Listener = field(default_factory=Listener)
    waiting: list[int] = field(default_factory=list)  # positions of samples, in blocks
    now_ms: float = 0.0
    first: int = 0
    due_ms: float = 0.0
    told_ms: dict[int, float] = field(default_factory=dict)
    silent: int = 0
    live: bool = False  # what waits may be dropped

    def tell(self, anchor: Anchor | None) -> None:
        if anchor is not None:
            assert anchor.track >= self.first  # never of what has gone
            self.told_ms[anchor.track] = self.now_ms
            self.listener.told(anchor)

    def place(self, start: int, blocks: int) -> None:
        self.waiting += [start + number * BLOCK for number in range(blocks)]
        self.tell(self.schedule.placed(self.waiting[0], self.now_ms))

    def pull(self) -> None:
        first, self.now_ms = self.first, max(self.now_ms, self.due_ms)
        self.schedule.pulled(first, self.now_ms)
        self.first, self.due_ms = first + BLOCK, self.due_ms + BLOCK_MS
        if not self.waiting:
            self.silent = 0
            return
        skipped = self.schedule.skips(self.waiting[0], first) // BLOCK
        assert skipped <= len(self.waiting)
        del self.waiting[:skipped]
        if not self.waiting:
            return
        start = self.waiting[0]
        if not self.schedule.stands(start, first):
            self.tell(self.schedule.announce(start))
            self.silent += 1
            assert self.silent <= 2, "voice waits, and nothing comes of it"
            return
        self.silent = 0
        assert self.listener.place(first) == start
        if first in self.told_ms:
            assert self.now_ms - self.told_ms[first] >= LEAD_MS - 1e-6
        backlog = len(self.waiting) * BLOCK if self.live else 0
        self.waiting.pop(0)
        self.tell(self.schedule.sent(backlog, self.waiting[0] if self.waiting else None))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(0, 3000), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.floats(0, 19.9), st.just(0)),
        st.tuples(st.just("flush"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("reset"), st.just(0), st.just(0)),
        st.tuples(st.just("skip"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("pull"), st.just(0), st.integers(1, 30)),
        st.tuples(st.just("live"), st.just(0), st.integers(0, 60)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_every_block_is_placed_where_it_belongs_and_told_in_time(
    steps: list[tuple[str, float, int]],
) -> None:
    stream, end = Stream(), 0
    stream.pull()
    for kind, amount, blocks in steps:
        if kind == "place":
            stream.live = False  # an utterance waits: nothing more is shed
            start = end + int(amount)
            end = start + blocks * BLOCK
            stream.place(start, blocks)
        elif kind == "wait":
            stream.now_ms = min(stream.now_ms + amount, stream.due_ms)
        elif kind == "live" and (stream.live or not stream.waiting):
            stream.live = True
            for _ in range(blocks):  # it comes as it is played, behind what has come at once
                stream.place(end, 1)
                stream.place(end + BLOCK, blocks % 5)
                end += (1 + blocks % 5) * BLOCK
                stream.pull()
        elif kind == "live":
            continue
        elif kind == "flush":
            del stream.waiting[int(amount) :]
            stream.live = stream.live and bool(stream.waiting)
        elif kind == "reset":
            stream.schedule.reset()
            stream.silent = 0
        elif kind == "skip":  # the event loop stood still for over a second
            stream.first += int(amount) * BLOCK
            stream.now_ms = stream.due_ms = stream.due_ms + amount * BLOCK_MS
            stream.silent = 0
            stream.told_ms.clear()
            stream.pull()
        else:
            for _ in range(blocks):
                stream.pull()
    for _ in range(400):
        stream.pull()
    assert not stream.waiting
