"""500 starts and offers a second beside three WebSocket calls cost them no word and no gap (A12).

Directly and through the shipped proxies; `make system` runs it.
"""

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("aiortc")

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.support.callers import Callers, callers
from tests.support.namespaces import why_not
from tests.support.self_host import NAMES
from tests.support.shipped import Shipped, shipped

MISSING = [program for program in ("caddy", "nginx") if shutil.which(program) is None]
REASON = why_not() or (f"{MISSING[0]} is missing (make system installs it)" if MISSING else "")
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(120)]

RATE = 500
STORM_S = 10.0
CLIENTS = 20
"""Each has an address of its own, and a connection that is kept alive."""
CALLS = ("first call", "second call", "third call")
"""Over a WebSocket."""
WORDS = 50
"""They last 14 s."""
GAP_MS = 100
ACCEPTED = 8 * CLIENTS + 50
"""Starts of one token that wait for their client, and offers that wait for their connection."""


async def offer() -> str:
    """As a browser's, for sound."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("audio", "sendrecv")
        await connection.setLocalDescription(await connection.createOffer())
        return str(connection.localDescription.sdp)
    finally:
        await connection.close()


def requests(house: Shipped, sdp: str, token: str) -> list[bytes]:
    """A start and an offer of somebody with a token, and the same of somebody without."""
    made: list[bytes] = []
    for who in (f"Authorization: Bearer {token}\r\n", ""):
        for path, asked in (
            ("/start", {"transport": "webrtc"}),
            ("/api/offer", {"sdp": sdp, "type": "offer"}),
        ):
            body = json.dumps(asked)
            head = f"POST {path} HTTP/1.1\r\nHost: {house.authority}\r\n{who}"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            made.append((head + body).encode())
    return made


async def storm(house: Shipped, number: int, sdp: str, came: Counter[str]) -> None:
    """One client's part of it, however it is answered; one that is cut off comes back."""
    loop = asyncio.get_running_loop()
    asked = requests(house, sdp, house.token(f"stranger {number}"))
    tls = {} if house.way == "direct" else {"ssl": house.trusts, "server_hostname": NAMES[0]}
    began_s, sent, writer = loop.time(), 0, None
    while (now_s := loop.time()) < began_s + STORM_S:
        await asyncio.sleep(max(0.0, began_s + sent * CLIENTS / RATE - now_s))
        try:
            if writer is None:
                raw = house.dial(f"198.51.100.{21 + number}")
                raw.setblocking(False)
                reader, writer = await asyncio.open_connection(sock=raw, **tls)
            writer.write(asked[sent % len(asked)])
            sent += 1
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            came[head.split()[1].decode()] += 1
        except (OSError, asyncio.IncompleteReadError):
            came["cut"] += 1
            writer = None
    if writer is not None:
        writer.close()


async def talk(house: Shipped, calls: Callers, which: str, *, words: int) -> None:
    """Begin the calls; wait until the bot speaks in each."""
    begun = len(calls.of("Speaking"))
    for name in CALLS:
        order = {"url": house.url, "token": house.token(name), "transport": "websocket"}
        calls.call(f"{which}{name}", **order, words=words, once=True)
    await calls.wait_for("Speaking", begun + len(CALLS))


@pytest.mark.timing(reason="a gap of 100 ms is what a listener notices")
@pytest.mark.parametrize("way", ["direct", "caddy", "nginx"])
async def test_500_starts_a_second_cost_three_calls_no_word_and_no_gap(
    way: str, tmp_path: Path
) -> None:
    sdp, came = await offer(), Counter[str]()
    with shipped(way) as house:
        async with callers((*house.at_the_caller, sys.executable), tmp_path) as calls:
            await talk(house, calls, "before the ", words=1)  # what opens once is open
            await calls.wait_for("Said", len(CALLS))
            await talk(house, calls, "", words=WORDS)
            began_s = time.monotonic()
            await asyncio.gather(*(storm(house, n, sdp, came) for n in range(CLIENTS)))
            lasted_s = time.monotonic() - began_s
            over = len(calls.of("Said")) > len(CALLS)
            await calls.wait_for("Said", 2 * len(CALLS))
    said = {name: calls.of("Said")[name] for name in CALLS}
    rate = sum(came.values()) / lasted_s
    print(f"{way}: {lasted_s:.1f} s, {rate:.0f} a second, answered {dict(came)}")
    for name, line in said.items():
        at_s, concealed_ms = line["gap_at_s"] - began_s, line["concealed_ms"]
        print(f"{name}: gap {line['gap_ms']} ms at {at_s:.2f} s, {concealed_ms} ms concealed")
    assert not over, "the calls were over before the storm"
    for line in said.values():
        assert line["words"] == [f"w{number}" for number in range(WORDS)]
        assert line["end"] == "completed"
        assert line["gap_ms"] <= GAP_MS
    assert not calls.of("ConnectionChanged")
    assert set(came) <= {"200", "401", "409", "429", "503", "cut"}, came
    assert came["200"] <= ACCEPTED
    assert rate > RATE / 5, "no storm"
