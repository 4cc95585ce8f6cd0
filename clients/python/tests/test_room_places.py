"""Where the sound of a stream without timestamps lies is found by ear, or by the clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire._room_places import (
    BEHIND_MS,
    IDLE_MS,
    LOUD,
    PATIENCE_MS,
    PREROLL_MS,
    Placed,
    RoomPlaces,
)

RATE = 24_000
BLOCK = 480


class Stream:
    """A stream of 20 ms blocks, one every 20 ms."""

    def __init__(self) -> None:
        self.places = RoomPlaces(sample_rate=RATE)
        self.now_ms = 0.0
        self.placed: list[Placed] = []

    def hear(self, blocks: int, value: int = 0, *, first: int = 0) -> None:
        """So many blocks of one level; `first` samples of the first one are silence."""
        for n in range(blocks):
            samples = np.full(BLOCK, value, np.int16)
            if n == 0:
                samples[:first] = 0
            self.now_ms += 20
            self.placed += self.places.take(samples, self.now_ms)

    def begin(self, media_ms: int) -> None:
        self.placed += self.places.begins(media_ms, self.now_ms)

    def sound(self) -> dict[int, int]:
        """The value at every position that has one, without silence."""
        found: dict[int, int] = {}
        for piece in self.placed:
            for n in np.flatnonzero(piece.samples):
                found[piece.sample_index + int(n)] = int(piece.samples[n])
        return found


def test_the_first_sound_behind_an_anchor_stands_where_that_says() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(4)
    stream.hear(3, 5000, first=100)
    positions = sorted(stream.sound())
    assert positions[0] == 1000 * RATE // 1000
    assert positions == list(range(positions[0], positions[0] + 3 * BLOCK - 100))
    assert stream.placed[0].begins
    assert not any(piece.begins for piece in stream.placed[1:])


def test_a_little_of_what_comes_ahead_of_a_sound_is_its_own() -> None:
    stream = Stream()
    stream.hear(10, LOUD)  # a breath
    stream.begin(1000)
    stream.hear(1, 5000)
    assert min(p.sample_index for p in stream.placed) == RATE - PREROLL_MS * RATE // 1000


def test_a_control_channel_that_is_slower_finds_the_sound_that_came() -> None:
    stream = Stream()
    stream.hear(20)
    stream.hear(15, 5000)
    assert stream.placed == []
    stream.begin(2000)
    stream.hear(5, 5000)
    positions = sorted(stream.sound())
    assert (positions[0], len(positions)) == (2000 * RATE // 1000, 20 * BLOCK)


def test_what_never_becomes_loud_is_placed_by_the_clock() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(PATIENCE_MS // 20 + 2, LOUD)
    positions = sorted(stream.sound())
    assert positions[-1] - positions[0] + 1 == len(positions)
    last_ms = positions[-1] * 1000 / RATE - 1000
    assert last_ms == pytest.approx(PATIENCE_MS + 40 - BEHIND_MS, abs=1)


def test_behind_its_end_nothing_has_a_place() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(2, 5000)
    stream.places.ends(1100)
    stream.hear(10, 5000)
    assert max(stream.sound()) == 1100 * RATE // 1000 - 1


def test_an_end_that_is_said_late_ends_it_at_once() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(10, 5000)
    stream.places.ends(1100)
    end = max(stream.sound())
    stream.hear(10, 5000)
    assert max(stream.sound()) == end


def test_the_next_stretch_is_not_found_in_the_end_of_the_last() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(5, 5000)
    stream.places.ends(1200)  # 100 ms of it are still on their way
    stream.begin(3000)
    stream.hear(5, 5000)
    stream.hear(3)
    stream.hear(4, 7000)
    sound = stream.sound()
    assert [v for p, v in sorted(sound.items()) if p < 3000 * 24] == [5000] * 10 * BLOCK
    assert min(p for p, v in sound.items() if v == 7000) == 3000 * RATE // 1000


def test_a_stretch_that_was_cut_before_it_sounded_is_forgotten() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.places.ends(1000)
    stream.hear(5, 5000)
    assert stream.placed == []


def test_long_silence_inside_a_stretch_moves_nothing() -> None:
    stream = Stream()
    stream.hear(10)
    stream.begin(1000)
    stream.hear(5, 5000)
    stream.hear(2 * IDLE_MS // 20)
    silent_to = max(p.sample_index + len(p.samples) for p in stream.placed)
    assert silent_to <= (1000 + 100 + IDLE_MS) * RATE // 1000
    stream.hear(5, 5000)
    assert max(stream.sound()) == (1000 + 200 + 2 * IDLE_MS) * RATE // 1000 - 1


@given(
    st.lists(
        st.tuples(st.integers(3, 30), st.integers(1, 30), st.integers(-10, 10)),
        min_size=1,
        max_size=8,
    )
)
def test_sound_is_placed_once_and_in_order(script: list[tuple[int, int, int]]) -> None:
    """Stretches with silence between them, and anchors that come up to 200 ms early or late."""
    events: list[tuple[int, int, str, int]] = []
    at, media_ms = 0, 0
    for number, (quiet, loud, early) in enumerate(script):
        begins, ends = at + quiet, at + quiet + loud
        media_ms += 20 * (quiet + 5)
        said = max(begins - early, events[-1][0] if events else 0)
        events.append((said, 2 * number, "begin", media_ms))
        media_ms += 20 * loud
        events.append((max(said, ends - early), 2 * number + 1, "end", media_ms))
        at = ends
    stream, level, begun = Stream(), np.zeros(at + 60, np.int16), 0
    for quiet, loud, _ in script:
        level[begun + quiet : begun + quiet + loud] = 5000
        begun += quiet + loud
    for n, value in enumerate(level):
        for _, _, what, where in [e for e in events if e[0] == n]:
            if what == "begin":
                stream.begin(where)
            else:
                stream.places.ends(where)
        stream.hear(1, int(value))
    pieces = [p for p in stream.placed if np.any(p.samples)]
    starts = [p.sample_index for p in pieces]
    assert starts == sorted(starts)
    for piece, after in zip(pieces, pieces[1:], strict=False):
        assert after.begins or after.sample_index >= piece.sample_index + len(piece.samples)
