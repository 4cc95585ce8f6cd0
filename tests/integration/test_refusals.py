"""A request that is turned away is told why: in the client's error, to a page, and in the log."""

import asyncio
import json
import logging
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets

import voxwire
from tests.support.asking import ask
from tests.support.clicks import make_bot
from tests.support.tcp_forward import copy
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

EVIL = "https://evil.example"

SHORT = voxwire.Timeouts(connect_ms=3000)
"""A client asks a busy server again, as long as that."""


async def refusal_of(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and body of a refused WebSocket."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(
            url,
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
            additional_headers=headers,
            proxy=None,
        )
    response = refused.value.response
    return response.status_code, json.loads(response.body)


def session_url(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}/v1/session"


async def test_the_python_client_s_error_says_why_and_how_to_mend_it() -> None:
    async with running_server(make_bot()) as server:
        with pytest.raises(voxwire.SessionError) as refused:  # a Host that is no loopback name
            async with voxwire.connect(f"ws://0.0.0.0:{server.port}"):
                pass
    assert refused.value.code == voxwire.ErrorCode.FORBIDDEN
    assert "the Host of this request does not name the server's machine" in refused.value.reason
    assert "VOXWIRE_HOST" in refused.value.reason


async def test_a_wrong_path_is_no_matter_of_permission() -> None:
    async with running_server(make_bot()) as server:
        for path in ("/", "/v2/session", "/v1/tokens", "/healthz"):
            status, said = await refusal_of(f"{server.url}{path}")
            assert (status, said["code"]) == (404, "UNREACHABLE")
            assert "/v1/session" in said["reason"]
        with pytest.raises(voxwire.TransportError) as unreachable:
            async with voxwire.connect(f"{server.url}/elsewhere"):
                pass
    assert unreachable.value.code == voxwire.ErrorCode.UNREACHABLE
    assert "404" in unreachable.value.reason


async def test_a_client_without_our_subprotocol_is_told_so() -> None:
    async with running_server(make_bot()) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{server.url}/v1/session", proxy=None)
    assert refused.value.response.status_code == 400
    assert wire.SUBPROTOCOL in json.loads(refused.value.response.body)["reason"]


async def test_too_many_sockets_without_a_hello_is_told_as_that() -> None:
    async with running_server(make_bot(), max_pending=1) as server, AsyncExitStack() as stack:
        _, silent = await asyncio.open_connection("127.0.0.1", server.port)
        stack.callback(silent.close)
        with pytest.raises(voxwire.SessionError) as refused:
            async with voxwire.connect(server.url, transport="websocket", timeouts=SHORT):
                pass
    assert refused.value.code == voxwire.ErrorCode.RATE_LIMITED
    assert refused.value.retryable
    assert "said no Hello" in refused.value.reason


async def test_the_log_names_host_origin_and_mend(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server(make_bot()) as server:
        with caplog.at_level(logging.WARNING, "voxwire.gate"):
            await refusal_of(f"{server.url}/v1/session", Origin=EVIL)
        (line,) = [r.getMessage() for r in caplog.records if r.name == "voxwire.gate"]
        assert f"host 127.0.0.1:{server.port}" in line
        assert f"origin {EVIL}" in line
        assert "VOXWIRE_ALLOWED_ORIGINS" in line
        assert not [r for r in caplog.records if r.levelno > logging.WARNING]
        caplog.clear()
        for _ in range(60):  # it can be read all the same when somebody knocks without an end
            assert (await ask(session_url(server), method="POST", Origin=EVIL)).status == 403
        assert len(caplog.records) < 40


async def test_a_page_learns_over_http_why_its_socket_was_refused() -> None:
    async with running_server(make_bot()) as server:
        said = await ask(session_url(server), method="POST", Origin=EVIL)
        assert said.status == 403
        assert said.headers["access-control-allow-origin"] == "*"
        assert said.json().keys() == {"code", "reason"}
        assert "VOXWIRE_ALLOWED_ORIGINS" in said.json()["reason"]
        assert b"evil" not in said.body
        for path in ("", "healthz", "readyz"):  # this one answer is for any page, no other is
            url = f"http://127.0.0.1:{server.port}/{path}"
            assert "access-control-allow-origin" not in (await ask(url, Origin=EVIL)).headers


async def test_a_page_that_is_let_in_learns_the_names_of_the_bots() -> None:
    async with running_server({"a": make_bot(), "b": make_bot()}) as server:
        own = f"http://127.0.0.1:{server.port}"
        for headers in ({"Origin": own}, {}):
            said = await ask(session_url(server), method="POST", **headers)
            assert said.json() == {"protocol": wire.SUBPROTOCOL, "bots": ["a", "b"]}
            allowed = said.headers.get("access-control-allow-origin")
            assert allowed == headers.get("Origin")
        assert (await ask(session_url(server))).json()["bots"] == ["a", "b"]
    async with running_server({"a": make_bot(), "b": make_bot()}, key="k" * 32) as server:
        assert (await ask(session_url(server), method="POST")).json()["bots"] == []


async def test_with_a_key_a_program_behind_a_proxy_is_no_program_of_this_machine() -> None:
    async with running_server(make_bot(), key="k" * 32) as server:
        hello = wire.Hello(protocol_version=1, attach_nonce=bytes(16))
        for headers, welcome in ({"X-Forwarded-For": "203.0.113.9"}, False), ({}, True):
            async with websockets.connect(
                f"{server.url}/v1/session",
                subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
                additional_headers=headers,
                proxy=None,
            ) as socket:
                await socket.send(wire.Envelope(hello=hello).SerializeToString())
                answer = wire.Envelope.FromString(await asyncio.wait_for(socket.recv(), 60))
            assert answer.HasField("welcome") is welcome
            if not welcome:
                assert answer.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED


def has(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
async def test_a_server_lets_in_whoever_uses_the_url_that_it_prints(host: str) -> None:
    if not has(host):
        pytest.skip(f"this machine has no {host}")
    async with running_server(make_bot(), host=host) as server, asyncio.timeout(60):
        assert host in server.url
        async with voxwire.connect(server.url, transport="websocket"):
            pass
        page = server.url.replace("ws:", "http:")
        async with websockets.connect(
            f"{server.url}/v1/session",
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
            additional_headers={"Origin": page},
            proxy=None,
        ) as socket:
            assert socket.subprotocol == wire.SUBPROTOCOL


async def test_a_forwarded_port_is_used_like_the_server_s_own() -> None:
    """``ssh -L 8080:localhost:7860``: the Host has another port."""
    async with running_server(make_bot()) as server, asyncio.timeout(60):

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(copy(reader, back), copy(there, writer))

        async with await asyncio.start_server(accepted, "127.0.0.1", 0) as forward:
            port = forward.sockets[0].getsockname()[1]
            async with voxwire.connect(f"ws://localhost:{port}", transport="websocket"):
                pass
            options: dict[str, Any] = {
                "subprotocols": [websockets.Subprotocol(wire.SUBPROTOCOL)],
                "proxy": None,
            }
            url = f"ws://localhost:{port}/v1/session"
            own = {"Origin": f"http://localhost:{port}"}
            async with websockets.connect(url, additional_headers=own, **options) as socket:
                assert socket.subprotocol == wire.SUBPROTOCOL
            # the page of another port of this machine is somebody else's
            status, _ = await refusal_of(url, Origin=f"http://localhost:{server.port}")
            assert status == 403
