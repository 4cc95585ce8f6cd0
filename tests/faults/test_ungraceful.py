"""However a session ends, nothing of it is left: counted in ``/proc``, in the loop, in the heap.

Memory is what is allocated and not freed: the server runs with ``PYTHONMALLOC=malloc``, so that
glibc's ``mallinfo2`` sees all of it, after a collection. It is taken after every batch, and the
slope is Theil and Sen's (the median of all pairs), which one late cache does not move. Resident
memory goes up and down by megabytes with what was alive at once, so its slope is printed and is
judged by the long form alone.
"""

import asyncio
import itertools
import statistics
import sys

import pytest

from tests.support.doomed import doomed
from tests.support.ungraceful import end_batch
from tests.support.watched import Count, Watched, rss_kb, watched

if sys.platform != "linux":
    pytest.skip("counts in /proc and in glibc", allow_module_level=True)

GRACE_MS = 2000
EACH = 5
"""Sessions of one batch that end in the same way."""
WAYS = 8
MAX_KB = 5.0
SETTLE_S = 60.0
SETTINGS = {"max_pending_per_address": 256, "log_level": "ERROR"}


def slope(points: list[tuple[int, float]]) -> float:
    """Theil and Sen: the median of the slopes of all pairs."""
    pairs = itertools.combinations(points, 2)
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs)


async def end_sessions(server: Watched, batches: int) -> tuple[Count, Count, float, float]:
    """End them batch by batch; what was held before and after, and KiB a session: heap, RSS."""
    done = 0
    heap: list[tuple[int, float]] = []
    resident: list[tuple[int, float]] = []

    async def note() -> None:
        heap.append((done, (await server.ask("memory"))["used_bytes"] / 1024))
        resident.append((done, rss_kb(server.pid)))

    async with doomed() as clients:
        for _ in range(2):
            await end_batch(server.url, clients, 2)
        clients.kill_all()
        before = after = await server.settled()
        await note()
        for _ in range(batches):
            done += await end_batch(server.url, clients, EACH)
            # the frozen clients stay frozen: nothing of theirs may help
            after = await server.settled(within=before, timeout_s=SETTLE_S)
            await note()
            clients.kill_all()
    print(f"heap KiB {[round(kb) for _, kb in heap]}, RSS KiB {[kb for _, kb in resident]}")
    return before, after, slope(heap), slope(resident)


async def run(batches: int, timeout_s: float) -> float:
    """End sessions and judge what is left; returns the slope of RSS, KiB a session."""
    environment = {"PYTHONMALLOC": "malloc"}
    server_of = watched(environment=environment, grace_ms=GRACE_MS, **SETTINGS)
    async with server_of as server, asyncio.timeout(timeout_s):
        before, after, heap_kb, resident_kb = await end_sessions(server, batches)
        print(f"before {before}\nafter  {after}")
        print(f"{batches * EACH * WAYS} sessions: {heap_kb:+.2f} KiB each, RSS {resident_kb:+.1f}")
        assert not after.above(before), (before, after, (await server.ask("count"))["names"])
        assert after.sessions == 0
        assert heap_kb < MAX_KB
        return resident_kb


async def test_two_hundred_sessions_ended_in_eight_ways_leave_nothing() -> None:
    await run(200 // (EACH * WAYS), timeout_s=220)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_thousand_sessions_ended_in_eight_ways_leave_nothing() -> None:
    resident_kb = await run(1000 // (EACH * WAYS), timeout_s=800)
    assert resident_kb < MAX_KB
