"""A socket that waits for a place: what is kept of what it says, and when it is given up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.routes.waiting_socket import MAX_KEPT_BYTES, WaitingSocket
from voxwire_server.session.waiting import Place


async def silence() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def nobody(_: dict[str, Any]) -> None:
    pass


def waiting(
    time: VirtualTime,
    receive: Callable[[], Awaitable[dict[str, Any]]],
    control: SocketControl | None = None,
) -> WaitingSocket:
    socket = WaitingSocket(receive, nobody, control or SocketControl(), clock=time)
    socket.tell(Place(1, 0))
    return socket


@pytest.mark.parametrize(("size", "most"), [(0, 512), (768, 128), (MAX_KEPT_BYTES, 0)])
@in_virtual_time
async def test_a_flood_is_bounded_with_its_messages_counted(
    time: VirtualTime, size: int, most: int
) -> None:
    read = 0

    async def flood() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "websocket.receive", "bytes": bytes(size)}

    socket = waiting(time, flood)
    answer = await socket.attend(asyncio.Event().wait())
    assert answer is None
    assert socket.overfull
    assert read == most + 1


@in_virtual_time
async def test_a_flood_leaves_the_loop_its_turns(time: VirtualTime) -> None:
    read = 0

    async def flood() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "websocket.receive", "bytes": b""}

    async def look() -> int:
        while not read:
            await asyncio.sleep(0)
        return read

    assert await waiting(time, flood).attend(look()) == 64


@in_virtual_time
async def test_what_was_said_in_time_is_read_first(time: VirtualTime) -> None:
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for data in (b"1", b"2"):
        said.put_nowait({"type": "websocket.receive", "bytes": data})
    socket = waiting(time, said.get)
    assert await socket.attend(asyncio.sleep(3, "welcome")) == "welcome"
    said.put_nowait({"type": "websocket.receive", "bytes": b"3"})
    assert [(await socket.receive())["bytes"] for _ in range(3)] == [b"1", b"2", b"3"]
    assert not socket.overfull


@pytest.mark.parametrize("answered", [0, 1, 3])
@in_virtual_time
async def test_who_answers_no_ping_for_twelve_seconds_is_gone(
    time: VirtualTime, answered: int
) -> None:
    pings: list[float] = []
    aborted: list[float] = []

    def ping(ponged: Callable[[], None]) -> None:
        pings.append(time.now_ms())
        if len(pings) <= answered:
            asyncio.get_running_loop().call_later(0.2, ponged)  # the way there and back

    control = SocketControl(abort=lambda: aborted.append(time.now_ms()), ping=ping)
    began_ms = time.now_ms()
    answer = await waiting(time, silence, control).attend(asyncio.Event().wait())
    assert answer is None
    heard_ms = (answered - 1) * 5000 + 200 if answered else 0
    assert aborted == [pytest.approx(began_ms + heard_ms + 12_000, abs=1)]
