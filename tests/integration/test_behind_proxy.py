"""A server behind a proxy of its own: who its clients are, and which name is its own."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

KEY = "k" * 40
PUBLIC = "https://bot.example/voice"
GUARD_S = 60
OURS = [websockets.Subprotocol(wire.SUBPROTOCOL)]


def through(client: str = "198.51.100.7", **headers: str) -> dict[str, str]:
    """What Caddy and nginx add, and the Host that the client asked for."""
    return {"X-Forwarded-For": client, "X-Forwarded-Proto": "https", **headers}


def dial(server: RunningServer, headers: dict[str, str], path: str = "") -> websockets.connect:
    """A WebSocket with these headers, whatever Host they say."""
    others = {name: value for name, value in headers.items() if name != "Host"}
    return websockets.connect(
        f"ws://{headers.get('Host', '127.0.0.1')}{path}/v1/session",
        host="127.0.0.1",
        port=server.port,
        subprotocols=OURS,
        additional_headers=others,
    )


async def status_of(connecting: websockets.connect) -> int:
    """What the head of a WebSocket is answered; 101 = let in, and left again."""
    try:
        async with connecting:
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


async def first_answer(socket: websockets.ClientConnection, token: str) -> wire.Envelope:
    """What a Hello with that token is answered."""
    hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), token=token)
    await socket.send(wire.Envelope(hello=hello).SerializeToString())
    answer = await asyncio.wait_for(socket.recv(decode=False), GUARD_S)
    return wire.Envelope.FromString(bytes(answer))


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with running_server(
        make_bot(),
        key=KEY,
        trusted_proxies="127.0.0.1",
        public_url=PUBLIC,
        max_pending_per_address=3,
    ) as server:
        yield server


@pytest.mark.parametrize("path", ["", "/voice"])
async def test_its_public_name_and_its_pages_are_its_own_below_the_prefix_or_not(
    server: RunningServer, path: str
) -> None:
    page = through(Host="bot.example", Origin="https://bot.example")
    assert await status_of(dial(server, page, path)) == 101
    assert await status_of(dial(server, {**page, "Host": "bot.example:443"}, path)) == 101


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "bot.example:8443"},
        {"Host": "bot.example", "Origin": "https://evil.example"},
        {"Host": "bot.example", "Origin": "http://bot.example"},
    ],
)
async def test_another_name_and_another_page_are_refused(
    server: RunningServer, headers: dict[str, str]
) -> None:
    assert await status_of(dial(server, through(**headers))) == 403


async def test_a_token_is_wanted_of_a_local_program_too_and_says_where_to_connect(
    server: RunningServer,
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        bearer = {"Authorization": f"Bearer {KEY}"}
        answer = await client.post("/v1/tokens", json={"user": "ada"}, headers=bearer)
    assert answer.json()["url"] == "wss://bot.example/voice"
    async with (
        dial(server, {}) as nobody,
        dial(server, {}) as ada,
    ):
        refused = await first_answer(nobody, "")
        assert refused.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
        assert (await first_answer(ada, answer.json()["token"])).HasField("welcome")


async def open_silent(stack: AsyncExitStack, connecting: websockets.connect) -> int:
    """Open a WebSocket that says nothing and stays; what its head is answered."""
    try:
        await stack.enter_async_context(connecting)
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code
    return 101


async def test_silent_sockets_count_for_the_client_behind_the_proxy(
    server: RunningServer,
) -> None:
    async with asyncio.timeout(GUARD_S), AsyncExitStack() as stack:

        async def enter(client: str) -> int:
            return await open_silent(stack, dial(server, through(client, Host="bot.example")))

        assert [await enter("198.51.100.7") for _ in range(4)] == [101, 101, 101, 429]
        assert [await enter("203.0.113.9") for _ in range(4)] == [101, 101, 101, 429]
        assert await enter("1.1.1.1, 198.51.100.7") == 429, "the client wrote the first one"


def slow_post(client: str, token: str) -> bytes:
    """The head of a request whose body does not come."""
    return (
        f"POST /start HTTP/1.1\r\nHost: bot.example\r\nX-Forwarded-For: {client}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n"
    ).encode()


async def test_slow_requests_count_for_the_client_too_and_their_sockets_serve_the_next_one(
    server: RunningServer,
) -> None:
    token = await token_from(server, "ada")
    async with asyncio.timeout(GUARD_S):
        dials = [asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
        sockets = [await dialing for dialing in dials]
        for _, writer in sockets[:3]:
            writer.write(slow_post("198.51.100.7", token))
        await asyncio.sleep(0.2)  # real time: slow
        reader, writer = sockets[3]
        writer.write(slow_post("198.51.100.7", token))
        assert (await reader.readline()).split()[1] == b"429"
        reader, writer = sockets[4]
        writer.write(slow_post("203.0.113.9", token) + b"123456789")
        assert (await reader.readline()).split()[1] == b"422"
        for reader, writer in sockets[:3]:
            writer.write(b"123456789")
            assert (await reader.readline()).split()[1] == b"422"
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            writer.write(slow_post("203.0.113.9", token) + b"123456789")
            assert (await reader.readline()).split()[1] == b"422"
        for _, writer in sockets:
            writer.close()


async def test_stock_clients_are_told_the_public_url(server: RunningServer) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        bearer = {"Authorization": f"Bearer {KEY}"}
        token = (await client.post("/v1/tokens", json={"user": "a"}, headers=bearer)).json()[
            "token"
        ]
        answer = await client.post(
            "/start",
            json={"transport": "websocket"},
            headers={"Authorization": f"Bearer {token}", "Host": "127.0.0.1"},
        )
    assert answer.json()["wsUrl"].startswith("wss://bot.example/voice/ws-client/")


async def token_from(server: RunningServer, user: str) -> str:
    """What the operator's backend asks for."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        bearer = {"Authorization": f"Bearer {KEY}"}
        answer = await client.post("/v1/tokens", json={"user": user}, headers=bearer)
    return str(answer.json()["token"])


async def test_starts_count_for_the_client_behind_the_proxy_whatever_it_wrote_itself() -> None:
    rates = {"starts_per_address": "2/minute", "trusted_proxies": "127.0.0.1"}
    async with (
        running_server(make_bot(), key=KEY, public_url=PUBLIC, **rates) as server,
        asyncio.timeout(GUARD_S),
    ):

        async def come(forwarded: str, user: str) -> wire.Envelope:
            async with dial(server, through(forwarded, Host="bot.example")) as socket:
                return await first_answer(socket, await token_from(server, user))

        for number, forwarded in enumerate(("198.51.100.7", "9.9.9.9, 198.51.100.7")):
            assert (await come(forwarded, f"user {number}")).HasField("welcome")
        error = (await come("8.8.8.8, 198.51.100.7", "carl")).error
        assert error.code == wire.ErrorCode.ERROR_CODE_RATE_LIMITED
        assert 0 < error.retry_after_ms <= 60_000
        stock = websockets.connect(
            f"ws://bot.example/ws-client?token={await token_from(server, 'dora')}",
            host="127.0.0.1",
            port=server.port,
            additional_headers=through("198.51.100.7"),
        )
        async with stock as socket:
            await socket.send(b"")
            assert "too many sessions" in str(await socket.recv())
            await socket.wait_closed()
            assert socket.close_code == 4000 + wire.ErrorCode.ERROR_CODE_RATE_LIMITED
        assert (await come("203.0.113.9", "bob")).HasField("welcome")


async def test_a_forged_header_counts_for_nothing() -> None:
    async with (
        running_server(make_bot(), key=KEY, trusted_proxies="10.9.9.9", max_pending=3) as server,
        asyncio.timeout(GUARD_S),
        AsyncExitStack() as stack,
    ):
        answers = [
            await open_silent(stack, dial(server, through(f"198.51.100.{number}")))
            for number in range(4)
        ]
    assert answers == [101, 101, 101, 429]


async def test_it_listens_on_a_unix_socket_and_takes_an_old_one_away(tmp_path: Path) -> None:
    path = tmp_path / "voxwire.sock"
    options: dict[str, Any] = {"host": f"unix:{path}", "key": KEY, "trusted_proxies": "unix"}
    for _ in range(2):
        async with running_server(make_bot(), public_url=PUBLIC, **options) as server:
            assert server.url == "wss://bot.example/voice"
            async with websockets.unix_connect(
                str(path),
                "ws://bot.example/v1/session",
                subprotocols=OURS,
                additional_headers=through(),
            ) as connection:
                refused = await first_answer(connection, "")
                assert refused.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
            with pytest.raises(OSError, match="somebody listens there"):
                async with running_server(make_bot(), **options):
                    pass
        assert not path.exists()
        with socket.socket(socket.AF_UNIX) as killed:  # as one that was killed leaves it
            killed.bind(str(path))


async def test_over_a_unix_socket_a_conversation_is_held(tmp_path: Path) -> None:
    path = tmp_path / "voxwire.sock"
    async with (
        asyncio.timeout(GUARD_S),
        running_server(make_bot(), host=f"unix:{path}") as server,
        websockets.unix_connect(
            str(path), "ws://localhost/v1/session", subprotocols=OURS
        ) as connection,
    ):
        assert server.url == f"unix:{path}"
        assert (await first_answer(connection, "")).HasField("welcome")
        assert len(server.registry) == 1


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0", *arguments],
        env={**kept, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "status", "said"),
    [
        ({"VOXWIRE_MAX_SESSION": "3"}, 2, "did you mean VOXWIRE_MAX_SESSIONS?"),
        ({"VOXWIRE_TRUSTED_PROXIES": "proxy"}, 1, "VOXWIRE_TRUSTED_PROXIES: proxy is no address"),
        ({"VOXWIRE_PUBLIC_URL": "bot.example"}, 1, "VOXWIRE_PUBLIC_URL must be like https://"),
        ({"VOXWIRE_LOG_FILE": "nowhere/log"}, 1, "VOXWIRE_LOG_FILE: "),
        ({"VOXWIRE_HOST": "unix:nowhere/socket"}, 1, "cannot listen on unix:nowhere/socket"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_start_with_its_name(
    tmp_path: Path, environment: dict[str, str], status: int, said: str
) -> None:
    result = run(tmp_path, **environment)
    assert (result.returncode, result.stdout) == (status, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
