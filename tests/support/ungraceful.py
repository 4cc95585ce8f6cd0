"""Eight ways to end a session without saying so, over both carriers."""

import asyncio
import contextlib
import itertools
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import websockets

import voxwire
from tests.support.doomed import Doomed, hang
from tests.support.waiting import LONG
from voxwire_protocol import wire

__all__ = ["CARRIERS", "WAYS", "Way", "end_batch"]

CARRIERS = ("websocket", "webrtc")
_RESET = struct.pack("ii", 1, 0)
_MOMENTS = itertools.cycle((0.002, 0.03, 0.08, 0.15, 0.3, 0.6))
_PLACES = itertools.count()

Way = Callable[[str, str], Awaitable[None]]


def reset(transport: Any) -> None:
    """TCP reset: what was on the way is lost, either way."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


async def vanish(session: voxwire.Session) -> None:
    """Reset the socket of a session and let go of everything: no Bye, no close frame."""
    runtime: Any = session._runtime
    runtime.inbox.leaving = True
    runtime._control.finish()
    if runtime._control._socket is not None:
        reset(runtime._control._socket._websocket.transport)
    await runtime.stop()


@contextlib.asynccontextmanager
async def raw(url: str) -> Any:
    """A socket that was upgraded."""
    socket = await websockets.connect(
        f"{url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        compression=None,
        proxy=None,
        open_timeout=30,
        close_timeout=5,
    )
    try:
        yield socket
    finally:
        reset(socket.transport)


def hello() -> bytes:
    """A Hello of a client that would come back."""
    greeting = wire.Hello(
        protocol_version=1,
        attach_nonce=os.urandom(16),
        features=[wire.Feature.FEATURE_RESUME, wire.Feature.FEATURE_SEQUENCE],
    )
    return wire.Envelope(hello=greeting).SerializeToString()


# An offer whose owner never comes: fingerprint and credentials belong to nobody.
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic:WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=sendrecv",
        "a=mid:0",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "",
    ]
)


async def is_reset(url: str, carrier: str) -> None:
    """RST while the bot speaks."""
    connection = voxwire.connect(url, transport=carrier, timeouts=LONG)
    async with connection as session:
        await session.send_text("say 12")
        await session.wait_for(voxwire.BotWord, timeout_ms=60_000)
        await vanish(session)


async def leaves_in_mid_offer(url: str, carrier: str) -> None:
    """Gone with a path half open: before the answer, or after it."""
    webrtc = carrier == "webrtc"
    which = wire.Carrier.CARRIER_WEBRTC if webrtc else wire.Carrier.CARRIER_WEBSOCKET
    async with raw(url) as sock:
        await sock.send(hello())
        await sock.recv()
        opening = wire.PathOpen(path_id=1, carrier=which, sdp_offer=OFFER if webrtc else "")
        await sock.send(wire.Envelope(seq=1, path_open=opening).SerializeToString())
        if next(_PLACES) % 2:
            await sock.recv()
        await asyncio.sleep(next(_MOMENTS) / 2)  # real time: moment


async def leaves_in_mid_handshake(url: str, carrier: str) -> None:
    """Gone inside the upgrade, before Hello, or before Welcome came."""
    place = next(_PLACES) % 3
    if place == 0:
        host, _, port = url.removeprefix("ws://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: webso")
        await asyncio.sleep(0.02)  # real time: moment
        reset(writer.transport)
        return
    async with raw(url) as sock:
        if place == 2:
            await sock.send(hello())
        else:
            await asyncio.sleep(0.02)  # real time: moment


async def leaves_in_mid_tool(url: str, carrier: str) -> None:
    """Gone while a tool runs, in the client or in the server."""
    name = ("hang", "think")[next(_PLACES) % 2]
    connection = voxwire.connect(
        url,
        transport=carrier,
        tools=[voxwire.tool(hang)],
        timeouts=voxwire.Timeouts(connect_ms=30_000),
    )
    async with connection as session:
        await session.send_text(f"call {name} {{}}")
        await session.wait_for(voxwire.ToolCallStarted, timeout_ms=60_000)
        await vanish(session)


async def closes_twice(url: str, carrier: str) -> None:
    """Closed from two places at once, then by the block."""
    connection = voxwire.connect(url, transport=carrier, timeouts=LONG)
    async with connection as session:
        await session.send_text("say 12")
        await asyncio.gather(session.close("a"), session.close("b"))
        await session.close("c")


async def is_cancelled_again_and_again(url: str, carrier: str) -> None:
    """Cancelled every few milliseconds from somewhere in ``connect()`` until nothing runs."""

    async def talk() -> None:
        async with voxwire.connect(url, transport=carrier, timeouts=LONG) as session:
            await session.send_text("say 12")
            await asyncio.Event().wait()

    task = asyncio.ensure_future(talk())
    await asyncio.sleep(next(_MOMENTS))  # real time: moment
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.005)


WAYS: dict[str, Way] = {
    "reset": is_reset,
    "mid-offer": leaves_in_mid_offer,
    "mid-handshake": leaves_in_mid_handshake,
    "mid-tool": leaves_in_mid_tool,
    "double close": closes_twice,
    "cancel storm": is_cancelled_again_and_again,
}
"""What a client does to itself; SIGKILL and blackout are done to it."""


async def end_batch(url: str, clients: Doomed, each: int) -> int:
    """End ``each`` sessions in every way, half of them over each carrier; how many that were.

    A blackout's sessions still wait for the dead peer when this returns.
    """
    carriers = [CARRIERS[n % 2] for n in range(each)]

    async def killed() -> None:
        at = ["speaking", "tool", "idle"]
        plan = [(carrier, at[n % 3]) for n, carrier in enumerate(carriers)]
        half = len(plan) // 2
        clients.kill(await clients.hold(url, plan[half:]))
        shaking = [(carrier, "connecting") for carrier, _ in plan[:half]]
        if shaking:
            clients.kill(await clients.hold(url, shaking))

    async def blacked_out() -> None:
        plan = [(carrier, "speaking") for carrier in carriers]
        clients.freeze(await clients.hold(url, plan))

    runs = [blacked_out(), killed()]
    runs += [way(url, carrier) for way in WAYS.values() for carrier in carriers]
    results = await asyncio.gather(*runs, return_exceptions=True)
    failures = [repr(result) for result in results if isinstance(result, BaseException)]
    assert not failures, failures
    return each * (len(WAYS) + 2)
