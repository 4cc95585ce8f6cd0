"""What a start promises: to one page, for a minute, or for as long as its session lives."""

import pytest

from voxwire_server.routes.stock_starts import (
    START_TTL_MS,
    Asked,
    Owner,
    Starts,
    asked_of,
)
from voxwire_server.session.ticket import Ticket


def test_a_start_waits_a_minute_for_its_page_and_for_nobody_else() -> None:
    starts = Starts(set)
    start = starts.add(Ticket(bot="a"), b"https://a.example", Asked(), 0)
    assert start is not None
    assert len(start.id) == 32
    assert start.id not in repr(start)
    assert starts.get(start.id, b"https://b.example", 0) is None
    assert starts.get("", b"https://a.example", 0) is None
    assert starts.get(start.id, b"https://a.example", START_TTL_MS - 1) is start
    assert starts.get(start.id, b"https://a.example", START_TTL_MS) is None
    assert len(starts) == 0
    other = starts.add(Ticket(), b"", Asked(), 0)
    assert other is not None
    assert starts.add(Ticket(), b"", Asked(), START_TTL_MS) is not None
    assert len(starts) == 1


def test_a_start_whose_session_lives_is_kept() -> None:
    alive: list[Owner] = []
    starts = Starts(lambda: set(alive))
    start = starts.add(Ticket(), b"", Asked(), 0)
    assert start is not None
    alive.append(start.owner)
    assert starts.get(start.id, b"", 10 * START_TTL_MS) is start
    alive.clear()
    assert starts.get(start.id, b"", 10 * START_TTL_MS) is None


def test_a_start_for_a_socket_is_used_once() -> None:
    starts = Starts(set)
    start = starts.add(Ticket(), b"", Asked(), 0)
    assert start is not None
    assert starts.take(start.id, b"x", 0) is None
    assert starts.take(start.id, b"", 0) is start
    assert starts.take(start.id, b"", 0) is None


def test_eight_of_one_token_and_256_in_all_wait_at_once() -> None:
    starts = Starts(set)
    taken = [
        starts.add(Ticket(token=f"t{number // 9}"), b"", Asked(), 0) is not None
        for number in range(288)
    ]
    assert taken == ([True] * 8 + [False]) * 32
    assert len(starts) == 256
    assert starts.add(Ticket(token="another"), b"", Asked(), 0) is None
    assert starts.add(Ticket(token="t0"), b"", Asked(), START_TTL_MS) is not None


def test_a_start_whose_client_came_counts_for_nobody_else() -> None:
    """A page that is loaded nine times within a minute, and one with very many sessions."""
    starts = Starts(set)
    for _ in range(20):
        start = starts.add(Ticket(), b"", Asked(), 0)
        assert start is not None
        starts.came(start)
        assert starts.get(start.id, b"", 0) is start
    alive: set[Owner] = set()
    starts = Starts(lambda: alive)
    for number in range(300):
        start = starts.add(Ticket(token=str(number)), b"", Asked(), 0)
        assert start is not None
        alive.add(start.owner)
    assert len(starts) == 300


def test_a_stranger_costs_nothing_of_the_sessions_that_live() -> None:
    """An id is looked up, however many starts are kept for clients that may come back."""
    looked: list[None] = []

    def living() -> set[Owner]:
        looked.append(None)
        return alive

    alive: set[Owner] = set()
    starts = Starts(living)
    start = starts.add(Ticket(), b"", Asked(), 0)
    assert start is not None
    alive.add(start.owner)
    looked.clear()
    assert starts.get("unknown", b"", 10 * START_TTL_MS) is None
    assert starts.get(start.id, b"https://b.example", 10 * START_TTL_MS) is None
    assert not looked
    assert starts.get(start.id, b"", 10 * START_TTL_MS) is start


def test_an_owner_is_a_page_and_a_credential() -> None:
    one = Owner.of(b"o", "secret")
    assert b"secret" not in one.secret
    assert one.same(Owner.of(b"o", "secret"))
    assert not one.same(Owner.of(b"p", "secret"))
    assert not one.same(Owner.of(b"o", "other"))


def test_what_a_page_asks_is_for_the_bot_and_its_tools_are_declared() -> None:
    assert asked_of(None) == asked_of([1]) == asked_of({}) == Asked()
    look = {"name": "look", "description": "d", "parameters": {"type": "object"}}
    asked = asked_of({"a": "ü", "tools": [look, {"description": "no name"}, 5, {"name": 7}]})
    [tool] = asked.tools
    assert (tool.name, tool.description, tool.parameters_json) == (
        *("look", "d", '{"type": "object"}'),
    )
    assert asked.metadata_json.startswith('{"a":"ü"')
    with pytest.raises(ValueError, match="8192"):
        asked_of({"a": "x" * 9000})
