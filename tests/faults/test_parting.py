"""Sessions without a client, a server that is told to stop, a client that is cancelled."""

import asyncio
import os
import sys
import time

import pytest

import voxwire
from tests.support.doomed import doomed
from tests.support.waiting import LONG
from tests.support.watched import cpu_s, watched

if sys.platform != "linux":
    pytest.skip("counts in /proc", allow_module_level=True)

SETTLE_S = 60.0
SETTINGS = {"max_pending_per_address": 256, "log_level": "ERROR"}


async def test_sessions_without_a_client_hold_little_and_end_with_their_grace() -> None:
    number, grace_ms = 20, 8000
    async with watched(grace_ms=grace_ms, **SETTINGS) as server, doomed() as clients:
        # the first sessions open what a process opens once
        clients.kill(await clients.hold(server.url, [("websocket", "speaking")] * 8))
        await server.sessions(0)
        before = await server.settled()
        plan = [("websocket", what) for what in ("speaking", "idle")] * (number // 2)
        pid = await clients.hold(server.url, plan)
        clients.kill(pid)
        await asyncio.sleep(2.3)  # real time: moment: the bot's voice was cut by then
        parked, began, used = await server.count(), time.monotonic(), cpu_s(server.pid)
        await asyncio.sleep(1.5)  # real time: silence: nothing works for them
        share = (cpu_s(server.pid) - used) / (time.monotonic() - began)
        print(f"parked {parked}, {share:.1%} of a processor for {number} sessions")
        assert parked.sessions == number
        assert parked.descriptors <= before.descriptors
        assert parked.threads <= before.threads
        assert share < 0.25  # real time: processor
        await server.sessions(0)
        after = await server.settled(within=before, timeout_s=SETTLE_S)
        assert not after.above(before), (before, after)


async def test_a_server_that_is_told_to_stop_says_so_to_everybody_and_is_gone() -> None:
    async def talk(url: str, carrier: str, talking: asyncio.Semaphore) -> list[voxwire.Event]:
        said: list[voxwire.Event] = []
        async with voxwire.connect(url, transport=carrier, timeouts=LONG) as session:
            await session.send_text("say 12")
            async for event in session:
                said.append(event)
                if isinstance(event, voxwire.BotWord):
                    talking.release()
        return said

    async with watched(**SETTINGS) as server, doomed() as clients, asyncio.timeout(200):
        carriers = ["websocket", "webrtc"] * 5
        pid = await clients.hold(server.url, [(carrier, "speaking") for carrier in carriers])
        clients.kill(pid)
        words = [asyncio.Semaphore(0) for _ in carriers]
        talks = [
            asyncio.ensure_future(talk(server.url, carrier, spoke))
            for carrier, spoke in zip(carriers, words, strict=True)
        ]
        for spoke in words:
            await spoke.acquire()
        assert (await server.count()).sessions == 20
        assert await server.terminate() == 0
        for events in await asyncio.gather(*talks):
            last = events[-1]
            assert isinstance(last, voxwire.SessionEnded), last
            assert last.reason == voxwire.EndReason.SERVER


async def test_a_storm_of_cancellations_leaves_nothing_in_the_client() -> None:
    async def cancelled(after_s: float) -> None:
        connecting = voxwire.connect(server.url, transport="webrtc", timeouts=LONG)

        async def talk() -> None:
            async with connecting:
                await asyncio.Event().wait()

        task = asyncio.ensure_future(talk())
        await asyncio.sleep(after_s)  # real time: moment
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.005)

    async with watched(grace_ms=500, **SETTINGS) as server, asyncio.timeout(200):
        await cancelled(0.5)
        await asyncio.sleep(1)  # real time: silence: what opens once is open
        before, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        for number in range(24):
            await cancelled(0.005 + number * 0.01)
        deadline = time.monotonic() + SETTLE_S
        while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert len(os.listdir("/proc/self/fd")) <= before
        while len(asyncio.all_tasks()) > tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) <= tasks, asyncio.all_tasks()
