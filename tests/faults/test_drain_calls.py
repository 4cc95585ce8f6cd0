"""SIGTERM to a server under 20 calls in which the bot speaks, directly and behind shipped proxies.

`make system` runs it: the whole 30 s that calls may go on, and moments at every client.
"""

import asyncio
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.support.callers import Callers, callers
from tests.support.namespaces import why_not
from tests.support.shipped import Shipped, shipped

MISSING = [program for program in ("caddy", "nginx") if shutil.which(program) is None]
REASON = why_not() or (f"{MISSING[0]} is missing (make system installs it)" if MISSING else "")
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(300)]

CALLS = {f"{kind} {number}": kind for kind, many in (("websocket", 16), ("webrtc", 4))
         for number in range(many)}  # fmt: skip
WORDS = 12
"""They last 3.4 s; then the bot is asked for as many again."""
NOTICE_MS = 200
EXIT_S = 35.0
DRAIN_S = 30.0


async def begin(house: Shipped, calls: Callers, names: dict[str, str]) -> None:
    """Have all of them talk."""
    for name, transport in names.items():
        order = {"url": house.url, "token": house.token(name), "transport": transport}
        calls.call(name, **order, words=WORDS)
    await calls.wait_for("Speaking", len(names))


async def until_exit(house: Shipped) -> float:
    """Wait until the server has ended, in order; when that was."""
    async with asyncio.timeout(60):
        while house.server.poll() is None:
            await asyncio.sleep(0.01)
    ended_s = time.monotonic()
    assert house.server.returncode == 0, house.log("server.log")
    return ended_s


@pytest.mark.timing(reason="a notice of 200 ms and an end within 35 s are what is promised")
@pytest.mark.parametrize("way", ["direct", "caddy", "nginx"])
async def test_twenty_calls_are_told_within_200_ms_and_none_is_dropped_before_its_time(
    way: str, tmp_path: Path
) -> None:
    with shipped(way) as house:
        async with callers((*house.at_the_caller, sys.executable), tmp_path) as calls:
            await begin(house, calls, CALLS)
            told_s = time.monotonic()
            house.terminate()
            while (status := house.ready_status()) == 200:
                await asyncio.sleep(0.005)
            not_ready_ms = (time.monotonic() - told_s) * 1000
            assert status == 503
            await calls.wait_for("GoAway", len(CALLS))
            exit_s = await until_exit(house) - told_s
            await calls.wait_for("SessionEnded", len(CALLS))
    notices = {name: line["at_s"] - told_s for name, line in calls.of("GoAway").items()}
    ends = calls.of("SessionEnded")
    ended = {name: line["at_s"] - told_s for name, line in ends.items()}
    notice_ms = max(notices.values()) * 1000
    print(
        f"{way}: 503 after {not_ready_ms:.0f} ms, GoAway after {notice_ms:.0f} ms at the last of"
        f" {len(notices)}, ended after {min(ended.values()):.2f} to {max(ended.values()):.2f} s,"
        f" exit after {exit_s:.2f} s"
    )
    assert {line["reason"] for line in ends.values()} == {"SERVER"}, ends
    assert not calls.of("ConnectionChanged"), calls.of("ConnectionChanged")
    assert min(ended.values()) >= DRAIN_S - 0.05
    assert all(line["sound_ms"] > DRAIN_S * 1000 / 2 for line in ends.values()), ends
    assert not_ready_ms <= NOTICE_MS
    assert notice_ms <= NOTICE_MS
    assert exit_s <= EXIT_S
    left = [line["time_left_ms"] for line in calls.of("GoAway").values()]
    assert all(DRAIN_S * 1000 - NOTICE_MS <= ms <= DRAIN_S * 1000 for ms in left), left
