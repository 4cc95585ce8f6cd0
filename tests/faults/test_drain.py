"""A server that is told to leave lets its sessions end by themselves, for so long and no longer."""

import asyncio
import signal
import time

import httpx
import pytest

import voxwire
from tests.support.waiting import LONG
from tests.support.watched import Watched, watched

GUARD_S = 120


def tell(server: Watched) -> None:
    """SIGTERM."""
    server.process.send_signal(signal.SIGTERM)


async def until_leaving(server: Watched) -> None:
    """Wait until it is not ready any more; it answers all the time."""
    async with httpx.AsyncClient() as client:
        while (await client.get(f"http://127.0.0.1:{server.port}/readyz")).status_code != 503:
            await asyncio.sleep(0.02)


async def test_sessions_go_on_and_come_back_none_is_begun_and_the_last_one_ends_it() -> None:
    async with watched(drain_ms=60_000) as server, asyncio.timeout(GUARD_S):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            tell(server)
            await until_leaving(server)
            with pytest.raises(voxwire.SessionError) as refused:
                async with voxwire.connect(
                    server.url, transport="websocket", timeouts=voxwire.Timeouts(connect_ms=5000)
                ):
                    pass
            assert refused.value.code == voxwire.ErrorCode.GOING_AWAY
            assert refused.value.retryable
            session.simulate.drop_control()
            while (await session.wait_for(voxwire.ConnectionChanged)).state != "connected":
                pass
            await session.send_text("say 3")
            assert (await session.wait_for(voxwire.UtteranceEnded)).end == "completed"
        assert await server.process.wait() == 0


async def test_clients_are_told_how_long_and_who_stays_is_ended_with_a_reason() -> None:
    async with watched(drain_ms=1500) as server, asyncio.timeout(GUARD_S):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            began = time.monotonic()
            tell(server)
            ended = await session.wait_for(voxwire.SessionEnded)
            assert time.monotonic() - began >= 1.5  # real time: order
        assert ended.reason == voxwire.EndReason.SERVER
        assert await server.process.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(second: signal.Signals) -> None:
    async with watched(drain_ms=3_600_000) as server, asyncio.timeout(GUARD_S):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            tell(server)
            await until_leaving(server)
            server.process.send_signal(second)
            assert (await session.wait_for(voxwire.SessionEnded)).reason == voxwire.EndReason.SERVER
        assert await server.process.wait() == 0


async def test_ctrl_c_does_not_wait_for_sessions() -> None:
    async with watched(drain_ms=3_600_000) as server, asyncio.timeout(GUARD_S):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            server.process.send_signal(signal.SIGINT)
            assert (await session.wait_for(voxwire.SessionEnded)).reason == voxwire.EndReason.SERVER
        assert await server.process.wait() == 0
