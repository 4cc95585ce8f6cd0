"""What the user says across a drop: nothing twice, nothing out of order, a hole only when old."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_protocol.capture import KEPT_MS, KeptCapture

RATE = 1000
BLOCK = 20

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["talk", "cut", "cut unread", "back", "back late", "mute"]),
        st.integers(0, 40),
    ),
    max_size=60,
)


def _sample(number: int) -> bytes:
    """Audio of which every sample is its own number."""
    return (number % 65_536).to_bytes(2, "little")


class Line:
    """A client's microphone and a server, with a wire that breaks between them."""

    def __init__(self) -> None:
        self.kept = KeptCapture(sample_rate=RATE)
        self.heard: list[int] = []
        self.said: list[int] = []
        self.received = 0
        self.now_ms = 0
        self.there = False

    def talk(self, blocks: int, *, arrives: bool = True) -> None:
        for _ in range(blocks):
            self.now_ms += 20
            first = self.kept.next_index
            numbers = range(first, first + BLOCK)
            self.said.extend(numbers)
            self.kept.capture(b"".join(_sample(n) for n in numbers), self.now_ms)
            if self.there:
                self.pump(arrives=arrives)

    def pump(self, *, arrives: bool) -> None:
        while (piece := self.kept.peek(self.now_ms)) is not None:
            self.kept.sent(piece)
            count = len(piece.pcm) // 2
            if arrives:
                assert piece.index >= self.received, "the server has this already"
                assert piece.pcm[:2] == _sample(piece.index)
                self.heard.extend(range(piece.index, piece.index + count))
                self.received = piece.index + count

    def act(self, what: str, number: int) -> None:
        if what == "talk":
            self.talk(number)
        elif what.startswith("cut"):
            if self.there and what == "cut unread":  # what was written did not arrive
                self.talk(min(number, 20), arrives=False)
            self.there = False
            self.kept.park()
        elif what == "mute":
            self.kept.mute(number)
            self.received = self.kept.next_index
        elif not self.there:
            self.now_ms += 200 * number if what == "back late" else 0
            self.kept.resume(self.received, self.now_ms)
            self.there = True
            self.pump(arrives=True)


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_the_server_hears_every_sample_once_and_in_order(events: list[tuple[str, int]]) -> None:
    line = Line()
    for what, number in events:
        line.act(what, number)
    assert line.heard == sorted(set(line.heard))
    assert set(line.heard) <= set(line.said)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, KEPT_MS // 20)), max_size=6))
def test_gaps_that_are_no_longer_than_what_is_kept_leave_no_hole(
    rounds: list[tuple[int, int]],
) -> None:
    line = Line()
    line.act("back", 0)
    for talk, away in rounds:
        line.talk(talk)
        line.act("cut", 0)
        line.talk(away)
        line.act("back", 0)
    assert line.heard == line.said
    assert line.kept.lost_samples == 0


@given(late_ms=st.integers(0, 199))
def test_what_is_not_said_to_be_lost_is_sent(late_ms: int) -> None:
    """The loop may be late between the two, and the microphone goes on."""
    line = Line()
    line.talk(400)
    lost = line.kept.resume(0, line.now_ms)
    line.talk(late_ms // 20)
    line.now_ms += late_ms % 20
    piece = line.kept.peek(line.now_ms)
    assert piece is not None
    assert piece.index == lost == 400 * BLOCK - KEPT_MS * RATE // 1000
    assert line.kept.lost_samples == lost


def test_a_path_that_sends_nothing_does_not_keep_more_for_long() -> None:
    line = Line()
    line.talk(400)
    line.kept.resume(0, line.now_ms)
    line.talk(100)
    assert line.kept.waiting_samples == KEPT_MS * RATE // 1000
