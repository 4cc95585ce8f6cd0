"""Marks that come back say where the caller is."""

from voxwire_server.phone.marks import Marks
from voxwire_server.ports import Report


def measured(rtt_ms: float) -> Marks:
    """Marks of a line with that round trip."""
    marks = Marks()
    while name := marks.probe(0.0):
        assert marks.came(name, rtt_ms) is None
    assert marks.rtt_ms == rtt_ms
    return marks


def say(marks: Marks, start_ms: float, end_ms: float, now_ms: float) -> tuple[str | None, str]:
    """Audio is sent; the marks before it and behind it."""
    before = marks.begins(start_ms, now_ms)
    marks.sent(end_ms)
    return before, marks.ends(now_ms)


def test_a_mark_is_one_way_old_and_never_beyond_what_was_sent() -> None:
    marks = measured(80.0)
    begin, first = say(marks, 1000, 1100, 100.0)
    before, second = say(marks, 1100, 1200, 100.0)
    assert begin
    assert not before  # the far end has something to play still
    assert marks.came(begin, 180.0) == Report(1040, playing=True)
    assert marks.came(first, 280.0) == Report(1140, playing=True)
    assert marks.came(second, 380.0) == Report(1200, playing=False)


def test_the_way_is_measured_whenever_a_stretch_begins_and_is_what_it_was_mostly() -> None:
    marks = measured(200.0)
    assert marks.probe(2000.0) == ""  # it is known
    for number in range(8):
        begin, end = say(marks, 200 + number * 100, 300 + number * 100, 3000.0)
        marks.came(begin, 3400.0 if number % 3 == 0 else 3090.0)
        marks.came(end, 9000.0)  # what was played before it says nothing of the way
    assert marks.rtt_ms == 90.0


def test_where_no_mark_comes_straight_back_the_first_sound_is_taken_to_play_when_it_is_there() -> (
    None
):
    marks = Marks(echoes=False)
    before, first = say(marks, 1000, 1100, 100.0)
    assert not before
    assert marks.presumed(180.0) is None  # nobody knows how long the way is
    marks.pinged(80.0)
    assert marks.presumed(180.0) == Report(1040, playing=True)
    assert marks.presumed(900.0) == Report(1100, playing=True)  # never beyond what was sent
    marks.came(first, 280.0)
    assert marks.presumed(290.0) is None  # a mark says more


def test_a_cut_is_where_the_caller_is_when_it_arrives() -> None:
    marks = measured(80.0)
    begin, first = say(marks, 1000, 1100, 100.0)
    say(marks, 1100, 2000, 100.0)
    assert marks.cut(150.0) == 1050  # nothing has come back: it plays for as long as it was sent
    begin, first = say(marks, 3000, 3100, 1000.0)
    say(marks, 3100, 4000, 1000.0)
    marks.came(begin, 1080.0)
    marks.came(first, 1180.0)
    assert marks.cut(1200.0) == 3100 + 20 + 80
    begin, _ = say(marks, 5000, 5100, 2000.0)
    assert marks.cut(9000.0) == 5100
    begin, _ = say(marks, 6000, 6100, 10_000.0)
    assert marks.cut(10_080.0, left_ms=6060) == 6060  # the rest has not even left


def test_marks_of_what_was_cut_mean_nothing_when_they_come_back() -> None:
    marks = measured(80.0)
    begin, first = say(marks, 1000, 1500, 100.0)
    marks.cut(200.0)
    again, _ = say(marks, 2000, 2100, 210.0)
    assert again  # the far end has nothing any more
    assert marks.came(begin, 260.0) is None
    assert marks.came(first, 280.0) is None
    assert marks.came("nobody's", 280.0) is None
    assert marks.came(again, 290.0) == Report(2040, playing=True)


def test_a_mark_that_is_lost_is_passed_by_the_next_one() -> None:
    marks = measured(80.0)
    begin, first = say(marks, 0, 100, 0.0)
    _, second = say(marks, 100, 200, 0.0)
    assert marks.came(second, 300.0) == Report(200, playing=False)
    assert marks.came(begin, 310.0) is None
    assert marks.came(first, 310.0) is None


def test_a_line_that_sends_no_idle_mark_back_is_measured_otherwise() -> None:
    marks = Marks(echoes=False)
    assert marks.probe(0.0) == ""
    begin, end = say(marks, 0, 100, 0.0)
    assert (begin, bool(end)) == ("", True)
    marks.pinged(70.0)
    _, last = say(marks, 100, 300, 0.0)
    assert marks.came(end, 200.0) == Report(135, playing=True)
    assert marks.came(last, 500.0) == Report(300, playing=False)


def test_a_line_that_was_said_to_send_idle_marks_back_and_does_not_is_pinged() -> None:
    marks = Marks()
    assert marks.probe(0.0)
    marks.pinged(60.0)
    begin, end = say(marks, 1000, 1100, 5000.0)
    assert begin
    assert say(marks, 1100, 1200, 5010.0)[0] is None
    assert marks.came(end, 5160.0) == Report(1130, playing=True)
    assert marks.cut(5170.0) == 1170


def test_a_stretch_whose_marks_are_lost_is_over_a_second_after_its_sound() -> None:
    marks = measured(80.0)
    say(marks, 0, 500, 0.0)
    assert say(marks, 500, 1000, 100.0)[0] is None
    assert say(marks, 5000, 5100, 2070.0)[0] is None
    marks = measured(80.0)
    say(marks, 0, 1000, 0.0)
    assert say(marks, 5000, 5100, 2081.0)[0]
    assert marks.cut(2181.0 - 50) == 5050
