"""The listener's position: what is believed, what is clamped, what happens without reports."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_server.playout.heard import (
    EXTRAPOLATE_MS,
    OUT_OF_REACH_MS,
    SILENT_MS,
    STALE_MS,
    HeardPosition,
)

REPORT = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
SERVER = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK


@pytest.fixture
def heard() -> HeardPosition:
    position = HeardPosition()
    position.attach(0)
    position.sent(0, 5000, 0)
    return position


def test_nothing_is_heard_before_the_first_report(heard: HeardPosition) -> None:
    assert heard.at(900) == (0, REPORT)


def test_a_report_counts_and_runs_on_for_at_most_300_ms(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    assert heard.at(1200) == (1200, REPORT)
    assert heard.at(1900) == (1000 + EXTRAPOLATE_MS, REPORT)


def test_a_report_that_goes_back_is_clamped(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    heard.report(400, 1050, playing=True)
    assert heard.at(1050) == (1000, REPORT)
    assert heard.clamped == 1


def test_a_report_ahead_of_what_was_sent_is_clamped(heard: HeardPosition) -> None:
    heard.report(99_999, 1000, playing=True)
    assert heard.at(1000) == (5000, REPORT)
    assert heard.clamped == 1


def test_a_path_that_has_played_all_at_a_rate_of_its_own_has_heard_all() -> None:
    heard = HeardPosition()
    heard.attach(0)
    heard.sent(0, 5000.1875, 0)  # 8 kHz knows 5000.125
    heard.report(5000, 5000, playing=False)
    assert heard.at(5000) == (5000.1875, REPORT)
    heard.sent(6000.25, 6200.25, 6000)  # nothing is before what comes next
    assert heard.at(6000) == (6000.25, REPORT)
    assert heard.clamped == 0


def test_who_plays_still_or_lacks_more_than_a_rounding_has_not_heard_all() -> None:
    heard = HeardPosition()
    heard.attach(0)
    heard.sent(0, 5000.5, 0)
    heard.report(4999, 5000, playing=False)
    assert heard.at(5000) == (4999, REPORT)
    heard.report(5000, 5010, playing=True)
    assert heard.at(5010) == (5000, REPORT)


def test_reports_that_stop_give_way_to_the_server_clock(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    position, source = heard.at(1000 + STALE_MS + 500)
    assert source == SERVER
    assert position == pytest.approx(2500)
    assert heard.at(60_000) == (5000, SERVER)


def test_without_a_first_report_the_server_clock_takes_over(heard: HeardPosition) -> None:
    assert heard.at(STALE_MS + 1)[1] == SERVER
    assert heard.at(60_000)[0] == 5000


def test_a_report_after_a_stale_time_is_believed_again(heard: HeardPosition) -> None:
    heard.report(1000, 3000, playing=True)
    assert heard.at(3000) == (1000, REPORT)


def test_a_peer_without_reports_follows_the_server_clock() -> None:
    heard = HeardPosition(reports=False)
    heard.attach(0)
    heard.sent(0, 1000, 0)
    assert heard.at(400) == (400, SERVER)
    assert heard.at(4000) == (1000, SERVER)


def test_a_detached_position_stands_still(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    heard.detach(1100)
    assert heard.at(90_000)[0] == 1000  # the last report: what came after it is not certain
    assert heard.eta_ms(2000, 90_000) == math.inf


def test_a_new_stretch_starts_where_it_was_sent(heard: HeardPosition) -> None:
    heard.report(5000, 5000, playing=False)
    heard.sent(9000, 9020, 9000)
    assert heard.at(9000) == (9000, REPORT)


def test_after_a_flush_the_position_is_behind_it(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    heard.skip_to(5000, 1100)
    assert heard.at(1100)[0] == 5000


def test_of_a_peer_that_is_gone_only_what_it_reported_is_certain(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    heard.peer_alive(1080)
    heard.sent(5000, 5020, 1000 + STALE_MS + 20)  # into the hole
    now = 1000 + STALE_MS + 400
    assert heard.certain_ms(now) == 1000
    assert heard.at(now)[0] == 1080 + SILENT_MS
    heard.detach(now)
    assert heard.at(now)[0] == 1000


def test_what_waits_unread_in_a_process_that_stood_still_is_no_silence(
    heard: HeardPosition,
) -> None:
    heard.report(1000, 1000, playing=True)
    heard.peer_alive(1000)
    now = 1020 + 2500
    assert heard.out_of_reach(now)
    heard.stood_still(1020, now)
    heard.stood_still(900, now)  # told twice
    assert not heard.out_of_reach(now)
    assert heard.at(now) == (1000 + EXTRAPOLATE_MS, REPORT)
    heard.report(1200, now, playing=True)
    assert heard.at(now + 50) == (1250, REPORT)


def test_a_peer_that_stays_silent_behind_a_stall_is_out_of_reach_in_its_time(
    heard: HeardPosition,
) -> None:
    heard.report(1000, 1000, playing=True)
    heard.peer_alive(1000)
    heard.stood_still(1020, 4000)
    assert not heard.out_of_reach(4000 + OUT_OF_REACH_MS - 21)
    assert heard.out_of_reach(4000 + OUT_OF_REACH_MS)


def test_a_peer_that_is_there_and_does_not_report_follows_the_server_clock(
    heard: HeardPosition,
) -> None:
    heard.report(1000, 1000, playing=True)
    for now in range(1020, 2400, 20):
        heard.peer_alive(now)
        heard.sent(5000, 5000 + now, now)
    assert heard.at(2400) == (2400, SERVER)
    assert heard.certain_ms(2400) == 2400


def test_eta_is_the_time_until_the_position_may_be_heard(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True)
    assert heard.eta_ms(900, 1000) == 0
    assert heard.eta_ms(1200, 1000) == 200
    assert heard.eta_ms(4000, 1000) == pytest.approx(STALE_MS + 1)
    assert heard.eta_ms(7000, 1000) == STALE_MS
    assert heard.eta_ms(4000, 2500) >= 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sent", "report", "wait"]),
            st.floats(-500, 20_000),
            st.floats(0, 2000),
            st.booleans(),
        )
    )
)
def test_the_position_never_goes_back_and_never_beyond_what_was_sent(
    steps: list[tuple[str, float, float, bool]],
) -> None:
    heard = HeardPosition()
    heard.attach(0)
    now = sent = reported = 0.0
    for verb, value, wait, playing in steps:
        now += wait
        if verb == "sent":
            heard.sent(sent, sent + abs(value), now)
            sent += abs(value)
        elif verb == "report":
            heard.report(value, now, playing=playing)
            reported = max(reported, min(value, sent))
        position, _ = heard.at(now)
        assert reported - 1e-6 <= position <= sent + 1e-6


def test_a_listener_who_cannot_play_stands_still_until_it_says_otherwise(
    heard: HeardPosition,
) -> None:
    heard.report(1000, 1000, playing=True)
    heard.report(1050, 1050, playing=True, suspended=True)
    assert heard.at(60_000) == (1050, REPORT)
    assert heard.eta_ms(1051, 60_000) == math.inf
    assert heard.stalled_ms(60_000) == 0
    heard.sent(5000, 6000, 60_000)  # does not make the report a stale one
    assert heard.at(61_100) == (1050, REPORT)
    heard.report(1050, 61_200, playing=True)
    assert heard.at(61_300) == (1150, REPORT)


def test_a_new_path_may_play_until_it_says_otherwise(heard: HeardPosition) -> None:
    heard.report(1000, 1000, playing=True, suspended=True)
    heard.detach(2000)
    heard.attach(3000)
    assert not heard.suspended
    assert heard.at(3000) == (1000, REPORT)


def test_where_sound_takes_its_way_the_first_of_a_stretch_is_not_heard_before_it_has_come() -> None:
    heard = HeardPosition(reports=False)
    heard.way_ms = 85.0
    heard.attach(0)
    heard.sent(1000, 2000, 500)
    assert heard.eta_ms(1000, 500) == 85
    assert heard.eta_ms(1300, 500) == 385
    assert heard.at(584)[0] < 1000
    assert heard.certain_ms(584) < 1000
    assert heard.at(585)[0] == 1000
    assert heard.at(685)[0] == 1100
    heard.sent(2000, 3000, 1000)  # goes on
    assert heard.at(1000)[0] == 1415
