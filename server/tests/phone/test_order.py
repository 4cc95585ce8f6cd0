"""Pieces of a voice are heard in their order, once; for one that is lost nobody waits long."""

import random

from voxwire_server.phone.order import Order


def heard(*numbers: int) -> list[int]:
    order = Order()
    return [int(piece) for number in numbers for piece in order.take(b"%d" % number, number)]


def test_neighbours_that_change_places_are_put_right() -> None:
    assert heard(1, 3, 2, 5, 4, 6) == [1, 2, 3, 4, 5, 6]
    assert heard(7, 8, 9) == [7, 8, 9]


def test_what_comes_twice_or_too_late_is_heard_once_or_never() -> None:
    assert heard(1, 2, 2, 1, 3) == [1, 2, 3]
    assert heard(5, 4, 6) == [5, 6]
    assert heard(1, *(10**9 + n for n in range(9)), 2, 3) == [1, 2, 3]


def test_what_is_lost_holds_up_five_pieces() -> None:
    assert heard(1, 3, 4, 5, 6, 7) == [1]
    assert heard(1, 3, 4, 5, 6, 7, 8, 9) == [1, 3, 4, 5, 6, 7, 8, 9]


def test_a_stream_that_counts_otherwise_is_heard_again_after_half_a_second() -> None:
    for anew in (10**9, 1):
        assert heard(5000, *range(anew, anew + 40)) == [5000, *range(anew + 25, anew + 40)]
    assert heard(10**9, *range(1, 40)) == [10**9, *range(26, 40)]  # the first one was wrong


def test_without_numbers_they_come_as_they_come() -> None:
    order = Order()
    assert order.take(b"a", 0) == [b"a"]
    assert order.take(b"b", 0) == [b"b"]


def test_any_order_within_five_is_put_right() -> None:
    chance = random.Random(3)
    numbers = list(range(2, 400))
    for at in range(0, len(numbers) - 4, 4):
        block = numbers[at : at + 4]
        chance.shuffle(block)
        numbers[at : at + 4] = block
    assert heard(1, *numbers) == list(range(1, 400))
