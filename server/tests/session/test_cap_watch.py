"""When a session ends whose user, or bot, has had all that there is for the day."""

import pytest

from voxwire_protocol import wire
from voxwire_server.caps import Amounts, Caps, Payer
from voxwire_server.session.cap_watch import LAST_ANSWER_MS, QUIET_MS, CapWatch
from voxwire_server.session.limits import Over

ADA, BOT = Payer("user", "ada"), Payer("bot", "a")
MIDNIGHT_S = 20_000 * 86_400.0
NOON_S = MIDNIGHT_S - 43_200


class Day:
    """A session that is looked at, from noon on.

    Args:
        caps: What may be spent; of the user, unless another payer is named.
    """

    def __init__(self, **caps: int) -> None:
        self.watch = CapWatch({ADA: Caps(**caps)})
        self.busy = False
        self.now_ms = 0.0

    def look(self, at_ms: float) -> str:
        """What is due then: ``""``, ``"warned 3000"`` or ``"over"``."""
        self.now_ms = at_ms
        due = self.watch.watch(at_ms, wall_s=NOON_S + at_ms / 1000, busy=self.busy)
        if isinstance(due, wire.GoAway):
            return f"warned {due.time_left_ms}"
        return "over" if isinstance(due, Over) else ""

    def spend(self, **amounts: int) -> None:
        self.watch.spend(Amounts(**amounts))


def test_time_is_warned_of_and_over_when_it_is_whoever_speaks() -> None:
    day = Day(seconds=60)
    day.busy = True
    said = {}
    for second in range(1, 62):
        day.spend(seconds=1)
        if due := day.look(second * 1000):
            said[second] = due
        if due == "over":
            break
    assert said == {54: "warned 6000", 60: "over"}
    assert day.watch.ended_by == "seconds"


def test_time_that_others_used_up_is_warned_of_before_it_is_over() -> None:
    day = Day(seconds=60)
    day.watch.told(ADA, Amounts(), Amounts(seconds=99), wall_s=NOON_S)
    assert [day.look(ms) for ms in (0, 1000)] == ["warned 0", "over"]


@pytest.mark.parametrize("name", ["turns", "llm_tokens", "tts_characters"])
def test_the_answer_on_its_way_is_spoken_to_its_end(name: str) -> None:
    day = Day(**{name: 100})
    day.spend(**{name: 89})
    assert day.look(0) == ""
    day.spend(**{name: 2})
    assert [day.look(1), day.look(2)] == ["warned 0", ""]
    day.busy = True
    day.spend(**{name: 50})
    assert day.look(1000) == f"warned {LAST_ANSWER_MS}"
    assert {day.look(ms) for ms in range(1100, 20_000, 100)} == {""}
    day.busy = False
    assert day.look(19_950 + QUIET_MS - 100) == ""
    assert day.look(19_900 + QUIET_MS) == "over"
    assert day.watch.ended_by == name


def test_but_not_for_ever_and_nothing_is_answered_behind_it() -> None:
    endless, asks = Day(turns=1), Day(turns=1)
    for day in (endless, asks):
        day.busy = True
        day.spend(turns=1)
        assert day.look(0) == f"warned {LAST_ANSWER_MS}"
        day.spend(llm_tokens=10)
        assert day.look(10) == ""
    assert endless.look(LAST_ANSWER_MS - 1) == ""
    assert endless.look(LAST_ANSWER_MS) == "over"
    asks.spend(turns=1)
    assert asks.look(20) == "over"


def test_who_is_silent_is_told_before_it_ends() -> None:
    day = Day(turns=3)
    day.watch.told(ADA, Amounts(), Amounts(turns=7), wall_s=NOON_S)
    assert day.look(0) == f"warned {QUIET_MS}"
    assert [day.look(QUIET_MS - 1), day.look(QUIET_MS)] == ["", "over"]


def test_the_end_says_what_and_when_the_next_day_begins() -> None:
    watch = CapWatch({ADA: Caps(), BOT: Caps(llm_tokens=5)})
    watch.spend(Amounts(llm_tokens=5))
    wall_s = MIDNIGHT_S - 60
    assert isinstance(watch.watch(0, wall_s=wall_s, busy=False), wire.GoAway)
    over = watch.watch(QUIET_MS, wall_s=wall_s + 2, busy=False)
    assert isinstance(over, Over)
    error = over.error
    assert error is not None
    assert error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
    assert (error.fatal, error.retryable, error.retry_after_ms) == (True, True, 58_000)
    assert "this bot" in error.reason


def test_at_midnight_everything_begins_anew() -> None:
    watch = CapWatch({ADA: Caps(turns=10)})
    watch.told(ADA, Amounts(), Amounts(turns=10), wall_s=MIDNIGHT_S - 1)
    assert isinstance(watch.watch(0, wall_s=MIDNIGHT_S - 1, busy=True), wire.GoAway)
    watch.spend(Amounts(turns=3))  # not told yet: it counts for the new day
    assert watch.watch(1000, wall_s=MIDNIGHT_S, busy=False) is None
    assert watch.watch(9000, wall_s=MIDNIGHT_S + 8, busy=False) is None
    watch.told(ADA, Amounts(turns=3), Amounts(turns=9), wall_s=MIDNIGHT_S + 9)
    again = watch.watch(10_000, wall_s=MIDNIGHT_S + 9, busy=False)
    assert isinstance(again, wire.GoAway)
    assert again.time_left_ms == 0


def test_each_warning_is_sent_and_time_first() -> None:
    day = Day(seconds=60, turns=10, llm_tokens=100)
    day.spend(turns=9, llm_tokens=95, seconds=56)
    said = [day.watch.watch(at_ms, wall_s=NOON_S, busy=False) for at_ms in (0, 1000, 2000, 3000)]
    told = [(it.reason, it.time_left_ms) for it in said if isinstance(it, wire.GoAway)]
    assert len({reason for reason, _ in told}) == 3
    assert [left_ms for _, left_ms in told] == [4000, 0, 0]
    assert said[3] is None


def test_time_is_warned_of_beside_the_last_answer() -> None:
    day = Day(seconds=60, turns=5)
    day.busy = True
    day.spend(turns=5, seconds=56)
    assert [day.look(ms) for ms in (0, 1000, 2000)] == [
        f"warned {LAST_ANSWER_MS}",
        "warned 4000",
        "",
    ]
    day.spend(seconds=4)
    assert day.look(4000) == "over"
    assert day.watch.ended_by == "seconds"


def test_what_was_said_to_others_is_counted_once() -> None:
    watch = CapWatch({ADA: Caps(turns=10), BOT: Caps(turns=10)})
    watch.spend(Amounts(turns=4))
    assert watch.unsaid() == {ADA: Amounts(turns=4), BOT: Amounts(turns=4)}
    watch.spend(Amounts(turns=1))
    watch.told(ADA, Amounts(turns=4), Amounts(turns=4), wall_s=NOON_S)
    assert watch.unsaid() == {ADA: Amounts(turns=1), BOT: Amounts(turns=5)}
    assert watch.watch(0, wall_s=NOON_S, busy=False) is None
    watch.spend(Amounts(turns=4))
    assert watch.near is False
    assert isinstance(watch.watch(1, wall_s=NOON_S, busy=False), wire.GoAway)
    assert watch.near
