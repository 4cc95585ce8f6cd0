"""From process to process: what is said of a client is sealed, and he is pumped byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from voxwire_server.routes.peers import PEER_SUBPROTOCOL, Carrier, Errand, PeerKey, SealError
from voxwire_server.session.store import Replica

NOW_S = 1_800_000_000.0
OLD, NEW = b"old" * 11, b"new" * 11
HEADERS = {"cookie": "a=b", "x-weird": "\xff"}
ERRAND = Errand(b"hello", "203.0.113.7", True, b"https://page", HEADERS)


def key(*secrets: bytes, now_s: float = NOW_S) -> PeerKey:
    return PeerKey(*secrets, now_s=lambda: now_s)


def test_what_one_process_seals_the_other_opens_whichever_secret_it_had() -> None:
    sealed = key(OLD).seal(ERRAND, "there")
    assert key(NEW, OLD).open(sealed, b"hello", "there") == ERRAND
    assert OLD.decode() not in sealed


@pytest.mark.parametrize(
    ("hello", "me", "later_s", "secret"),
    [
        (b"another hello", "there", 0, OLD),
        (b"hello", "elsewhere", 0, OLD),
        (b"hello", "there", 31, OLD),
        (b"hello", "there", -31, OLD),
        (b"hello", "there", 0, NEW),
    ],
)
def test_it_is_good_for_one_hello_one_process_and_half_a_minute(
    hello: bytes, me: str, later_s: float, secret: bytes
) -> None:
    sealed = key(OLD).seal(ERRAND, "there")
    with pytest.raises(SealError):
        key(secret, now_s=NOW_S + later_s).open(sealed, hello, me)


def test_what_is_not_sealed_is_not_even_read() -> None:
    said = json.dumps({"to": "there", "at": NOW_S})
    for sealed in ("", " ", said, f"{'0' * 64} {said}", "x" * 1000, f"\xff {said}"):
        with pytest.raises(SealError):
            key(OLD).open(sealed, b"hello", "there")


@pytest.mark.parametrize("secrets", [(), (b"short",), (OLD, b"")])
def test_a_secret_has_32_bytes(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError):
        PeerKey(*secrets)


def test_the_head_of_a_request_is_sealed_for_one_process_and_half_a_minute() -> None:
    sealed = key(OLD).seal_head({"path": "/start"}, "there")
    assert key(NEW, OLD).open_head(sealed, "there") == {"path": "/start"}
    for stranger, me in (
        (key(NEW), "there"),
        (key(OLD), "elsewhere"),
        (key(OLD, now_s=NOW_S + 31), "there"),
    ):
        with pytest.raises(SealError):
            stranger.open_head(sealed, me)
    with pytest.raises(SealError):
        key(OLD).open_head(sealed.replace("/start", "/files"), "there")


def test_what_a_client_says_of_itself_makes_no_head_of_an_errand() -> None:
    headers = {"x-trick": '"head": {"path": "/start"}'}
    sealed = key(OLD).seal(Errand(b"hello", headers=headers), "there")
    assert key(OLD).open_head(sealed, "there") is None


class Client:
    """The socket of a client, as a route sees it."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.told: list[dict[str, Any]] = []

    async def send(self, event: dict[str, Any]) -> None:
        self.told.append(event)


@asynccontextmanager
async def peer(serves: Any) -> AsyncIterator[Replica]:
    server: Server = await serve(
        serves, "127.0.0.1", 0, subprotocols=[Subprotocol(PEER_SUBPROTOCOL)]
    )
    async with server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Replica(name="there", peer_url=f"ws://127.0.0.1:{port}")


async def test_a_client_is_carried_both_ways_until_the_owner_closes() -> None:
    opened: list[Errand] = []

    async def owner(socket: ServerConnection) -> None:
        sealed, hello = await socket.recv(), await socket.recv()
        assert isinstance(sealed, str) and isinstance(hello, bytes)
        opened.append(key(OLD).open(sealed, hello, "there"))
        await socket.send(b"welcome")
        said = await socket.recv()
        assert isinstance(said, bytes)
        await socket.send(said * 2)
        await socket.close(4027, "the server leaves")

    client = Client()
    client.says.put_nowait({"type": "websocket.receive", "bytes": b"ab"})
    async with peer(owner) as there:
        assert await Carrier(key(OLD)).carry(ERRAND, there, client.says.get, client.send)
    assert opened == [ERRAND]
    assert [event.get("bytes") for event in client.told] == [b"welcome", b"abab", None]
    last = client.told[-1]
    assert (last["type"], last["code"], last["reason"]) == (
        "websocket.close",
        4027,
        "the server leaves",
    )


async def test_who_hangs_up_is_gone_at_the_owner_too() -> None:
    codes: list[int | None] = []

    async def owner(socket: ServerConnection) -> None:
        await socket.wait_closed()
        codes.append(socket.close_code)

    for code in (1000, 1006):
        client = Client()
        client.says.put_nowait({"type": "websocket.disconnect", "code": code})
        async with peer(owner) as there:
            assert await Carrier(key(OLD)).carry(ERRAND, there, client.says.get, client.send)
    assert codes == [1000, 1001]


async def test_an_owner_that_dies_is_a_lost_connection_to_the_client() -> None:
    async def owner(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.recv()
        socket.transport.abort()

    client = Client()
    async with peer(owner) as there:
        assert await Carrier(key(OLD)).carry(ERRAND, there, client.says.get, client.send)
    [last] = client.told
    assert last["type"] == "websocket.close" and last["code"] >= 4000


async def test_one_that_cannot_be_reached_has_told_the_client_nothing() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = Client()
    for url in (f"ws://127.0.0.1:{port}", "unix:/nobody/listens/here", "nonsense"):
        there = Replica(name="there", peer_url=url)
        carried = await Carrier(key(OLD)).carry(ERRAND, there, client.says.get, client.send)
        assert (carried, client.told) == (False, [])
