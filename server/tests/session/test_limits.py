"""How long a session may last and lie idle, in virtual time."""

import pytest

from voxwire_protocol import wire
from voxwire_server.session.limits import Over, SessionLimits

IDLE = wire.EndReason.END_REASON_IDLE
TOO_LONG = wire.ErrorCode.ERROR_CODE_DURATION_LIMIT


def events(limits: SessionLimits, until_ms: int, *, busy_ms: set[int] | None = None) -> list[str]:
    """What a watch every 100 ms says, as ``1900 warned 1000`` and ``3000 over``."""
    said: list[str] = []
    for now_ms in range(0, until_ms + 1, 100):
        if busy_ms is not None and now_ms in busy_ms:
            limits.active(now_ms)
        due = limits.watch(now_ms)
        if isinstance(due, Over):
            said.append(f"{now_ms} over")
            break
        if due is not None:
            said.append(f"{now_ms} warned {due.time_left_ms}")
    return said


def test_without_limits_nothing_is_ever_due() -> None:
    limits = SessionLimits(0, max_duration_s=0, idle_s=0)
    limits.allow_s(None)
    assert events(limits, 1_000_000) == []


@pytest.mark.parametrize(
    ("server_s", "token_s", "lower_s"),
    [(60, None, 60), (0, 60, 60), (60, 90, 60), (90, 60, 60), (60, 60, 60)],
)
def test_the_lower_of_the_server_s_and_the_token_s_duration_counts(
    server_s: int, token_s: int | None, lower_s: int
) -> None:
    limits = SessionLimits(0, max_duration_s=server_s, idle_s=0)
    limits.allow_s(token_s)
    assert limits.duration_ms == lower_s * 1000
    assert events(limits, 100_000) == ["54000 warned 6000", "60000 over"]


def test_a_session_that_is_too_long_has_an_error_and_an_idle_one_has_none() -> None:
    late = SessionLimits(0, max_duration_s=1, idle_s=0)
    idle = SessionLimits(0, max_duration_s=0, idle_s=1)
    for limits in (late, idle):  # a loop that stood still for long: the warning comes all the same
        warning = limits.watch(90_000)
        assert isinstance(warning, wire.GoAway)
        assert warning.time_left_ms == 0
    over = late.watch(90_001)
    assert isinstance(over, Over)
    assert over.error is not None
    assert (over.error.code, over.error.fatal) == (TOO_LONG, True)
    assert idle.watch(90_001) == Over(IDLE)


def test_an_idle_session_is_warned_once_and_ends() -> None:
    assert events(SessionLimits(0, max_duration_s=0, idle_s=60), 100_000) == [
        "54000 warned 6000",
        "60000 over",
    ]
    assert events(SessionLimits(0, max_duration_s=0, idle_s=10), 100_000) == [
        "7000 warned 3000",
        "10000 over",
    ]


def test_a_short_limit_warns_at_its_half() -> None:
    assert events(SessionLimits(0, max_duration_s=0, idle_s=1), 5000) == [
        "500 warned 500",
        "1000 over",
    ]


def test_a_word_begins_the_wait_and_the_warning_anew() -> None:
    limits = SessionLimits(0, max_duration_s=0, idle_s=10)
    assert events(limits, 100_000, busy_ms={5000, 12_500}) == [
        "12000 warned 3000",
        "19500 warned 3000",
        "22500 over",
    ]


def test_speaking_does_not_put_off_the_longest_duration() -> None:
    limits = SessionLimits(0, max_duration_s=20, idle_s=10)
    said = events(limits, 100_000, busy_ms=set(range(0, 100_000, 1000)))
    assert said == ["17000 warned 3000", "20000 over"]
