"""Sockets that nobody has authenticated are few."""

import pytest

from voxwire_server.routes.sockets import YOUNG_MS, PendingSockets, SocketControl

ELSEWHERE = "203.0.113.9"


def entered(sockets: PendingSockets, address: str, count: int, now_ms: float = 0.0) -> int:
    return sum(sockets.enter(object(), address, now_ms) for _ in range(count))


def test_an_address_has_eight() -> None:
    sockets = PendingSockets(per_address=8, total=256)
    assert entered(sockets, ELSEWHERE, 20) == 8
    assert entered(sockets, "203.0.113.10", 1) == 1


def test_all_together_have_256() -> None:
    sockets = PendingSockets(per_address=8, total=256)
    count = sum(entered(sockets, f"198.51.100.{host}", 8) for host in range(100))
    assert count == len(sockets) == 256


def test_one_that_ended_makes_room_and_ends_once() -> None:
    sockets = PendingSockets(per_address=1, total=2)
    assert sockets.enter("a", ELSEWHERE, 0)
    assert not sockets.enter("b", ELSEWHERE, 0)
    for _ in range(2):
        sockets.leave("a")
    assert len(sockets) == 0
    assert sockets.enter("b", ELSEWHERE, 0)
    sockets.leave("never entered")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.0.0.9"])
def test_on_loopback_many_may_begin_in_one_moment_but_few_stay_silent(address: str) -> None:
    sockets = PendingSockets(per_address=8, total=256)
    assert entered(sockets, address, 50) == 50
    assert entered(sockets, address, 1, YOUNG_MS - 1) == 1
    assert entered(sockets, address, 1, YOUNG_MS) == 0


def test_a_64_is_one_address() -> None:
    sockets = PendingSockets(per_address=2, total=256)
    addresses = [f"2001:db8:0:1::{host:x}" for host in range(1, 6)]
    assert sum(entered(sockets, address, 1) for address in addresses) == 2
    assert entered(sockets, "2001:db8:0:2::1", 1) == 1


def test_an_ipv4_address_is_the_same_in_ipv6() -> None:
    sockets = PendingSockets(per_address=1, total=256)
    assert entered(sockets, f"::ffff:{ELSEWHERE}", 1) == 1
    assert entered(sockets, ELSEWHERE, 1) == 0


def test_what_is_no_address_is_counted_by_its_name() -> None:
    sockets = PendingSockets(per_address=1, total=256)
    assert entered(sockets, "", 2) == 1
    assert entered(sockets, "fe80::1%eth0", 2) == 1


def test_one_of_two_that_ends_leaves_the_other_counted() -> None:
    sockets = PendingSockets(per_address=2, total=9)
    for name in "ab":
        sockets.enter(name, ELSEWHERE, 0)
    sockets.leave("a")
    assert entered(sockets, ELSEWHERE, 5) == 1


def test_on_another_server_the_application_counts_and_nothing_fails() -> None:
    scope = {"type": "websocket", "client": (ELSEWHERE, 1)}
    assert SocketControl.of(scope) is None
    sockets = PendingSockets(per_address=1, total=9)
    control = sockets.control_of(scope, 0)
    assert control is not None
    assert sockets.control_of(scope, 0) is None
    control.abort()
    control.admitted()
    control.admitted()
    assert len(sockets) == 0
    assert sockets.control_of({"type": "websocket", "client": None}, 0) is not None


def test_what_http_keeps_alive_gives_way_the_oldest_first() -> None:
    sockets = PendingSockets(per_address=3, total=9)
    closed: list[str] = []
    for name in "abc":
        assert sockets.enter(name, ELSEWHERE, 0)
    for name in "acb":
        sockets.idle(name, lambda name=name: closed.append(name))
    sockets.busy("a")
    assert entered(sockets, ELSEWHERE, 1) == 1
    assert closed == ["c"]
    assert entered(sockets, ELSEWHERE, 5) == 1  # "b"; what asks for something stays
    assert closed == ["c", "b"]


def test_what_has_left_is_not_closed() -> None:
    sockets = PendingSockets(per_address=1, total=9)
    assert sockets.enter("a", ELSEWHERE, 0)
    sockets.leave("a")
    sockets.idle("a", lambda: pytest.fail("it became a session's"))
    assert entered(sockets, ELSEWHERE, 2) == 1
