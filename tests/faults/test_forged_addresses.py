"""A header that names another address counts for nothing: limits count the true one.

Directly, with and without ``VOXWIRE_TRUSTED_PROXIES``, and through the shipped proxies. The callers
have addresses beyond loopback. `make system` runs it.
"""

import asyncio
import shutil
from collections.abc import Iterator
from socket import socket

import pytest

from tests.support.namespaces import why_not
from tests.support.shipped import Shipped, shipped
from tests.support.strangers import attach, close_all, silent_socket, until_gone
from voxwire_protocol import wire

MISSING = [program for program in ("caddy", "nginx") if shutil.which(program) is None]
REASON = why_not() or (f"{MISSING[0]} is missing (make system installs it)" if MISSING else "")
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(120)]

PENDING = 4
STARTS = 3
RATE_LIMITED = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
SETTINGS = {
    "VOXWIRE_MAX_PENDING_PER_ADDRESS": str(PENDING),
    "VOXWIRE_STARTS_PER_ADDRESS": f"{STARTS}/hour",
    "VOXWIRE_HELLO_TIMEOUT_MS": "2000",
}
SEES = {
    "nobody is trusted": ("direct", {}),
    "another proxy is trusted": ("direct", {"VOXWIRE_TRUSTED_PROXIES": "203.0.113.99"}),
    "nginx": ("nginx", {}),
    "nginx and Caddy": ("caddy", {}),
    "Caddy": ("caddy alone", {}),
}


async def test_behind_nginx_and_caddy_nginx_counts_the_sockets_of_an_address() -> None:
    with shipped("caddy") as house:
        sockets = [house.dial(address(21)) for _ in range(120)]
        for sock in sockets:
            sock.setblocking(False)
        await asyncio.sleep(0.5)  # real time: slow
        left = [sock for sock in sockets if not _closed(sock)]
        assert len(left) == 100
        assert await attach_all(house, [(address(22), address(21))]) == ["welcome"]
        close_all(sockets)


@pytest.fixture(scope="module", params=SEES)
def house(request: pytest.FixtureRequest) -> Iterator[Shipped]:
    way, more = SEES[request.param]
    with shipped(way, **SETTINGS, **more) as made:
        yield made


def address(number: int) -> str:
    """One of the callers'."""
    return f"198.51.100.{number}"


async def attach_all(house: Shipped, comers: list[tuple[str, str]]) -> list[str]:
    """Begin a session each, one after the other; who comes and what he names. What came of it."""
    came: list[str] = []
    for comer, says in comers:
        answer = await attach(house, comer, says, user=f"{comer} {says}")
        if answer.HasField("welcome"):
            came.append("welcome")
        else:
            assert answer.error.retry_after_ms > 0
            came.append(wire.ErrorCode.Name(answer.error.code).removeprefix("ERROR_CODE_"))
    return came


async def test_starts_of_one_address_are_counted_whatever_it_names(house: Shipped) -> None:
    comers = [(address(21), address(100 + number)) for number in range(STARTS + 1)]
    assert await attach_all(house, comers) == ["welcome"] * STARTS + ["RATE_LIMITED"]
    assert await attach_all(house, [(address(22), "")]) == ["welcome"]


async def test_who_names_another_address_does_not_use_up_what_that_one_may(house: Shipped) -> None:
    victim = address(24)
    came = await attach_all(house, [(address(23), victim)] * STARTS)
    assert came == ["welcome"] * STARTS
    assert await attach_all(house, [(victim, "")] * STARTS) == ["welcome"] * STARTS


@pytest.mark.parametrize("house", ["nginx", "nginx and Caddy"], indirect=True)
async def test_behind_nginx_networks_of_ipv6_are_counted_apart(house: Shipped) -> None:
    one, beside, other = "2001:db8::21", "2001:db8::22", "2001:db8:0:1::21"
    assert await attach_all(house, [(one, other)] * STARTS) == ["welcome"] * STARTS
    assert await attach_all(house, [(beside, other)]) == ["RATE_LIMITED"]
    assert await attach_all(house, [(other, "")]) == ["welcome"]


async def test_silent_sockets_are_counted_whatever_they_name(house: Shipped) -> None:
    opened = [silent_socket(house, address(25), address(100 + n)) for n in range(PENDING + 2)]
    statuses, sockets = [status for status, _ in opened], [sock for _, sock in opened]
    assert statuses == [101] * PENDING + [429] * 2
    assert await attach_all(house, [(address(26), address(25))]) == ["welcome"]
    for sock in sockets:
        sock.setblocking(False)
    await until_gone(sockets)
    close_all(sockets)
    assert await attach_all(house, [(address(25), "")]) == ["welcome"]


def _closed(sock: socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
