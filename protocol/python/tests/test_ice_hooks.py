"""What is hooked into aioice's own `connect`: it waits for its outcome, its checks keep apart."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("aiortc")

from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCConfiguration, RTCPeerConnection

from voxwire_protocol.rtc import Here, Peer
from voxwire_protocol.rtc.ice import agents, connect_promptly, use_addresses
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time


@asynccontextmanager
async def agent() -> AsyncIterator[Any]:
    """The agent of a connection that has gathered, and knows whom it talks to."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    use_addresses(connection, ["127.0.0.1"])
    connect_promptly(connection)
    (made,) = agents(connection)
    await made.gather_candidates()
    made.remote_username, made.remote_password = "user", "password" * 3
    try:
        yield made
    finally:
        await made.close()
        await connection.close()


def candidate(port: int) -> Candidate:
    return Candidate.from_sdp(f"{port} 1 udp 2130706431 127.0.0.1 {port} typ host")


async def test_two_peers_connect_without_looking_every_20_ms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def watched(delay: float, *rest: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"] == "aioice.ice":
            slept.append(delay)
        return await sleep(delay, *rest)

    def peer() -> Peer:
        return Peer(
            pull=lambda first, count: None,
            on_audio=lambda pcm, timestamp: None,
            send_rate=16_000,
            receive_rate=16_000,
            here=Here(addresses=("127.0.0.1",)),
        )

    monkeypatch.setattr(asyncio, "sleep", watched)
    left, right = peer(), peer()
    await left.accept(await right.answer(await left.offer()))
    async with asyncio.timeout(10):
        await asyncio.gather(left.connected(), right.connected())
    await asyncio.gather(left.close(), right.close())
    assert all(delay >= 1 for delay in slept)  # consent is asked for every few seconds


@in_virtual_time
async def test_checks_begin_20_ms_apart_until_none_is_left(time: VirtualTime) -> None:
    begun: list[float] = []

    async with agent() as made:

        def begin(pair: Any) -> None:
            pair.state = CandidatePair.State.IN_PROGRESS
            begun.append(time.now_ms())

        made.check_start_task = begin
        for port in (4001, 4002, 4003):
            await made.add_remote_candidate(candidate(port))
        connecting = asyncio.ensure_future(made.connect())
        await time.advance(70)
        await made.add_remote_candidate(candidate(4004))  # one that comes later is not forgotten
        await time.advance(70)
        assert [round(at - begun[0]) for at in begun] == [0, 20, 40, 80]
        await made.close()
        with pytest.raises(ConnectionError):
            await connecting
        await time.advance(1000)
        assert len(begun) == 4


@in_virtual_time
async def test_with_nobody_to_check_it_fails_as_soon_as_nobody_can_come(
    time: VirtualTime,
) -> None:
    async with agent() as made:
        connecting = asyncio.ensure_future(made.connect())
        await time.advance(1000)
        assert not connecting.done()
        await made.add_remote_candidate(None)
        await time.advance(20)
        with pytest.raises(ConnectionError):
            await connecting


@in_virtual_time
async def test_one_that_closes_while_its_outcome_is_on_the_way_asks_for_no_consent() -> None:
    async with agent() as made:
        await made.close()
        await made.query_consent()  # returns
