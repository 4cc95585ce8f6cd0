"""Backends for tokens that are named wrongly, answer oddly, or not to the end."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire import TokenEndpoint, TokenRequest
from voxwire.testing import FakeServer, VirtualTime

CODE = voxwire.ErrorCode


@contextmanager
def backend(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """One that answers a request with what is written on its socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection, _ = listener.accept()
                with connection:
                    _read(connection)
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/token"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _read(connection: socket.socket) -> None:
    """Reads a request to its end: a socket that is closed before that is reset."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65_536)
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while found and len(body) < int(found[1]):
        body += connection.recv(65_536)


async def refused(url: str, **more: Any) -> voxwire.VoxwireError:
    with pytest.raises(voxwire.VoxwireError) as caught:
        await TokenEndpoint(url=url, **more)(TokenRequest("connect"))
    return caught.value


@pytest.mark.parametrize(
    ("said", "code", "says"),
    [
        (b"nonsense\r\n\r\n", CODE.UNREACHABLE, "nothing that speaks HTTP answers"),
        (b"", CODE.UNREACHABLE, "nothing"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
            CODE.UNREACHABLE,
            "at the token endpoint",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe", CODE.UNAUTHORIZED, "no JSON object"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"token": null}', CODE.UNAUTHORIZED, "no JSON object"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000, CODE.UNAUTHORIZED, "no JSON object"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", CODE.UNAUTHORIZED, "HTTP 503"),
    ],
)
async def test_an_odd_answer_is_told_as_what_it_is(
    said: bytes, code: voxwire.ErrorCode, says: str
) -> None:
    with backend(lambda connection: connection.sendall(said)) as url:
        error = await refused(url)
    assert (error.code, says in error.reason) == (code, True), error.reason


async def test_an_answer_that_does_not_come_to_an_end_is_a_timeout() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while not over.wait(0.1):
                connection.sendall(b" ")

    before = threading.active_count()
    with backend(drip) as url:
        error = await refused(url, timeout_ms=500)
        assert (error.code, error.reason) == (
            CODE.TIMEOUT,
            "the token endpoint did not answer in time",
        )
        async with asyncio.timeout(30):
            while any(it.name == "voxwire-token" for it in threading.enumerate()):
                await asyncio.sleep(0.02)  # real time: poll
        over.set()
    assert threading.active_count() <= before  # one of an earlier test may have ended


async def test_who_asks_is_not_told_to_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        proxied.append(b"")
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"token": "of the proxy"}')

    answer = b'HTTP/1.1 200 OK\r\n\r\n{"token": "of the backend"}'
    with backend(proxy) as through, backend(lambda it: it.sendall(answer)) as url:
        monkeypatch.setenv("http_proxy", through)
        monkeypatch.delenv("no_proxy", raising=False)
        endpoint = TokenEndpoint(url=url, headers={"Authorization": "CANARY"})
        assert await endpoint(TokenRequest("connect")) == "of the backend"
    assert proxied == []


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"url": 5}, "url must be a str"),
        ({"url": "https://host:port/"}, "an https URL"),
        ({"url": "https://"}, "an https URL"),
        ({"url": "https://a b/"}, "an https URL"),
        ({"url": "http://example.org/"}, "http on this machine"),
        ({"headers": {"Authorization": "a\r\nEvil: b"}}, "a header"),
        ({"headers": {"A b": "c"}}, "a header"),
        ({"headers": {"Name": 5}}, "a header"),
        ({"headers": ["Name"]}, "headers must be a dict"),
        ({"body": object()}, "body is not what JSON can hold"),
        ({"timeout_ms": "soon"}, "timeout_ms must be a number"),
        ({"timeout_ms": 0}, "timeout_ms must be above 0"),
        ({"name": 5}, "name must be a str"),
    ],
)
def test_what_cannot_be_asked_is_said_when_it_is_named(named: dict[str, Any], says: str) -> None:
    with pytest.raises(voxwire.UsageError, match=says) as caught:
        TokenEndpoint(**{"url": "https://example.org/", **named})
    assert caught.value.code == CODE.INVALID_ARGUMENT
    assert "CANARY" not in str(caught.value)


@virtual
async def test_a_source_that_hangs_when_it_is_asked_again_is_the_error(time: VirtualTime) -> None:
    async def source(request: TokenRequest) -> str:
        if request.reason == "refused":
            await asyncio.Event().wait()
        return "old"

    async with FakeServer(tokens=("new",)) as server:
        began = time.now_ms()
        with pytest.raises(voxwire.TransportError, match="token source did not answer") as caught:
            async with session_of(server, token=source):
                pytest.fail("it is in")
        assert caught.value.code == CODE.TIMEOUT
        assert time.now_ms() - began <= 10_000
