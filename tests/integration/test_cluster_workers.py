"""What several workers cost: their processors, their supervisor, and how sessions are spread."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cluster import Call, bot_file, calls, children, cpu_s, name_of
from tests.support.engines import MISSING
from tests.support.replicas import Replica

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(180),
]

NUM = 20
WINDOW_S = 12.0
SUPERVISOR = 0.02
ONE_MORE = 1.1
"""What a session may cost in one of two workers, against one process."""
NOISE = 1.25
"""The same as it is asserted: other programs are on the machine, too."""


async def used(pids: Callable[[], dict[str, list[int]]], ours: list[Call]) -> dict[str, float]:
    """What processes use of a core while all calls speak."""
    await asyncio.gather(*(call.tell_a_story(8) for call in ours))
    watched, began_s = pids(), time.monotonic()
    before = {name: sum(map(cpu_s, them)) for name, them in watched.items()}
    await asyncio.sleep(WINDOW_S)  # real time: slow
    took_s = time.monotonic() - began_s
    return {
        name: (sum(map(cpu_s, them)) - before[name]) / took_s for name, them in watched.items()
    }


async def ended(server: Replica) -> None:
    """End it as Ctrl-C does."""
    server.send(2)
    try:
        async with asyncio.timeout(30):
            await server.ended()
    finally:
        await server.kill()


async def test_two_workers_cost_what_one_process_does(tmp_path: Path) -> None:
    bot, settings = bot_file(tmp_path), {"VOXWIRE_MAX_LAG_MS": "0"}
    one = Replica(tmp_path / "one", bot, **settings)
    await one.start()
    try:
        async with calls(one.url, NUM) as ours:
            alone = await used(lambda: {"process": [one.pid]}, ours)
    finally:
        await ended(one)
    two = Replica(tmp_path / "two", bot, "--workers", "2", VOXWIRE_LOG_LEVEL="INFO", **settings)
    await two.start()
    try:
        async with asyncio.timeout(60):
            while two.log.read_text().count("a worker takes connections") < 2:
                await asyncio.sleep(0.1)  # real time: poll

        def parts() -> dict[str, list[int]]:
            mine = children(two.pid)
            redis = [pid for pid in mine if "redis" in name_of(pid)]
            workers = [pid for pid in mine if pid not in redis]
            return {"workers": workers, "supervisor": [two.pid], "redis": redis}

        async with calls(two.url, NUM) as ours:
            spread = Counter([(await call.session.call("count", 0))[0] for call in ours])
            shared = await used(parts, ours)
    finally:
        await ended(two)
    ratio = shared["workers"] / alone["process"]
    print(f"\none process: {alone['process'] / NUM:.2%} of a core for each of {NUM} calls")
    print(f"two workers: {shared['workers'] / NUM:.2%}, that is {ratio:.2f} x ({ONE_MORE} wanted)")
    print(f"their supervisor: {shared['supervisor']:.2%}, their Redis: {shared['redis']:.2%}")
    print(f"spread: {sorted(spread.values())}")
    assert max(spread.values()) - min(spread.values()) <= 1
    assert shared["supervisor"] <= SUPERVISOR
    assert ratio <= NOISE
