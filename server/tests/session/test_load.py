"""When one more session would be too much: of a process that is late over and over, or busy."""

from itertools import cycle

import pytest

from voxwire_server.session.load import Load

BEAT_MS = 100


class Loop:
    """An event loop that says ten times a second how late it is.

    Args:
        max_late_ms: As the setting.
    """

    def __init__(self, max_late_ms: int = 20) -> None:
        self.load = Load(max_late_ms)
        self.now_ms = self.worked_ms = 0.0

    def turn(self, *late_ms: float, for_ms: float, busy: float = 0.1) -> list[bool]:
        """Run on for a while.

        Returns:
            Whether it was too much, at every beat.
        """
        said, until_ms, late = [], self.now_ms + for_ms, cycle(late_ms)
        while self.now_ms < until_ms:
            by_ms = next(late)
            self.now_ms += BEAT_MS + by_ms
            self.worked_ms += (BEAT_MS + by_ms) * busy
            self.load.beat(self.now_ms, late_ms=by_ms, worked_ms=self.worked_ms)
            said.append(self.load.too_much)
        return said


@pytest.mark.parametrize("late_ms", [25, 600, 3000])
def test_a_loop_that_gets_late_and_stays_so_is_noticed_after_ten_seconds(late_ms: int) -> None:
    loop = Loop()
    assert not any(loop.turn(1, for_ms=60_000))
    said = loop.turn(late_ms, for_ms=30_000)
    noticed_ms = (said.index(True) + 1) * (BEAT_MS + late_ms)
    assert 10_000 <= noticed_ms <= 11_000 + 5 * late_ms  # five late turns make a window late
    assert said == sorted(said)


@pytest.mark.parametrize(
    ("stalls_ms", "busy"),
    [
        ([150, *[1] * 13] * 8, 0.3),  # eight in some twelve seconds: models are loaded
        ([9500], 1),
        ([4000, 1, 4000], 1),
        ([300] * 6, 1),
    ],
)
def test_a_bot_that_loads_what_it_needs_keeps_nobody_out(
    stalls_ms: list[float], busy: float
) -> None:
    loop = Loop()
    loop.turn(1, for_ms=20_000)
    span_ms = sum(stalls_ms) + BEAT_MS * len(stalls_ms)
    assert not any(loop.turn(*stalls_ms, for_ms=span_ms, busy=busy))
    assert not any(loop.turn(1, for_ms=60_000))
    assert loop.turn(50, for_ms=30_000)[-1]


def test_a_machine_that_stands_still_at_times_is_not_too_much() -> None:
    loop = Loop()
    for _ in range(6):
        loop.turn(1, for_ms=10_000)
        assert not any(loop.turn(2000, 150, 40, 1, for_ms=2500))


def test_every_tenth_turn_late_is_too_much_and_every_thirtieth_is_not() -> None:
    loop = Loop()
    assert not any(loop.turn(*[1] * 29, 100, for_ms=60_000))
    assert loop.turn(*[1] * 9, 100, for_ms=22_000)[-1]


def test_it_takes_sessions_again_when_it_was_well_for_a_while_and_stays_so() -> None:
    loop = Loop()
    loop.turn(40, for_ms=20_000)
    said = loop.turn(1, for_ms=20_000)
    last = said.index(False)
    assert 10_000 <= last * (BEAT_MS + 1) <= 16_000  # the window, and the rest behind it
    assert not any(said[last:])


def test_near_its_bound_it_does_not_flap() -> None:
    loop = Loop()
    loop.turn(1, for_ms=10_000)
    said = loop.turn(*[19] * 40, *[21] * 10, for_ms=120_000)
    changes = sum(before is not after for before, after in zip(said, said[1:], strict=False))
    assert changes == 1


def test_a_thread_that_has_no_time_left_is_too_much_however_early_it_wakes() -> None:
    loop = Loop()
    assert not any(loop.turn(1, for_ms=30_000, busy=0.85))
    assert loop.turn(1, for_ms=20_000, busy=0.97)[-1]
    assert not loop.turn(1, for_ms=30_000, busy=0.5)[-1]


@pytest.mark.parametrize(("late_ms", "busy"), [(12, 0.1), (20, 0.1), (1, 0.8), (16, 0.88)])
def test_what_is_allowed_for_good_keeps_nobody_out_for_good(late_ms: float, busy: float) -> None:
    loop = Loop()
    assert not any(loop.turn(late_ms, for_ms=60_000, busy=busy))
    assert loop.turn(40, for_ms=30_000, busy=0.97)[-1]
    said = loop.turn(late_ms, for_ms=60_000, busy=busy)
    last = said.index(False)
    assert 30_000 <= last * (BEAT_MS + late_ms) <= 42_000  # the rest, behind the window
    assert not any(said[last:])


def test_of_the_first_seconds_nothing_is_judged() -> None:
    loop = Loop()
    assert not any(loop.turn(50, for_ms=14_800))
    assert loop.turn(50, for_ms=1000)[-1]


def test_nothing_is_judged_of_a_time_in_which_it_did_not_run() -> None:
    loop = Loop()
    loop.turn(1, for_ms=20_000)
    assert not any(loop.turn(60_000, *[1] * 99, for_ms=70_000))


def test_it_can_be_turned_off() -> None:
    loop = Loop(0)
    assert not any(loop.turn(500, for_ms=60_000, busy=1))
    assert (loop.load.late_ms, loop.load.busy) == (0, 0)


@pytest.mark.parametrize("pause_ms", [5000, 9500, 60_000])
def test_one_pause_makes_it_late_once_however_few_turns_are_beside_it(pause_ms: int) -> None:
    loop = Loop()
    loop.turn(1, for_ms=20_000)
    loop.turn(pause_ms, for_ms=pause_ms)
    for _ in range(120):
        loop.turn(1, for_ms=BEAT_MS)
        assert loop.load.late_ms == 1


@pytest.mark.parametrize("late_ms", [0, 7, 300])
def test_how_late_it_is_can_be_asked(late_ms: int) -> None:
    loop = Loop()
    assert loop.load.late_ms == 0
    loop.turn(late_ms, for_ms=3000, busy=0.4)
    assert loop.load.late_ms == late_ms
    assert loop.load.busy == pytest.approx(0.4)
