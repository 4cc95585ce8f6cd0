"""Tokens through the real server: who needs one, once, for how many and how long."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import websockets

import voxwire
from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_server.keys import KeyRing
from voxwire_server.testing import RunningServer, running_server
from voxwire_server.tokens import TokenIssuer

KEY = "an operator's secret of more than 32 characters"


async def fetch_token(server: RunningServer, key: str = KEY, **body: Any) -> str:
    """Ask for a token as the operator's backend does."""

    def post() -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/v1/tokens",
            data=json.dumps({"user": "ada", **body}).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return str(json.load(answer)["token"])

    return await asyncio.to_thread(post)


async def hello_from_a_page(server: RunningServer, token: str = "", nonce: bytes = b"") -> Any:
    """Say Hello as a web page would; the server's first message."""
    async with websockets.connect(
        f"{server.url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        additional_headers={"Origin": f"http://127.0.0.1:{server.port}"},
    ) as socket:
        hello = wire.Hello(protocol_version=1, attach_nonce=nonce or bytes(16), token=token)
        await socket.send(wire.Envelope(hello=hello).SerializeToString())
        data = await asyncio.wait_for(socket.recv(), 60)
        assert isinstance(data, bytes)
        return wire.Envelope.FromString(data)


async def test_a_page_needs_a_token_and_a_program_on_the_machine_does_not() -> None:
    async with running_server(make_bot(), key=KEY) as server, asyncio.timeout(60):
        refused = await hello_from_a_page(server)
        assert refused.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
        admitted = await hello_from_a_page(server, await fetch_token(server))
        assert admitted.HasField("welcome")
        async with voxwire.connect(server.url, transport="websocket"):
            pass


async def test_a_token_is_good_once() -> None:
    async with running_server(make_bot(), key=KEY) as server, asyncio.timeout(60):
        token = await fetch_token(server)
        first = await hello_from_a_page(server, token, b"a" * 16)
        second = await hello_from_a_page(server, token, b"b" * 16)
        assert first.HasField("welcome")
        assert second.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
        assert second.error.fatal


async def test_a_wrong_key_gets_no_token_and_without_a_key_there_is_no_such_route() -> None:
    async with running_server(make_bot(), key=KEY) as server:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            await fetch_token(server, key="wrong")
        assert refusal.value.code == 401
    async with running_server(make_bot()) as server:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            await fetch_token(server)
        assert refusal.value.code == 404


async def test_a_token_for_another_bot_or_too_many_sessions_is_refused() -> None:
    async with running_server(make_bot(), key=KEY) as server, asyncio.timeout(60):
        with pytest.raises(urllib.error.HTTPError) as refused:
            await fetch_token(server, bot="another")
        assert refused.value.code == 422
        elsewhere = TokenIssuer(KeyRing.parse(key=KEY))  # a server of the same key, another bot
        other = elsewhere.issue("ada", now_s=time.time(), bot="another")
        with pytest.raises(voxwire.SessionError) as refusal:
            async with voxwire.connect(server.url, token=other, transport="websocket"):
                pass
        assert refusal.value.code == voxwire.ErrorCode.FORBIDDEN
        one, two = [
            await fetch_token(server, bot="test", limits={"max_sessions": 1}) for _ in range(2)
        ]
        async with voxwire.connect(server.url, token=one, transport="websocket"):
            with pytest.raises(voxwire.SessionError) as refusal:
                async with voxwire.connect(server.url, token=two, transport="websocket"):
                    pass
            assert refusal.value.code == voxwire.ErrorCode.CAPACITY
        async with asyncio.timeout(60):
            while len(server.registry):
                await asyncio.sleep(0.02)
        async with voxwire.connect(server.url, token=two, transport="websocket"):
            pass  # the refusal has not used the token up


async def test_the_longest_duration_ends_a_session_after_a_warning() -> None:
    async with running_server(make_bot(), key=KEY, heartbeat_ms=200) as server:
        token = await fetch_token(server, limits={"max_duration_s": 2})
        warned = False
        async with asyncio.timeout(60):
            with pytest.raises(voxwire.SessionError) as ended:
                async with voxwire.connect(
                    server.url, token=token, transport="websocket"
                ) as session:
                    async for event in session:
                        warned = warned or isinstance(event, voxwire.GoingAway)
        assert warned
        assert ended.value.code == voxwire.ErrorCode.DURATION_LIMIT


async def test_the_welcome_carries_the_ice_servers_of_the_settings() -> None:
    async with running_server(
        make_bot(),
        ice_servers='[{"urls": "stun:stun.example:3478"}]',
        turn_urls="turn:turn.example:3478",
        turn_secret="shared",
    ) as server:
        welcome = (await hello_from_a_page(server)).welcome
    stun, turn = welcome.ice_servers
    assert list(stun.urls) == ["stun:stun.example:3478"]
    assert turn.username.endswith(welcome.session_id)
    assert turn.credential


async def test_of_1000_concurrent_replays_over_the_route_one_gets_a_session() -> None:
    limits = {"max_pending": 2000, "max_pending_per_address": 2000}
    async with running_server(make_bot(), key=KEY, **limits) as server, asyncio.timeout(100):
        token = await fetch_token(server)
        turn = asyncio.Semaphore(250)

        async def replay(number: int) -> Any:
            async with turn:
                return await hello_from_a_page(server, token, number.to_bytes(16, "big"))

        answers = await asyncio.gather(*(replay(number) for number in range(1000)))
        assert sum(answer.HasField("welcome") for answer in answers) == 1
        refused = [answer.error.code for answer in answers if not answer.HasField("welcome")]
        assert set(refused) == {wire.ErrorCode.ERROR_CODE_UNAUTHORIZED}
        assert len(server.registry) <= 1
