"""500 sockets that nobody speaks on, or not to an end, while a caller comes (T10).

Directly and through the shipped proxies; `make system` runs it.
"""

import shutil
import socket
import sys
from pathlib import Path

import pytest

from tests.support.callers import callers
from tests.support.namespaces import why_not
from tests.support.shipped import WAYS, Shipped, shipped
from tests.support.strangers import close_all, parts_after_tls, parts_before_tls, until_gone

MISSING = [program for program in ("caddy", "nginx") if shutil.which(program) is None]
REASON = why_not() or (f"{MISSING[0]} is missing (make system installs it)" if MISSING else "")
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(120)]

OPEN = 500
OF_ONE = 20
"""Sockets of each of the 25 addresses."""
GONE_S = 10.0
CONNECTS_MS = 500


def half_open(house: Shipped) -> tuple[list[socket.socket], list[socket.socket]]:
    """Half of them as TCP, half with TLS; of each kind as many. Second: those that drip."""
    before, after = parts_before_tls(house), parts_after_tls(house)
    sockets: list[socket.socket] = []
    drips: list[socket.socket] = []
    for number in range(OPEN):
        sock = house.dial(f"198.51.100.{21 + number // OF_ONE}")
        part = before[number // 2 % len(before)]
        try:
            if number % 2:
                sock = house.speak_tls(sock)
                part = after[number // 2 % len(after)]
            sock.sendall(part)
        except OSError:  # the front has turned it away
            sock.close()
            continue
        if number % 2 and part == after[1]:
            drips.append(sock)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets, drips


@pytest.mark.timing(reason="gone within 10 s, and a caller in within 500 ms, is what is promised")
@pytest.mark.parametrize("way", WAYS)
async def test_500_half_open_sockets_are_gone_in_10_s_and_a_caller_comes_in_meanwhile(
    way: str, tmp_path: Path
) -> None:
    with shipped(way) as house:
        async with callers((*house.at_the_caller, sys.executable), tmp_path) as calls:
            order = {"url": house.url, "transport": "websocket", "words": 3, "once": True}
            calls.call("first", token=house.token(), **order)  # what opens once is open
            await calls.wait_for("Said")
            sockets, drips = half_open(house)
            calls.call("second", token=house.token(), **order)
            last_s = await until_gone(sockets, dripping=drips)
            await calls.wait_for("Said", 2)
    close_all(sockets)
    begins, ends = (calls.of(what)["second"]["at_s"] for what in ("Begins", "Connected"))
    connected_ms = (ends - begins) * 1000
    print(
        f"{way}: {len(sockets)} of {OPEN} were let in, {len(drips)} of them dripped; the last was"
        f" gone after {last_s:.1f} s; a caller was in after {connected_ms:.0f} ms"
    )
    assert last_s <= GONE_S
    assert connected_ms <= CONNECTS_MS
    assert calls.of("Said")["second"]["words"] == ["w0", "w1", "w2"]
