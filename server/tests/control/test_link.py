"""The control channel's wire towards a peer that reads slowly, or not at all."""

import asyncio
from typing import Any

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.control.link import (
    MAX_DEAF_MS,
    MAX_EVENT_BYTES,
    MAX_STUCK_MS,
    ControlLink,
)


class Wire:
    """An ASGI ``send`` that can be blocked."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        await self.open.wait()
        self.sent.append(message)


@in_virtual_time
async def test_a_write_that_waits_too_long_resets_the_connection(time: VirtualTime) -> None:
    wire, aborted = Wire(), asyncio.Event()
    link = ControlLink(wire, abort=aborted.set, clock=time)
    writing = asyncio.ensure_future(link.write())
    link.send_event(b"x")
    await time.advance(MAX_STUCK_MS - 10)
    assert not aborted.is_set()
    assert not link.overflowing
    await time.advance(520)
    assert aborted.is_set()
    assert link.overflowing
    writing.cancel()
    await asyncio.wait({writing})
    assert link.closed


@in_virtual_time
async def test_a_write_that_comes_through_in_time_resets_nothing(time: VirtualTime) -> None:
    wire, aborted = Wire(), asyncio.Event()
    link = ControlLink(wire, abort=aborted.set, clock=time)
    writing = asyncio.ensure_future(link.write())
    link.send_event(b"x")
    await time.advance(MAX_STUCK_MS - 10)
    wire.open.set()
    await time.advance(MAX_STUCK_MS)
    link.close(1000, "done")
    await asyncio.wait_for(writing, 5)
    assert not aborted.is_set()
    assert [message["type"] for message in wire.sent] == ["websocket.send", "websocket.close"]


async def test_a_peer_that_is_given_up_is_told_and_not_waited_for() -> None:
    wire, aborted = Wire(), asyncio.Event()
    wire.open.set()
    link = ControlLink(wire, abort=aborted.set)
    link.give_up(4000, "gone")
    await asyncio.wait_for(link.write(), 5)
    link.release()
    assert [message["type"] for message in wire.sent] == ["websocket.close"]
    assert aborted.is_set()


async def test_a_link_that_closed_in_order_is_not_reset() -> None:
    wire, aborted = Wire(), asyncio.Event()
    wire.open.set()
    link = ControlLink(wire, abort=aborted.set)
    link.close(1000, "done")
    await asyncio.wait_for(link.write(), 5)
    link.release()
    assert link.closed
    assert not aborted.is_set()


async def test_events_that_pile_up_close_the_link_and_none_is_left_out() -> None:
    wire = Wire()
    link = ControlLink(wire)
    for _ in range(300):
        link.send_event(bytes(50_000))
    assert link.overflowing
    wire.open.set()
    await asyncio.wait_for(link.write(), 5)
    *events, last = wire.sent
    assert len(events) == MAX_EVENT_BYTES // 50_000
    assert (last["type"], last["code"]) == ("websocket.close", 1013)


@in_virtual_time
async def test_a_peer_that_sends_but_answers_no_ping_does_not_read(time: VirtualTime) -> None:
    link = ControlLink(Wire(), clock=time)
    link.pinged(time.now_ms())
    await time.advance(MAX_DEAF_MS - 1000)
    link.pinged(time.now_ms())
    assert not link.overflowing
    await time.advance(1001)
    assert link.overflowing
    link.answered()
    assert not link.overflowing
