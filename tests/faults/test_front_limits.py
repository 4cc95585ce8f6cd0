"""Half-open sockets and made-up addresses against a real server, in short (more: make system)."""

from collections.abc import Iterator

import pytest

from tests.support.namespaces import why_not
from tests.support.shipped import Shipped, shipped
from tests.support.strangers import (
    attach,
    close_all,
    parts_after_tls,
    parts_before_tls,
    silent_socket,
    until_gone,
)

REASON = why_not()
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(120)]

PENDING = 4
STARTS = 5
SETTINGS = {
    "VOXWIRE_MAX_PENDING_PER_ADDRESS": str(PENDING),
    "VOXWIRE_STARTS_PER_ADDRESS": f"{STARTS}/hour",
    "VOXWIRE_HELLO_TIMEOUT_MS": "1000",
}
OF_EACH = 3


@pytest.fixture(scope="module")
def house() -> Iterator[Shipped]:
    with shipped("direct", **SETTINGS) as made:
        yield made


async def test_requests_that_do_not_end_are_cut_while_a_caller_comes_in(house: Shipped) -> None:
    kinds = [*parts_before_tls(house), *parts_after_tls(house)]
    sockets, dripping = [], []
    for number in range(OF_EACH * len(kinds)):
        sock = house.dial(f"198.51.100.{30 + number // PENDING}")
        part = kinds[number % len(kinds)]
        sock.sendall(part)
        sock.setblocking(False)
        sockets.append(sock)
        if part and not part.endswith((b"\r\n\r\n", b"{")):
            dripping.append(sock)
    assert len(dripping) == OF_EACH * 3
    answer = await attach(house, "198.51.100.21", user="ada")
    assert answer.HasField("welcome")
    await until_gone(sockets, dripping=dripping)
    close_all(sockets)


async def test_what_a_stranger_says_of_his_address_counts_for_nothing(house: Shipped) -> None:
    opened = [silent_socket(house, "198.51.100.22", f"198.51.100.{n}") for n in range(PENDING + 2)]
    assert [status for status, _ in opened] == [101] * PENDING + [429] * 2
    close_all(sock for _, sock in opened)
    victim, attacker = "198.51.100.23", "198.51.100.24"
    answers = [
        await attach(house, attacker, victim, user=f"u{number}") for number in range(STARTS + 1)
    ]
    assert [answer.HasField("welcome") for answer in answers] == [True] * STARTS + [False]
    assert answers[-1].error.retry_after_ms > 0
    assert (await attach(house, victim, user="ada")).HasField("welcome")
