"""Sockets of somebody who does not say what he should, against a server of ``shipped.py``."""

import asyncio
import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Collection, Iterable
from typing import Any

import websockets

from tests.support.shipped import KEY, Shipped
from voxwire_protocol import wire

__all__ = [
    *("attach", "close_all", "is_gone", "parts_after_tls", "parts_before_tls"),
    *("silent_socket", "until_gone"),
]

FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP")
DRIP = b"X-A: b\r\n"
ANSWERS_S = 30.0


def _head(house: Shipped) -> bytes:
    return f"GET /v1/session HTTP/1.1\r\nHost: {house.authority}\r\n".encode()


def parts_before_tls(house: Shipped) -> list[bytes]:
    """What is sent first and never ended: nothing, a piece of a handshake or of a head."""
    if house.way == "direct":
        return [b"", b"G", _head(house)]
    return [b"", b"\x16", bytes.fromhex("1603010200010001fc0303")]


def parts_after_tls(house: Shipped) -> list[bytes]:
    """The same when TLS stands: nothing, a piece of a head, no body, no Hello."""
    post = f"POST /v1/tokens HTTP/1.1\r\nHost: {house.authority}\r\nContent-Length: 99\r\n"
    post += f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n\r\n{{"
    return [b"", _head(house), post.encode(), upgrade(house)]


def upgrade(house: Shipped, says: str = "") -> bytes:
    """The head of a WebSocket.

    Args:
        house: Where.
        says: The address that it names as its client's.
    """
    lines = [
        "GET /v1/session HTTP/1.1",
        f"Host: {house.authority}",
        *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}",
        *(f"{name}: {value}" for name, value in forged(says).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def forged(says: str) -> dict[str, str]:
    """Every header that some proxy writes, for an address that is none of the sender's."""
    if not says:
        return {}
    return {name: f"for={says}" if name == "Forwarded" else says for name in FORGED}


def silent_socket(house: Shipped, address: str, says: str = "") -> tuple[int, socket.socket]:
    """Open a WebSocket on which no Hello comes: what its head is answered, and the socket."""
    sock = house.speak_tls(house.dial(address))
    sock.sendall(upgrade(house, says))
    answer = sock.recv(4096)
    return int(answer.split()[1]), sock


async def attach(house: Shipped, address: str, says: str = "", *, user: str) -> wire.Envelope:
    """Begin a session with a Hello and a token; what it is answered. It is left again."""
    raw = await asyncio.to_thread(house.dial, address)
    raw.setblocking(False)
    tls: dict[str, Any] = {} if house.way == "direct" else {"ssl": house.trusts}
    async with (
        asyncio.timeout(ANSWERS_S),
        websockets.connect(
            f"{house.url}/v1/session",
            sock=raw,
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
            additional_headers=forged(says),
            **tls,
        ) as connection,
    ):
        token, nonce = house.token(user), os.urandom(16)
        hello = wire.Hello(protocol_version=1, attach_nonce=nonce, token=token)
        await connection.send(wire.Envelope(hello=hello).SerializeToString())
        answer = wire.Envelope.FromString(await connection.recv(decode=False))
        if answer.HasField("welcome"):
            bye = wire.Envelope(seq=1, bye=wire.Bye())
            await connection.send(bye.SerializeToString())
        return answer


def is_gone(sock: socket.socket) -> bool:
    """True when the other side has closed it; what it said before is read. It must not block."""
    try:
        while sock.recv(65_536):
            pass
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        pass
    return True


async def until_gone(
    sockets: Iterable[socket.socket], *, dripping: Collection[socket.socket] = ()
) -> float:
    """Wait until all of them are closed; how long the last one was open, seconds.

    Args:
        sockets: The sockets, which do not block.
        dripping: Those of them on which one more line of a head is sent again and again.
    """
    began_s = time.monotonic()
    deadline_s = began_s + 60
    poll, left = select.poll(), {sock.fileno(): sock for sock in sockets}
    for number in left:
        poll.register(number, select.POLLIN)
    while left:
        await asyncio.sleep(0.1)
        for number in [number for number, _ in poll.poll(0) if is_gone(left[number])]:
            poll.unregister(number)
            del left[number]
        for sock in dripping:
            if sock.fileno() in left:
                with contextlib.suppress(OSError):
                    sock.send(DRIP)
        assert time.monotonic() < deadline_s, f"{len(left)} are open after a minute"
    return time.monotonic() - began_s


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close them."""
    for sock in sockets:
        sock.close()
