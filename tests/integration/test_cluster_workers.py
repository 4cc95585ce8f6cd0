"""What several workers cost: their processors, their supervisor, and how sessions are spread."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cluster import bot_file, calls, children, cpu_s, name_of
from tests.support.engines import MISSING
from tests.support.replicas import Replica

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(180),
]

NUM = 16
WINDOW_S = 12.0
SUPERVISOR = 0.02
ONE_MORE = 1.1
"""What a session may cost in one of two workers, against one process."""


async def used(parts: dict[str, list[int]]) -> dict[str, float]:
    """What processes use of a core, in the same seconds."""
    before, began_s = (
        {name: sum(map(cpu_s, pids)) for name, pids in parts.items()},
        time.monotonic(),
    )
    await asyncio.sleep(WINDOW_S)  # real time: slow
    took_s = time.monotonic() - began_s
    return {name: (sum(map(cpu_s, pids)) - before[name]) / took_s for name, pids in parts.items()}


def parts_of(server: Replica) -> dict[str, list[int]]:
    """The processes of a server with workers."""
    mine = children(server.pid)
    redis = [pid for pid in mine if "redis" in name_of(pid)]
    workers = [pid for pid in mine if pid not in redis]
    return {"workers": workers, "supervisor": [server.pid], "redis": redis}


@contextlib.asynccontextmanager
async def serving(server: Replica) -> AsyncIterator[None]:
    """Run it until the block ends."""
    try:
        await server.start()
        yield
        server.send(signal.SIGINT)
        async with asyncio.timeout(30):
            await server.ended()
    finally:
        await server.kill()


async def test_two_workers_cost_what_one_process_does(tmp_path: Path) -> None:
    bot, settings = bot_file(tmp_path), {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_LOG_LEVEL": "INFO"}
    one = Replica(tmp_path / "one", bot, **settings)
    two = Replica(tmp_path / "two", bot, "--workers", "2", **settings)
    async with serving(one), serving(two):
        async with asyncio.timeout(60):
            while two.log.read_text().count("a worker takes connections") < 2:
                await asyncio.sleep(0.1)  # real time: poll
        async with calls(one.url, NUM) as alone, calls(two.url, NUM) as shared:
            spread = Counter([(await call.session.call("count", 0))[0] for call in shared])
            await asyncio.gather(*(call.tell_a_story(8) for call in [*alone, *shared]))
            cost = await used({"process": [one.pid], **parts_of(two)})
    ratio = cost["workers"] / cost["process"]
    print(f"\none process: {cost['process'] / NUM:.2%} of a core for each of {NUM} calls")
    print(f"two workers: {cost['workers'] / NUM:.2%}, that is {ratio:.2f} x ({ONE_MORE} wanted)")
    print(f"derived, not run: on two cores of their own they carry {2 / ratio:.2f} x the calls")
    print(f"their supervisor: {cost['supervisor']:.2%}, their Redis: {cost['redis']:.2%}")
    print(f"spread: {sorted(spread.values())}")
    assert max(spread.values()) - min(spread.values()) <= 1
    assert cost["supervisor"] <= SUPERVISOR
    assert ratio <= ONE_MORE
