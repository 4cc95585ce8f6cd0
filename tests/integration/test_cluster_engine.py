"""The engine stands still for ten seconds under calls, is killed, and comes back empty."""

import asyncio
import re
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import voxwire
from tests.support.cluster import Call, bot_file, calls, opens, opens_nothing, show
from tests.support.engines import MISSING, engine
from tests.support.figures import figures
from tests.support.replicas import KEY, Service, service, token

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

NUM, QUIET, ROAMING = 14, 3, 4
"""Calls in all, those that say nothing meanwhile, and those that lose their socket."""
STEADY = 15
"""Words of a story after which it flows: it is behind the server's and the client's first waits."""
BLOCK_MS = 30
"""A speaker gets a block every 20 ms, a little sooner or later."""
WINDOW_S = 10.0
BACK_S = 3.0
CARRIED_S = 2.0
"""Who comes by a wrong door is back so soon."""
SETTINGS = {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_ADMIN_KEY": KEY}
_LAG = "voxwire_event_loop_lag_seconds"


class Counted(NamedTuple):
    """What is counted from the beginning.

    Attributes:
        woke: How often the loops of all processes woke up.
        soon: How often no more than 20 ms late.
        refused: Clients that were turned away.
        concealed_ms: What clients had to make up.
        underruns: How often audio came too late to them.
        stood_ms: For how long they had nothing to play.
    """

    woke: float
    soon: float
    refused: float
    concealed_ms: int
    underruns: int
    stood_ms: float


async def counted(house: Service, speaking: list[Call]) -> Counted:
    """Count, of all processes and of some calls."""
    found = await figures(house.replicas, KEY)
    return Counted(
        found[f"{_LAG}_count"],
        found[f'{_LAG}_bucket{{le="0.02"}}'],
        found["voxwire_refusals_total"],
        sum(call.session.concealed_ms for call in speaking),
        sum(call.underruns for call in speaking),
        sum(call.ear.stood_ms for call in speaking),
    )


class Window:
    """What happened to the calls between two moments.

    Attributes:
        seconds: How long it was.
        gap_ms: The longest silence of a voice that speaks, one that goes on included.
        concealed_ms: What clients had to make up.
        underruns: How often audio came too late to them.
        stood_ms: For how long they had nothing to play.
        late: Turns of the loops that were more than 20 ms late.
        refused: Clients that were turned away.
    """

    def __init__(self, house: Service, speaking: list[Call]) -> None:
        self._house = house
        self._speaking = speaking
        self.seconds = self.gap_ms = self.stood_ms = 0.0
        self.concealed_ms = self.underruns = self.late = self.refused = 0

    async def watch(self, name: str, seconds: float) -> "Window":
        """Look for so long."""
        before, since_s = await counted(self._house, self._speaking), time.monotonic()
        await asyncio.sleep(seconds)  # real time: slow
        now, now_s = await counted(self._house, self._speaking), time.monotonic()
        self.seconds = now_s - since_s
        gaps = [ms for call in self._speaking for ms in call.ear.between(since_s, now_s, BLOCK_MS)]
        self.gap_ms = max([*gaps, *(call.ear.silent_ms for call in self._speaking)])
        for call in self._speaking:
            words = [it for it in call.until_s(now_s) if isinstance(it, voxwire.BotWord)]
            earlier = [it for it in call.until_s(since_s) if isinstance(it, voxwire.BotWord)]
            assert len(words) >= len(earlier) + seconds, name  # it speaks two or three a second
        turns = now.woke - before.woke
        self.late = round(turns - (now.soon - before.soon))
        self.refused = round(now.refused - before.refused)
        self.concealed_ms = now.concealed_ms - before.concealed_ms
        self.underruns = now.underruns - before.underruns
        self.stood_ms = now.stood_ms - before.stood_ms
        show(f"{name}: silences of more than a block", gaps)
        print(f"  made up {self.concealed_ms} ms, {self.underruns} times too late")
        print(f"  nothing to play for {self.stood_ms:.0f} ms")
        print(f"  {self.late} of {turns:.0f} turns > 20 ms late; {self.refused} turned away")
        return self

    def is_as_good_as(self, before: "Window") -> None:
        """Nothing was late, made up or silent that would not have been so before.

        Raises:
            AssertionError: It was.
        """
        assert self.gap_ms <= before.gap_ms + 2 * BLOCK_MS
        assert (self.concealed_ms, self.underruns, self.stood_ms) == (0, 0, 0)
        assert self.late * before.seconds <= before.late * self.seconds


async def owner_of(house: Service, call: Call) -> int:
    """The number of the process that has a call."""
    pid, *_ = await call.session.call("count", 1)
    return [it.pid for it in house.replicas].index(pid)


async def comes_back(call: Call) -> float:
    """Lose the socket of a call, and hear it go on; how long it was away, ms."""
    session_id, cut_s = call.session.id, time.monotonic()
    call.session.simulate.drop_control()
    back_s = await call.connected_s(cut_s)
    await call.speaks_on(back_s, words=4)  # more than could be on their way before
    assert call.session.id == session_id
    assert not call.heard.of(voxwire.EventsSkipped)
    return (back_s - cut_s) * 1000


async def come_by_wrong_doors(house: Service, roaming: list[Call]) -> list[float]:
    """Cut calls, and let them in by a process that has them not; how long each was away, ms."""
    owners = [await owner_of(house, call) for call in roaming]
    assert {*owners} == {0, 1}
    away: list[float] = []
    for owner, wrong in enumerate(reversed(house.replicas)):
        there = [call for call, number in zip(roaming, owners, strict=True) if number == owner]
        house.door.replicas, num = [wrong], len(house.door.went)
        away += await asyncio.gather(*map(comes_back, there))
        assert house.door.went[num:] == [wrong.port] * len(there)  # none was told to come again
    house.door.replicas = list(house.replicas)
    assert [await owner_of(house, call) for call in roaming] == owners
    return away


async def comes_in(house: Service, user: str) -> float:
    """Have a new call begin, and end; how long that took, seconds."""
    began_s = time.monotonic()
    async with calls(house.door.url, 1, user=user) as [call]:
        assert await call.session.call("count", 1)
        return time.monotonic() - began_s


async def test_calls_do_not_notice_that_the_engine_is_gone(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path, 2, bot=bot_file(tmp_path), **SETTINGS) as house:
            spent, url = token("spendthrift"), house.door.url
            await opens(url, spent)
            async with calls(url, NUM) as ours:
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
                roaming, speaking = ours[-ROAMING:], ours[QUIET:-ROAMING]
                await asyncio.gather(*(call.tell_a_story(STEADY) for call in ours[QUIET:]))
                before = await Window(house, speaking).watch("\nbefore", WINDOW_S)
                redis.send(signal.SIGSTOP)
                stopped, away = await asyncio.gather(
                    Window(house, speaking).watch("stopped", WINDOW_S),
                    come_by_wrong_doors(house, roaming),
                )
                show("back by the wrong door while it stands", away)
                redis.kill()
                coming = asyncio.create_task(comes_in(house, "impatient"))
                gone = await Window(house, speaking).watch("killed", 3)
                assert not coming.done()  # a token is never taken on trust
                redis.start()
                back_s = time.monotonic()
                assert await opens_nothing(url, spent)
                await coming
                back_s = time.monotonic() - back_s
                after = await Window(house, speaking).watch("back, and empty", WINDOW_S / 2)
                assert await opens_nothing(url, spent)
                print(f"a call that waited began {back_s:.1f} s behind its return")
                assert stopped.refused == 0
                assert max(away) <= CARRIED_S * 1000
                for window in (stopped, gone, after):
                    window.is_as_good_as(before)
                for replica in house.replicas:
                    standing = re.findall(r"stands still.*", replica.log.read_text())
                    assert not [it for it in standing if "redis" in it]
                undisturbed = [call for call in ours if call not in roaming]
                assert not any(call.heard.of(voxwire.ConnectionChanged) for call in undisturbed)
                assert back_s <= BACK_S
                # what it had forgotten it has again: calls go on in the other process
                owners = [(await call.session.call("count", 1))[0] for call in ours]
                gone_one = house.replicas[0]
                killed_s = time.monotonic()
                await gone_one.kill()
                lost = [it for it, pid in zip(ours, owners, strict=True) if pid == gone_one.pid]
                away = [1000 * (await call.connected_s(killed_s) - killed_s) for call in lost]
                show("and then back behind the death of a process", away)
                assert any(call in lost for call in ours[:QUIET])
                await asyncio.gather(*(call.ask("what is my name", "Alice") for call in ours))
