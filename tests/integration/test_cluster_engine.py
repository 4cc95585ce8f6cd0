"""The engine stands still for ten seconds under calls, is killed, and comes back empty."""

import asyncio
import re
import signal
import time
from pathlib import Path

import httpx
import pytest

import voxwire
from tests.support.cluster import Call, bot_file, calls, show
from tests.support.engines import MISSING, engine
from tests.support.replicas import KEY, Service, service

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

NUM, QUIET = 10, 3
WINDOW_S = 10.0
BACK_S = 3.0
NOISE_MS = 250.0
"""What a window may have more of silence than another one, on a machine that others use, too."""
SETTINGS = {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_ADMIN_KEY": KEY}


async def stalls(house: Service) -> tuple[int, int]:
    """How often the loops of all processes woke up, and how often more than 20 ms late."""
    woke = late = 0
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as operator:
        for replica in house.replicas:
            url = replica.url.replace("ws://", "http://") + "/metrics"
            text = (await operator.get(url)).raise_for_status().text
            name = "voxwire_event_loop_lag_seconds_"
            count = re.search(rf"^{name}count (\S+)$", text, re.MULTILINE)
            soon = re.search(rf'^{name}bucket{{le="0.02"}} (\S+)$', text, re.MULTILINE)
            assert count and soon
            woke += int(float(count[1]))
            late += int(float(count[1]) - float(soon[1]))
    return woke, late


class Window:
    """What happened to the calls between two moments.

    Attributes:
        gap_ms: The longest silence of a voice that speaks.
        concealed_ms: What clients had to make up.
        late: Share of the loops' turns that were more than 20 ms late.
    """

    def __init__(self, house: Service, speaking: list[Call]) -> None:
        self._house = house
        self._speaking = speaking
        self.gap_ms = self.late = 0.0
        self.concealed_ms = 0

    async def watch(self, name: str, seconds: float) -> "Window":
        """Look for so long."""
        since_s = time.monotonic()
        concealed = sum(call.session.concealed_ms for call in self._speaking)
        woke, late = await stalls(self._house)
        await asyncio.sleep(seconds)  # real time: slow
        woke_then, late_then = await stalls(self._house)
        now_s = time.monotonic()
        gaps = [ms for call in self._speaking for ms in call.ear.between(since_s, now_s)]
        self.gap_ms = max(gaps, default=0.0)
        for call in self._speaking:
            words = [it for it in call.until_s(now_s) if isinstance(it, voxwire.BotWord)]
            before = [it for it in call.until_s(since_s) if isinstance(it, voxwire.BotWord)]
            assert len(words) >= len(before) + seconds, name  # it speaks two or three a second
        self.late = (late_then - late) / max(1, woke_then - woke)
        self.concealed_ms = sum(c.session.concealed_ms for c in self._speaking) - concealed
        show(f"{name}: silences between words and sentences", gaps)
        print(f"  made up {self.concealed_ms} ms, {self.late:.1%} of the loops' turns > 20 ms late")
        return self


async def comes_in(house: Service, user: str) -> float:
    """Have a new call begin, and end; how long that took, seconds."""
    began_s = time.monotonic()
    async with calls(house.door.url, 1, user=user) as [call]:
        assert await call.session.call("count", 1)
        return time.monotonic() - began_s


async def test_calls_do_not_notice_that_the_engine_is_gone(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path, 2, bot=bot_file(tmp_path), **SETTINGS) as house:
            async with calls(house.door.url, NUM) as ours:
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
                speaking = ours[QUIET:]
                await asyncio.gather(*(call.tell_a_story(5) for call in speaking))
                before = await Window(house, speaking).watch("\nbefore", WINDOW_S)
                redis.send(signal.SIGSTOP)
                stopped = await Window(house, speaking).watch("stopped", WINDOW_S)
                redis.kill()
                coming = asyncio.create_task(comes_in(house, "impatient"))
                gone = await Window(house, speaking).watch("killed", 3)
                assert not coming.done()  # a token is never taken on trust
                redis.start()
                back_s = time.monotonic()
                await coming
                back_s = time.monotonic() - back_s
                after = await Window(house, speaking).watch("back, and empty", WINDOW_S / 2)
                print(f"a call that waited began {back_s:.1f} s behind its return")
                for window in (stopped, gone, after):
                    assert window.gap_ms <= before.gap_ms + NOISE_MS
                    assert window.concealed_ms <= before.concealed_ms + NOISE_MS
                for replica in house.replicas:
                    standing = re.findall(r"stands still.*", replica.log.read_text())
                    assert not [it for it in standing if "redis" in it]
                assert not any(call.heard.of(voxwire.ConnectionChanged) for call in ours)
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
