"""From one process of a service to another: a client that came to the wrong one is carried to its
session, as a pump of bytes between two WebSockets.

What the door has seen of him (his address, his page, his headers) goes along, sealed with a key
that all processes of the service have. It is good for one process, for half a minute, with the one
Hello that it came with. Nobody is carried twice.
"""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from voxwire_protocol import wire
from voxwire_server.routes.entrance import Receive, Send
from voxwire_server.session.store import Replica

__all__ = [
    "CARRIED",
    "PEER_PATH",
    "PEER_SUBPROTOCOL",
    "Carrier",
    "Errand",
    "PeerBusyError",
    "PeerKey",
    "SealError",
    "addresses_of",
    "dial",
]

_log = logging.getLogger("voxwire.peers")

PEER_PATH: Final = "/v1/peer"
PEER_SUBPROTOCOL: Final = "voxwire-peer.v1"
CARRIED: Final = "voxwire.carried"
"""In the ASGI scope of what another process has let in."""
CONNECTS_S: Final = 1.0
"""How long the other process may take to let somebody in, seconds."""
_GOOD_S: Final = 30
_MIN_KEY_BYTES: Final = 32
_GONE: Final = 1006
_GOING_AWAY: Final = 4000 + wire.ErrorCode.ERROR_CODE_CONNECTION_LOST


class SealError(Exception):
    """What is said of a client was not said by a process of this service to this one, just now."""


class Errand(NamedTuple):
    """Somebody who is carried, as the door saw him.

    Attributes:
        hello: His first message.
        address: Where he comes from, behind our proxies; empty = a Unix socket.
        is_local: True for a program of that machine, no web page and no proxy.
        origin: Origin of his page; empty for a program.
        headers: Of the head of his WebSocket.
    """

    hello: bytes
    address: str = ""
    is_local: bool = False
    origin: bytes = b""
    headers: Mapping[str, str] = {}


class PeerKey:
    """Seals what one process tells another.

    Args:
        secrets: Of the service; the first one seals, each opens.
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(self, *secrets: bytes, now_s: Callable[[], float] = time.time) -> None:
        if not secrets or any(len(secret) < _MIN_KEY_BYTES for secret in secrets):
            raise ValueError("a secret has at least 32 bytes")
        self._keys = [hmac.digest(secret, b"voxwire peer", "sha256") for secret in secrets]
        self._now_s = now_s

    def seal(self, errand: Errand, to: str) -> str:
        """What is said to another process before the Hello.

        Args:
            errand: Who is carried.
            to: Name of the process.
        """
        said = {
            "address": errand.address,
            "local": errand.is_local,
            "origin": errand.origin.decode("latin-1"),
            "headers": dict(errand.headers),
        }
        return self._seal(said, errand.hello, to)

    def seal_head(self, head: Mapping[str, Any], to: str) -> str:
        """What is said to another process before a request of its own: the head of it."""
        return self._seal({"head": head}, b"", to)

    def _seal(self, what: Mapping[str, Any], data: bytes, to: str) -> str:
        said = json.dumps({"to": to, "at": self._now_s(), **what})
        return f"{_mac(self._keys[0], said, data)} {said}"

    def open_head(self, sealed: str, me: str) -> dict[str, Any] | None:
        """The head of a request for this process; None = it is no such.

        Raises:
            SealError: It looks like one, and is of nobody of this service, or not for this process,
                or not of now.
        """
        return None if '"head": {' not in sealed else self._open(sealed, b"", me).get("head")

    def open(self, sealed: str, hello: bytes, me: str) -> Errand:
        """Who is carried to this process.

        Args:
            sealed: What was said.
            hello: The message behind it.
            me: Name of this process.

        Raises:
            SealError: Nobody of this service has said that, or not to this process, or not now.
        """
        errand = self._open(sealed, hello, me)
        return Errand(
            hello,
            errand["address"],
            errand["local"],
            errand["origin"].encode("latin-1"),
            errand["headers"],
        )

    def _open(self, sealed: str, data: bytes, me: str) -> dict[str, Any]:
        mac, _, said = sealed.partition(" ")
        claimed = mac.encode()
        good = [hmac.compare_digest(_mac(key, said, data).encode(), claimed) for key in self._keys]
        if not any(good):
            raise SealError
        opened = json.loads(said)
        if opened["to"] != me or abs(self._now_s() - opened["at"]) > _GOOD_S:
            raise SealError
        return opened


def _mac(key: bytes, said: str, hello: bytes) -> str:
    return hmac.digest(key, said.encode() + b"\n" + hello, "sha256").hex()


def addresses_of(replicas: Iterable[Replica]) -> set[str]:
    """Addresses that processes connect from, as far as that can be seen: those at which they
    listen for others; empty text = a Unix socket. A name is none.
    """
    return {
        "" if it.peer_url.startswith("unix:") else urlsplit(it.peer_url).hostname or "none"
        for it in replicas
        if it.peer_url
    }


class PeerBusyError(Exception):
    """A process lives, and takes nobody just now."""


class Carrier:
    """Carries clients to other processes.

    Args:
        key: Seals what is said of them.
        max_bytes: Largest message.
    """

    def __init__(self, key: PeerKey, *, max_bytes: int = wire.DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._key = key
        self._max_bytes = max_bytes

    async def carry(self, errand: Errand, to: Replica, receive: Receive, send: Send) -> bool:
        """Pump between a client's socket and another process, until either side has closed.

        Args:
            errand: Who is carried.
            to: The process; it has a ``peer_url``.
            receive: ASGI ``receive`` of the client's socket, which is accepted.
            send: ASGI ``send`` of the same.

        Returns:
            False when the process cannot be reached; the client has been told nothing then.

        Raises:
            PeerBusyError: It lives, and takes nobody: neither was the client told anything.
        """
        peer = await dial(to, max_bytes=self._max_bytes)
        if peer is None:
            return False
        async with peer:
            try:
                await peer.send(self._key.seal(errand, to.name))
                await peer.send(errand.hello)
            except ConnectionClosed:
                return False
            pumps = [
                asyncio.ensure_future(_up(receive, peer)),
                asyncio.ensure_future(_down(peer, send)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                for outcome in await asyncio.gather(*pumps, return_exceptions=True):
                    if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                        _log.warning("a client is not carried any more", exc_info=outcome)
        return True


async def dial(
    to: Replica, *, max_bytes: int = wire.DEFAULT_MAX_MESSAGE_BYTES
) -> ClientConnection | None:
    """A line to another process; None = it cannot be reached.

    Args:
        to: The process; it has a ``peer_url``.
        max_bytes: Largest message.

    Raises:
        PeerBusyError: It lives, and takes nobody.
    """
    settings: dict[str, Any] = {
        "subprotocols": [Subprotocol(PEER_SUBPROTOCOL)],
        "open_timeout": CONNECTS_S,
        "close_timeout": CONNECTS_S,
        "ping_interval": None,  # client and owner ask each other
        "compression": None,
        "max_size": 2 * max_bytes,
        "proxy": None,
    }
    url = to.peer_url
    try:
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            return await unix_connect(path, f"ws://peer{PEER_PATH}", **settings)
        parts = urlsplit(url)
        return await connect(f"{parts.scheme}://{parts.netloc}{PEER_PATH}", **settings)
    except InvalidStatus as error:
        raise PeerBusyError(error.response.status_code) from None
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        _log.warning("process %s cannot be reached: %s", to.name, type(error).__name__)
        return None


async def _up(receive: Receive, peer: ClientConnection) -> None:
    """What the client says."""
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            code = event.get("code", _GONE)
            await peer.close(code if code != _GONE and code >= 1000 and code != 1005 else 1001)
            return
        try:
            await peer.send(event.get("bytes") or b"")
        except ConnectionClosed:
            return  # the other direction says why


async def _down(peer: ClientConnection, send: Send) -> None:
    """What the other process says; its close, too."""
    try:
        async for message in peer:
            if isinstance(message, bytes):
                await send({"type": "websocket.send", "bytes": message})
    except ConnectionClosed:
        pass
    code = peer.close_code or _GONE
    lost = code in (1005, _GONE)
    reason = "" if lost else peer.close_reason or ""
    await send({"type": "websocket.close", "code": _GOING_AWAY if lost else code, "reason": reason})
