"""Who waits for a place: the order, what he is told and when, and who may not."""

import pytest

from voxwire_server.session.waiting import (
    MAX_OF_ADDRESS,
    MAX_OF_USER,
    Place,
    TooManyWaitError,
    WaitingLine,
    Who,
)


def line(max_waiting: int = 10) -> WaitingLine:
    return WaitingLine(max_waiting=max_waiting, max_wait_ms=120_000)


def told(line: WaitingLine, now_ms: float, places: int = 1) -> list[tuple[bytes, int]]:
    due = line.due(now_ms, places=places)
    return [(waiter.who.nonce, place.position) for waiter, place in due]


def test_each_is_told_at_once_and_again_when_he_has_moved_up() -> None:
    waiting = line()
    waiting.enter(Who(b"a"), 0)
    waiting.enter(Who(b"b"), 0)
    assert told(waiting, 0) == [(b"a", 1), (b"b", 2)]
    assert told(waiting, 4999) == []
    waiting.serve()
    assert told(waiting, 4999) == [(b"b", 1)]


def test_who_stays_where_he_is_hears_so_every_five_seconds() -> None:
    waiting = line()
    waiting.enter(Who(b"a"), 0)
    times = [now_ms for now_ms in range(0, 11_000, 500) if told(waiting, now_ms)]
    assert times == [0, 5000, 10_000]


def test_nobody_is_told_more_than_once_a_second_and_then_only_where_he_is() -> None:
    waiting = line()
    for nonce in (b"a", b"b", b"c"):
        waiting.enter(Who(nonce), 0)
    told(waiting, 0)
    waiting.serve()
    assert told(waiting, 999) == []
    waiting.serve()
    assert told(waiting, 1000) == [(b"c", 1)]


def test_how_long_it_takes_is_guessed_from_how_long_sessions_last() -> None:
    waiting = line()
    assert waiting.estimated_ms(1, places=2) == 0
    waiting.lasted(60_000)
    waiting.lasted(20_000)
    assert waiting.estimated_ms(1, places=2) == 20_000
    assert waiting.estimated_ms(3, places=2) == 60_000
    for _ in range(50):
        waiting.lasted(10_000)
    assert waiting.estimated_ms(1, places=1) == 10_000
    waiting.enter(Who(b"a"), 0)
    assert [place for _, place in waiting.due(0, places=4)] == [Place(1, 2500)]


def why_not(waiting: WaitingLine, who: Who) -> tuple[str, bool]:
    with pytest.raises(TooManyWaitError) as refused:
        waiting.enter(who, 0)
    return refused.value.reason.removeprefix("the server is full, and "), refused.value.of_address


def test_a_line_has_an_end_and_one_user_or_address_does_not_fill_it() -> None:
    waiting = line(max_waiting=20)
    for number in range(MAX_OF_USER):
        waiting.enter(Who(bytes([number]), user="ada"), 0)
    assert why_not(waiting, Who(b"more", user="ada")) == ("this user waits too often", False)
    for number in range(MAX_OF_ADDRESS):
        waiting.enter(Who(bytes([100 + number]), address="192.0.2.1"), 0)
    of_address = ("too many wait from this address", True)
    assert why_not(waiting, Who(b"more", address="192.0.2.1")) == of_address
    while len(waiting) < 20:
        waiting.enter(Who(), 0)
    full = ("so is its waiting room", False)
    assert why_not(waiting, Who(address="192.0.2.2", user="bob")) == full


def test_whoever_waits_for_too_long_is_sent_away() -> None:
    waiting = line()
    waiting.enter(Who(b"a"), 0)
    waiting.enter(Who(b"b"), 1000)
    assert waiting.late(119_999) == []
    assert [waiter.who.nonce for waiter in waiting.late(120_000)] == [b"a"]
    assert waiting.first is not None and waiting.first.who.nonce == b"b"


def test_who_loses_his_socket_is_where_he_was_when_he_comes_again_soon() -> None:
    waiting = line()
    first = waiting.enter(Who(b"a"), 0)
    waiting.enter(Who(b"b"), 0)
    waiting.leave(first, 50_000)
    assert len(waiting) == 1
    again = waiting.enter(Who(b"a"), 59_999)
    assert again is waiting.first
    assert again.until_ms == 120_000
    waiting.leave(again, 60_000)
    waiting.enter(Who(b"a"), 70_000)
    assert waiting.first is not None and waiting.first.who.nonce == b"b"


def test_a_network_that_changes_costs_nobody_his_turn() -> None:
    waiting = line()
    first = waiting.enter(Who(b"a", address="192.0.2.1", user="ada"), 0)
    waiting.enter(Who(b"b"), 0)
    waiting.leave(first, 1000)
    again = waiting.enter(Who(b"a", address="198.51.100.7", user="ada"), 2000)
    assert again is waiting.first
    assert again.who.address == "198.51.100.7"


def test_a_place_in_the_line_is_nobody_elses() -> None:
    waiting = line()
    first = waiting.enter(Who(b"a", user="ada"), 0)
    waiting.enter(Who(b"b"), 0)
    waiting.leave(first, 0)
    waiting.enter(Who(b"a", user="eve"), 1)
    assert waiting.first is not None and waiting.first.who.nonce == b"b"


def test_no_more_numbers_are_kept_than_may_wait() -> None:
    waiting = line(max_waiting=3)
    for number in range(100):
        waiter = waiting.enter(Who(bytes([number])), number)
        waiting.leave(waiter, number)
    assert len(vars(waiting)["_kept"]) <= 3
