"""Who gets in: a real server on loopback, hostile headers, and a bind that is refused."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
import websockets

import voxwire
from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_server.testing import running_server


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
    ],
)
async def test_a_foreign_page_or_proxy_is_refused_with_403(headers: dict[str, str]) -> None:
    async with running_server(make_bot()) as server:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(
                f"{server.url}/v1/session",
                subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
                additional_headers=headers,
            )
        assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/v1/session", "/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "0.0.0.0:{port}"])
async def test_a_rebound_host_is_refused_with_403(path: str, host: str) -> None:
    async with running_server(make_bot()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        upgrade = (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}\r\n"
            if path == "/v1/session"
            else ""
        )
        name = host.format(port=server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n{upgrade}\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        await writer.wait_closed()
    assert b" 403 " in status


async def test_our_own_page_is_let_in() -> None:
    async with (
        running_server(make_bot()) as server,
        websockets.connect(
            f"{server.url}/v1/session",
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
            additional_headers={"Origin": f"http://127.0.0.1:{server.port}"},
        ) as socket,
    ):
        assert socket.subprotocol == wire.SUBPROTOCOL


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\xff" * 40,
        b"x" * 17_000,
        wire.Envelope(ping=wire.Ping()).SerializeToString(),
        wire.Envelope(hello=wire.Hello(protocol_version=1)).SerializeToString(),
        wire.Envelope(
            hello=wire.Hello(protocol_version=99, attach_nonce=os.urandom(16))
        ).SerializeToString(),
        "text",
    ],
    ids=["empty", "garbage", "large", "ping", "no nonce", "version", "text"],
)
async def test_anything_but_a_hello_is_refused_with_a_typed_error(first: bytes | str) -> None:
    async with running_server(make_bot()) as server:
        async with websockets.connect(
            f"{server.url}/v1/session",
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        ) as socket:
            await socket.send(first)
            answer = wire.Envelope.FromString(await asyncio.wait_for(socket.recv(), 60))
            assert answer.error.fatal
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 60)
            assert socket.close_code == 4000 + answer.error.code
        assert len(server.registry) == 0


async def test_a_hello_that_is_too_large_is_told_the_limit() -> None:
    metadata = json.dumps({"notes": "x" * 17_000})
    hello = wire.Hello(protocol_version=1, attach_nonce=bytes(16), metadata_json=metadata)
    async with (
        running_server(make_bot()) as server,
        websockets.connect(
            f"{server.url}/v1/session", subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)]
        ) as socket,
    ):
        await socket.send(wire.Envelope(hello=hello).SerializeToString())
        answer = wire.Envelope.FromString(await asyncio.wait_for(socket.recv(), 60))
    assert answer.error.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
    assert "16384 bytes" in answer.error.reason
    assert "metadata" in answer.error.reason


async def test_a_full_server_says_so() -> None:
    async with running_server(make_bot(), max_sessions=1) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket"):
            with pytest.raises(voxwire.SessionError) as refusal:
                async with voxwire.connect(server.url, transport="websocket"):
                    pass
    assert refusal.value.code == voxwire.ErrorCode.CAPACITY
    assert refusal.value.retryable


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_beyond_loopback_needs_a_key(host: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    result = subprocess.run(
        [sys.executable, "-m", "voxwire_server.cli", "run", "--host", host, "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert "VOXWIRE_KEY" in result.stderr
