"""What is hooked into aioice's own `connect`: it waits for its outcome, its checks keep apart."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
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


def audio_peer(here: Here) -> Peer:
    return Peer(
        pull=lambda first, count: None,
        on_audio=lambda pcm, timestamp: None,
        send_rate=16_000,
        receive_rate=16_000,
        here=here,
    )


async def test_two_peers_connect_without_looking_every_20_ms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def watched(delay: float, *rest: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"] == "aioice.ice":
            slept.append(delay)
        return await sleep(delay, *rest)

    monkeypatch.setattr(asyncio, "sleep", watched)
    here = Here(addresses=("127.0.0.1",))
    left, right = audio_peer(here), audio_peer(here)
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


def open_sockets() -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one of this very look
            count += str(link.readlink()).startswith("socket:")
    return count


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts in /proc")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_answer_cancelled_at_any_step_leaves_no_socket(loop: str) -> None:
    """At each step of the loop once, with two addresses, between which aioice gathers."""
    here = Here(addresses=("127.0.0.1", "127.0.0.2"))

    async def settled(expected: int) -> int:
        deadline = monotonic() + 2
        while open_sockets() != expected and monotonic() < deadline:
            await asyncio.sleep(0.001)  # real time: uvloop looks addresses up in a thread
        return open_sockets()

    async def sockets_left() -> list[int]:
        caller = audio_peer(here)
        offer = await caller.offer()
        before, left, answered = open_sockets(), list[int](), False
        while not answered:
            answerer = audio_peer(here)
            answering = asyncio.ensure_future(answerer.answer(offer))
            for _ in left:
                await asyncio.sleep(0)
            answered = answering.done()
            answering.cancel()
            await asyncio.wait({answering})
            await answerer.close()
            left.append(await settled(before) - before)
        await caller.close()
        return left

    new_loop = asyncio.SelectorEventLoop
    if loop == "uvloop":
        new_loop = pytest.importorskip("uvloop").new_event_loop
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            left = runner.run(sockets_left())
    finally:
        gc.enable()
    assert len(left) > 5
    assert not any(left), left
