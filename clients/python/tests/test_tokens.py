"""Tokens from a function or a backend, and a server that is busy at first."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire import TokenEndpoint, TokenRequest
from voxwire.testing import FakeServer, VirtualTime
from voxwire.testing.messages import wire_error

CODE = voxwire.ErrorCode


@virtual
async def test_a_function_gives_the_token_and_another_one_when_that_is_refused() -> None:
    asked: list[str] = []

    async def source(request: TokenRequest) -> str:
        asked.append(request.reason)
        await asyncio.sleep(0.2)
        return "old" if request.reason == "connect" else "new"

    async with FakeServer(tokens=("new",)) as server:
        async with session_of(server, token=source) as session:
            assert asked == ["connect", "refused"]
            await session.close()
        first, second = server.hellos
        assert (first.token, second.token) == ("old", "new")
        assert first.attach_nonce == second.attach_nonce
        asked.clear()
        async with session_of(server, token=lambda _: "new") as session:
            await session.close()


@virtual
async def test_a_token_is_renewed_once() -> None:
    async with FakeServer(tokens=("good",)) as server:
        asked: list[str] = []

        def source(request: TokenRequest) -> str:
            asked.append(request.reason)
            return "bad"

        with pytest.raises(voxwire.SessionError) as caught:
            async with session_of(server, token=source):
                pytest.fail("it is in")
        assert caught.value.code == CODE.UNAUTHORIZED
        assert asked == ["connect", "refused"]
        assert len(server.hellos) == 2


async def _hangs(request: TokenRequest) -> str:
    await asyncio.sleep(3600)
    return ""


def _raises(request: TokenRequest) -> str:
    raise LookupError("secret")


def _refuses(request: TokenRequest) -> str:
    raise voxwire.SessionError(CODE.FORBIDDEN, "not you")


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        (_hangs, CODE.TIMEOUT, "the token source did not answer in time"),
        (_raises, CODE.UNAUTHORIZED, "it raised LookupError"),
        (_refuses, CODE.FORBIDDEN, "not you"),
        (lambda _: 5, CODE.INVALID_ARGUMENT, "token must be a str"),
        (lambda _: "a b", CODE.INVALID_ARGUMENT, "without spaces"),
        (lambda _: "x" * 16_000, CODE.INVALID_ARGUMENT, "above 15872 bytes"),
    ],
)
@virtual
async def test_a_source_that_gives_no_token_is_told_as_such(
    time: VirtualTime, source: Any, code: voxwire.ErrorCode, says: str
) -> None:
    began = time.now_ms()
    async with FakeServer() as server:
        with pytest.raises(voxwire.VoxwireError, match=says) as caught:
            async with session_of(server, token=source):
                pytest.fail("it is in")
        assert caught.value.code == code
        assert "secret" not in caught.value.reason
        assert server.hellos == []
        assert time.now_ms() - began <= 11_000


@pytest.mark.parametrize("code", [CODE.CAPACITY, CODE.RATE_LIMITED])
@virtual
async def test_a_busy_server_is_asked_again_while_there_is_time(
    time: VirtualTime, code: voxwire.ErrorCode
) -> None:
    async with FakeServer() as server:
        server.refuse = wire_error(code, "full", retryable=True)

        async def room() -> None:
            await asyncio.sleep(2.5)
            server.refuse = None

        opening = asyncio.create_task(room())
        began = time.now_ms()
        async with session_of(server) as session:
            assert 2500 <= time.now_ms() - began <= 3800
            await session.send_text("hello")
            while not server.session.said("send_text"):
                await asyncio.sleep(0.01)
            await session.close()
        assert len(server.hellos) >= 4
        assert len({hello.attach_nonce for hello in server.hellos}) == 1
        await opening


@virtual
async def test_a_server_that_stays_busy_is_the_error_within_the_deadline(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server:
        server.refuse = wire_error(CODE.CAPACITY, "full", retryable=True)
        began = time.now_ms()
        with pytest.raises(voxwire.SessionError, match="full") as caught:
            async with session_of(server, timeouts=voxwire.Timeouts(connect_ms=3000)):
                pytest.fail("it is in")
        assert caught.value.code == CODE.CAPACITY
        assert time.now_ms() - began <= 3000
        assert len(server.hellos) > 3


@virtual
async def test_advice_to_wait_longer_than_there_is_time_is_the_end_at_once(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server:
        server.refuse = wire_error(CODE.CAPACITY, "full", retryable=True, retry_after_ms=60_000)
        began = time.now_ms()
        with pytest.raises(voxwire.SessionError, match="full") as caught:
            async with session_of(server):
                pytest.fail("it is in")
        assert caught.value.retry_after_ms == 60_000
        assert time.now_ms() - began < 200
        server.refuse = wire_error(CODE.CAPACITY, "full", retryable=True, retry_after_ms=2000)
        began = time.now_ms()
        asked = len(server.hellos)
        with pytest.raises(voxwire.SessionError, match="full"):
            async with session_of(server, timeouts=voxwire.Timeouts(connect_ms=5000)):
                pytest.fail("it is in")
        assert len(server.hellos) - asked == 3


@contextmanager
def backend(status: int, said: bytes) -> Iterator[tuple[str, list[Any]]]:
    """A program's own backend; what it was asked."""
    asked: list[Any] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_backend_is_asked_for_the_token() -> None:
    with backend(200, b'{"jwt": "abc", "token": 5}') as (url, asked):
        endpoint = TokenEndpoint(
            url=url, headers={"Authorization": "CANARY"}, body={"user": "ann"}, name="jwt"
        )
        assert await endpoint(TokenRequest("connect")) == "abc"
        assert asked == [("/token", "CANARY", {"user": "ann"})]
        assert "CANARY" not in repr(endpoint)


@pytest.mark.parametrize(
    ("status", "said", "says"),
    [
        (403, b"no", "answered HTTP 403"),
        (302, b"", "answered HTTP 302"),
        (200, b"not JSON", "no JSON object"),
        (200, b'["token"]', "no JSON object"),
        (200, b'{"token": 5}', "with a string 'token'"),
    ],
)
async def test_a_backend_that_gives_no_token_says_so(status: int, said: bytes, says: str) -> None:
    with backend(status, said) as (url, asked):
        with pytest.raises(voxwire.SessionError, match=says) as caught:
            await TokenEndpoint(url=url)(TokenRequest("connect"))
        assert caught.value.code == CODE.UNAUTHORIZED
        assert len(asked) == 1


async def test_a_backend_that_is_not_there_says_so() -> None:
    with backend(200, b"") as (url, _):
        pass
    with pytest.raises(voxwire.TransportError, match="nothing answers") as caught:
        await TokenEndpoint(url=url)(TokenRequest("connect"))
    assert caught.value.code == CODE.UNREACHABLE


@pytest.mark.parametrize("url", ["http://example.org/token", "ftp://a/b", "", "127.0.0.1:8080"])
def test_a_token_goes_over_https_or_stays_on_this_machine(url: str) -> None:
    with pytest.raises(voxwire.UsageError, match="https"):
        TokenEndpoint(url=url)
