"""Every WebSocket route, in every state of a token: a typed refusal and a close, and no session."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio
import websockets
from pipecat.frames.protobufs import frames_pb2
from starlette.routing import WebSocketRoute

from tests.support.clicks import make_bot
from tests.support.stock_socket import frame
from tests.support.token_states import KEY, STATES, Credentials, dial, first_use
from voxwire_protocol import wire
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.routes.refusals import SESSION_PATH
from voxwire_server.routes.stock_sockets import STOCK_PATHS
from voxwire_server.testing import RunningServer, running_server

GUARD_S: Final = 60
ELSEWHERE: Final = "/{path:path}"
OURS: Final = [websockets.Subprotocol(wire.SUBPROTOCOL)]
CODES: Final = dict.fromkeys(STATES, "UNAUTHORIZED") | {"another bot": "FORBIDDEN"}
READY: Final = json.dumps({"label": "rtvi-ai", "type": "client-ready", "id": "1", "data": {}})
FIRST: Final[dict[str, str | bytes]] = {
    "RTVI as text": READY,
    "RTVI in a frame": frame(message=frames_pb2.MessageFrame(data=READY)),  # type: ignore[attr-defined]
    "no RTVI": "hello",
    "bytes of nothing": b"\xff\xff\xff",
    "empty": b"",
}


ON_A_SOCKET: Final = {"host": "unix:{folder}/server.sock", "trusted_proxies": "unix"}
FORGED: Final = {"X-Forwarded-For": "127.0.0.1, 127.0.0.1"}
SETUPS: Final[dict[str, tuple[dict[str, str], dict[str, str]]]] = {
    "beyond loopback": (
        {"host": "0.0.0.0"},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    ),
    "behind a proxy": ({"trusted_proxies": "127.0.0.1"}, FORGED),
    "on a Unix socket, behind a proxy": (ON_A_SOCKET, FORGED),
    "on a Unix socket, behind a proxy that names no client": (ON_A_SOCKET, {}),
}
"""Settings, and what a proxy or a liar adds."""


class Served(NamedTuple):
    """A server, tokens of every state for it, what a proxy or a liar adds, and where it is."""

    server: RunningServer
    credentials: Credentials
    front: dict[str, str]
    place: int | str


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SETUPS)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    bot, (more, front) = LoadedBot(name="test", run=make_bot()), SETUPS[request.param]
    with TemporaryDirectory(prefix="vx") as folder:
        given = {name: value.format(folder=folder) for name, value in more.items()}
        async with running_server(bot, key=KEY, starts_per_address="", **given) as server:
            place = server.port or f"{folder}/server.sock"
            used = await first_use(place, "localhost")
            yield Served(server, Credentials(used), front, place)


async def refusal(
    place: int | str, target: str, first: bytes | str, **options: Any
) -> tuple[list[str | bytes], int, str]:
    """What a first message is answered, and how the socket is closed."""
    said: list[str | bytes] = []
    async with (
        asyncio.timeout(GUARD_S),
        dial(place, f"localhost{target}", **options) as socket,
    ):
        await socket.send(first)
        try:
            while True:
                said.append(await socket.recv())
        except websockets.ConnectionClosed:
            return said, socket.close_code or 0, socket.close_reason or ""


def test_every_socket_route_is_here() -> None:
    app = create_app(Settings(key=KEY), LoadedBot(name="test", run=make_bot()))
    there = [route.path for route in app.routes if isinstance(route, WebSocketRoute)]
    assert there == [SESSION_PATH, *STOCK_PATHS, ELSEWHERE]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("state", STATES)
async def test_a_hello_is_refused_with_a_code(served: Served, state: str) -> None:
    server, credentials, front, place = served
    token = credentials.token(state)
    hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), token=token)
    first = wire.Envelope(hello=hello).SerializeToString()
    for headers in (front, {**front, **credentials.headers("right")}):
        said, closed_with, reason = await refusal(
            place,
            f"{SESSION_PATH}?token={credentials.token('right')}",
            first,
            subprotocols=OURS,
            additional_headers=headers,
        )
        (answer,) = said  # a token counts in the Hello alone
        error = wire.Envelope.FromString(bytes(answer)).error  # type: ignore[arg-type]
        assert wire.ErrorCode.Name(error.code).removeprefix("ERROR_CODE_") == CODES[state]
        assert (closed_with, error.fatal, error.retryable) == (4000 + error.code, True, False)
        assert not token or token not in f"{answer!r} {reason}"
    assert len(server.registry) == 0


def ways(path: str, token: str) -> list[tuple[str, dict[str, str]]]:
    """How a stock client brings a token: in the path, the query, or a header."""
    if "{token}" in path:
        return [(path.replace("{token}", quote(token)), {})] if token else []
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return [(path, bearer), (f"{path}?token={quote(token)}", {})]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", STOCK_PATHS)
@pytest.mark.parametrize("state", STATES)
async def test_a_stock_socket_is_refused_with_rtvi(served: Served, state: str, path: str) -> None:
    server, credentials, front, place = served
    token = credentials.token(state)
    asked = [(way, first) for way in ways(path, token) for first in FIRST.values()]
    for (target, headers), first in asked:
        said, closed_with, reason = await refusal(
            place, target, first, additional_headers={**front, **headers}
        )
        assert closed_with == 4003, (target, first)
        (answer,) = said
        assert isinstance(answer, str) is isinstance(first, str)
        shown = answer if isinstance(answer, str) else answer.decode("latin-1")
        assert '"fatal"' in shown and "token" in shown
        assert not token or token not in shown + reason
    assert len(asked) == len(ways(path, token)) * len(FIRST)
    assert len(server.registry) == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_no_other_path_is_a_socket(served: Served) -> None:
    _, credentials, front, place = served
    for path in ("/", "/v1/sessions", "/metrics", "/start", "/v1/session/x", "/ws/a/b"):
        for state in (*STATES, "right"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await refusal(
                    place,
                    path,
                    READY,
                    additional_headers={**front, **credentials.headers(state)},
                )
            assert refused.value.response.status_code == 404
            assert json.loads(refused.value.response.body)["code"] == "UNREACHABLE"
