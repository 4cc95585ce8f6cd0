"""Daily's SDK as it is, as far as it goes without a room; the room in memory does the same.

Daily's servers cannot be reached from here and have no stand-in: what needs a room is printed as
unverified, and is run by who has a key (`test_daily_live.py`).
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from tests.support.fake_room import FakeDaily
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_protocol.daily import DailyCall, Room
from voxwire_protocol.errors import ErrorCode, VoxwireError

pytest.importorskip("daily")

RATE = 24_000
NOWHERE = "https://voxwire-nowhere.invalid/room-canary"
TOKEN = "token-canary"
BLOCK = bytes(RATE // 50 * 2)

UNVERIFIED = (
    "join of a room that is there; a wrong token's error",
    "on_participant_joined for who was there before, and for who comes",
    "set_audio_renderer: pieces of 20 ms, silence where nothing comes",
    "that written sound arrives, contiguous, silence where nothing is written",
    "on_participant_left, and call state 'left' when the room ends",
    "how soon on_participant_left comes when a network has died: until then it is talked to",
    "app-messages to one participant, and from one",
    "networkRoundTripTime in seconds, in on_network_stats_updated",
    "leave while joined: its completion",
)
"""What the SDK does only in a room, and we rely on."""


def real() -> Room:
    return DailyCall(send_rate=RATE, receive_rate=16_000, user_name="bot", join_ms=1500)


def fake() -> Room:
    daily = FakeDaily(SYSTEM_CLOCK)
    daily.unreachable, daily.join_ms = True, 1500
    return daily.make(send_rate=RATE, receive_rate=16_000, user_name="bot")


BOTH = pytest.mark.parametrize("make", [real, fake])


async def written(room: Room, blocks: list[bytes]) -> list[float]:
    """When each has left, ms since they were written, all at once."""
    loop, began, times = asyncio.get_running_loop(), time.monotonic(), list[float]()
    done = loop.create_future()

    def left() -> None:
        times.append((time.monotonic() - began) * 1000)
        if len(times) == len(blocks):
            done.set_result(None)

    for block in blocks:
        room.write(block, left)
    await asyncio.wait_for(done, 5)
    return times


def print_unverified() -> None:
    for one in UNVERIFIED:
        print(f"unverified: {one}")


@pytest.mark.timing(reason="Daily's SDK paces by the machine's clock")
@BOTH
async def test_written_blocks_leave_every_20_ms_although_nobody_is_there(
    make: Callable[[], Room],
) -> None:
    print_unverified()
    room = make()
    times = await written(room, [BLOCK] * 20)
    gap_ms = median(b - a for a, b in pairwise(times))
    print(f"first after {times[0]:.0f} ms, then every {gap_ms:.0f} ms, last {times[-1]:.0f} ms")
    assert 15 <= gap_ms <= 25
    assert times[0] >= 15
    assert 390 <= times[-1] <= 700  # the SDK's threads begin with the first
    [again] = await written(room, [BLOCK])
    assert 15 <= again <= 100
    await room.leave()


@pytest.mark.timing(reason="Daily's SDK paces by the machine's clock")
@BOTH
async def test_two_blocks_inside_are_enough_for_sound_without_a_gap(
    make: Callable[[], Room],
) -> None:
    """The next is written when one has left: 50 blocks take a second, as 50 at once do."""
    room, loop = make(), asyncio.get_running_loop()
    await written(room, [BLOCK] * 2)
    began, left, done = time.monotonic(), 0, loop.create_future()

    def wrote() -> None:
        nonlocal left
        left += 1
        if left <= 48:
            room.write(BLOCK, wrote)
        elif left == 50:
            done.set_result(None)

    room.write(BLOCK, wrote)
    room.write(BLOCK, wrote)
    await asyncio.wait_for(done, 10)
    took_ms = (time.monotonic() - began) * 1000
    print(f"50 blocks took {took_ms:.0f} ms")
    assert 990 <= took_ms <= 1250
    await room.leave()


@BOTH
async def test_to_join_nowhere_fails_within_our_deadline(make: Callable[[], Room]) -> None:
    room = make()
    async with asyncio.timeout(12):  # the SDK itself takes 18 s
        with pytest.raises(VoxwireError) as error:
            await room.join(NOWHERE, TOKEN)
        assert error.value.code in (ErrorCode.TIMEOUT, ErrorCode.UNREACHABLE)
        assert "canary" not in f"{error.value!r}"
        await room.leave()


@BOTH
async def test_who_was_nowhere_leaves_at_once_and_twice_and_is_called_no_more(
    make: Callable[[], Room],
) -> None:
    room, called = make(), list[str]()
    room.on_left(called.append)
    assert room.stats().rtt_ms is None
    room.say({"label": "rtvi-ai"})  # nobody is there
    room.write(BLOCK, lambda: called.append("left"))
    await room.leave()
    await room.leave()
    room.write(BLOCK, lambda: called.append("left"))
    await asyncio.sleep(0.2)  # real time: silence
    assert called == []


async def test_a_url_that_is_none_is_unreachable() -> None:
    room = real()
    with pytest.raises(VoxwireError) as error:
        await room.join("no url", TOKEN)
    assert error.value.code == ErrorCode.UNREACHABLE
    await room.leave()


PROGRAM = """
import asyncio, logging, os, sys
from voxwire_protocol.daily import DailyCall
logging.basicConfig(level=logging.DEBUG)
async def main():
    for url in ("url-canary", "https://room-canary.invalid/room-canary"):
        call = DailyCall(send_rate=24000, receive_rate=16000, user_name="bot", join_ms=500)
        try:
            await call.join(url, "token-canary")
        except Exception as error:
            print(repr(error))
        call.say({"text": "message-canary"})
        await call.leave()
    assert "RUST_LOG" not in os.environ
asyncio.run(main())
print("over")
"""


def test_nothing_of_url_token_or_message_is_logged_and_the_program_ends(tmp_path: Path) -> None:
    """The SDK writes to stderr by itself; and its threads hang for 18 s behind a failed join."""
    environment = {k: v for k, v in os.environ.items() if k != "RUST_LOG"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "over" in done.stdout
    assert not re.search("canary", done.stdout + done.stderr)
