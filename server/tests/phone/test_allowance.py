"""Whom a bot may call, and how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.phone.allowance import Allowance


def allowance(*prefixes: str, per_minute: int = 3, per_day: int = 5) -> Allowance:
    return Allowance(prefixes, per_minute=per_minute, per_day=per_day)


def refused(allowed: Allowance, now_s: float) -> tuple[ErrorCode, int]:
    with pytest.raises(VoxwireError) as caught:
        allowed.take(now_s)
    return caught.value.code, caught.value.retry_after_ms


@pytest.mark.parametrize("to", ["+4930123456", "+49 (30) 123-456", "+49.30/12 34 56"])
def test_a_number_that_begins_as_is_allowed_is_written_as_vendors_write_it(to: str) -> None:
    assert allowance("+1212", "+49").number(to) == "+4930123456"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        *((to, ErrorCode.FORBIDDEN) for to in ("+15550100", "+4830123456", "+448001234567")),
        *(
            (to, ErrorCode.INVALID_ARGUMENT)
            for to in (
                *("", "+", "030123456", "0049301234567", "+49", "+4930123456#1", "+49,+1212555"),
                *("sip:a@b", "+49301234\n56", "+49\u06631234567", "+4930123456789012"),
                "+0930123456",
            )
        ),
    ],
)
def test_any_other_one_is_refused(to: str, code: ErrorCode) -> None:
    with pytest.raises(VoxwireError) as caught:
        allowance("+49").number(to)
    assert caught.value.code is code
    assert len(to) < 4 or to not in caught.value.reason


def test_without_a_prefix_nobody_is_called() -> None:
    nobody = allowance()
    with pytest.raises(VoxwireError) as caught:
        nobody.number("+4930123456")
    assert caught.value.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("prefix", ["49", "+", "0049", "+49*", "", "*", "+4 9"])
def test_what_is_no_prefix_is_said(prefix: str) -> None:
    with pytest.raises(ValueError, match="no prefix"):
        allowance(prefix)


def test_a_minute_and_a_day_have_their_calls() -> None:
    allowed = allowance("+49")
    for at_s in (0.0, 1.0, 2.0):
        allowed.take(at_s)
    assert refused(allowed, 10.0) == (ErrorCode.RATE_LIMITED, 50_000)
    allowed.take(60.0)
    allowed.take(61.0)
    assert refused(allowed, 500.0) == (ErrorCode.RATE_LIMITED, 85_900_000)
    allowed.take(86_400.0)


@pytest.mark.parametrize(("per_minute", "per_day"), [(0, 5), (5, 0)])
def test_none_is_none(per_minute: int, per_day: int) -> None:
    assert refused(allowance("+49", per_minute=per_minute, per_day=per_day), 0.0)[0]


@given(st.lists(st.floats(0, 3600), max_size=200))
def test_however_they_come_no_minute_and_no_day_has_more(pauses: list[float]) -> None:
    allowed, made, now_s = allowance("+49", per_minute=3, per_day=20), list[float](), 0.0
    for pause in pauses:
        now_s += pause
        try:
            allowed.take(now_s)
        except VoxwireError:
            continue
        made.append(now_s)
        assert sum(1 for at in made if now_s - at < 60) <= 3
        assert sum(1 for at in made if now_s - at < 86_400) <= 20
