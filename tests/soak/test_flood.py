"""Floods of a minute, measured from outside: memory, and how long a neighbour waits."""

import asyncio
import statistics
import time

import pytest

from tests.integration.test_leaks import Served, rss_kb, says_goodbye, serving
from tests.support import flooding
from tests.support.flooding import envelope, frame
from voxwire_protocol import wire

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

SECONDS = 60.0
WARM_UP_SECONDS = 10.0
WARM_UP_SESSIONS = 12
RISE_KB = 2048
LAG_P99_MS = 50.0

PING = frame(envelope(ping=wire.Ping(number=1)))
AUDIO = frame(envelope(audio=wire.AudioChunk(path_id=1, data=bytes(640))))
PONG = frame(envelope(pong=wire.Pong(number=1)))  # as of somebody who reads
FLOODS = {
    "pings": (PONG + PING * 99) * 200,
    "garbage": (PONG + frame(b"\xff" * 8)) * 10_000,
    "WebSocket pings": (PONG + frame(b"", flooding.PING) * 99) * 400,
    "text frames": (PONG + frame(b"x", flooding.TEXT)) * 10_000,
    "audio": (PONG + AUDIO * 19) * 100,
    "large frames": (PONG + frame(bytes(65_000))) * 10,
}


async def lags(served: Served, seconds: float) -> list[float]:
    """Round trips of a neighbour's pings, milliseconds: the loop's lag and a little more."""
    from tests.integration.test_races import peer

    found: list[float] = []
    async with peer(served) as client:  # type: ignore[arg-type]
        await client.open()
        deadline = time.monotonic() + seconds
        number = 10_000
        while time.monotonic() < deadline:
            number += 1
            began = time.perf_counter()
            await client.send(ping=wire.Ping(number=number))
            while (await client.next("pong")).number != number:
                pass
            found.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.04)
    return found


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_costs_no_memory_and_holds_up_nobody(kind: str) -> None:
    async with serving() as served:
        blob = FLOODS[kind]
        quiet = await lags(served, 5)
        for _ in range(WARM_UP_SESSIONS):  # the first sessions of a process cost memory anyway
            await says_goodbye(served.url, "websocket")
        await flooding.flood(served.port, blob, seconds=WARM_UP_SECONDS)
        before, highest = rss_kb(served.pid), 0
        pouring = asyncio.ensure_future(flooding.flood(served.port, blob, seconds=SECONDS))
        measuring = asyncio.ensure_future(lags(served, SECONDS - 1))
        while not pouring.done():
            highest = max(highest, rss_kb(served.pid))
            await asyncio.sleep(0.1)
        flooded, found = await pouring, await measuring
        p99 = statistics.quantiles(found, n=100)[98]
        print(
            f"\n{kind}: {flooded.sent_bytes / 1e6:.1f} MB sent, {flooded.closed} times closed, "
            f"RSS {before} -> {highest} KiB at most, "
            f"lag p50 {statistics.median(found):.1f} p99 {p99:.1f} max {max(found):.1f} ms "
            f"(quiet p50 {statistics.median(quiet):.1f} max {max(quiet):.1f} ms) "
            f"of {len(found)} pings"
        )
        assert highest - before <= RISE_KB
        assert p99 <= LAG_P99_MS
