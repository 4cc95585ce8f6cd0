"""Requests that name another process: which do, and how they get there and back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from voxwire_server.routes.passages import Passages, mark_of, serve_passage
from voxwire_server.routes.peers import CARRIED, PEER_SUBPROTOCOL, PeerKey
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.session.store import Replica

KEY = PeerKey(b"a secret of the service" * 2)
THERE = "azsgf23s"
ID = f"{mark_of(THERE)}{'x' * 32}"


class Here:
    """The application of the process that is asked; it says what it was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})


@asynccontextmanager
async def other(app: Any) -> AsyncIterator[Replica]:
    """Another process, whose door takes requests for its application."""

    async def door(socket: ServerConnection) -> None:
        sealed = await socket.recv()
        assert isinstance(sealed, str)
        head = KEY.open_head(sealed, THERE)
        assert head is not None

        async def receive() -> dict[str, Any]:
            async for message in socket:
                kind = "text" if isinstance(message, str) else "bytes"
                return {"type": "websocket.receive", kind: message}
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(event: dict[str, Any]) -> None:
            if event["type"] == "websocket.close":
                await socket.close(event["code"])
            else:
                text = event.get("text")
                await socket.send(text if text is not None else event["bytes"])

        await serve_passage(app, head, {"asgi": {}}, receive, send, SocketControl())

    server = await serve(door, "127.0.0.1", 0, subprotocols=[Subprotocol(PEER_SUBPROTOCOL)])
    async with server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Replica(name=THERE, peer_url=f"ws://127.0.0.1:{port}")


async def asked(
    there: Replica | None, here: Any, path: str, *pieces: bytes, method: str = "POST", **more: Any
) -> tuple[int, bytes]:
    """What a request is answered."""

    async def find(name: str) -> Replica | None:
        return there if name == THERE else None

    events = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces or (b"",), 1)
    ]
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return events.pop(0) if events else await asyncio.Future()

    async def send(event: dict[str, Any]) -> None:
        told.append(event)

    length = str(sum(map(len, pieces))).encode()
    headers = [(b"host", b"bot.example"), (b"content-length", length)]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, **more}
    await Passages(here, find=find, key=KEY)(scope, receive, send)
    assert not told[-1].get("more_body")
    return told[0]["status"], b"".join(event.get("body", b"") for event in told)


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that tells what it was asked."""
    body, more = b"", True
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    said = [scope["method"], scope["path"], scope["client"][0], scope[CARRIED], body.decode()]
    await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
    for piece in (json.dumps(said).encode(), b"!"):
        await send({"type": "http.response.body", "body": piece, "more_body": piece != b"!"})


@pytest.mark.parametrize(
    ("method", "path", "pieces"),
    [
        ("POST", f"/sessions/{ID}/api/offer", [b"{}"]),
        ("POST", f"/voice/sessions/{ID}/files", [b"a" * 70_000, b"b" * 70_000]),
        ("PATCH", "/api/offer", [json.dumps({"pc_id": ID}).encode()]),
        ("POST", "/api/offer", [b'{"restart_pc": true, ', f'"pc_id": "{ID}"}}'.encode()]),
    ],
)
async def test_what_names_another_process_is_answered_there(
    method: str, path: str, pieces: list[bytes]
) -> None:
    here = Here()
    async with other(answer) as there:
        status, body = await asked(
            there, here, path, *pieces, method=method, client=("203.0.113.7", 9)
        )
    assert status == 201 and body.endswith(b"!")
    said = [method, path, "203.0.113.7", True, b"".join(pieces).decode()]
    assert json.loads(body[:-1]) == said
    assert here.bodies == []


@pytest.mark.parametrize(
    ("path", "pieces", "more"),
    [
        ("/start", [b"{}"], {}),
        (f"/sessions/aaaaaaaa.{'x' * 32}/api/offer", [b"{}"], {}),
        (f"/sessions/{'x' * 32}/api/offer", [b"{}"], {}),
        ("/api/offer", [json.dumps({"pc_id": "x"}).encode()], {}),
        ("/api/offer", [b"[" * 10_000], {}),
        ("/api/offer", [b'["pc_id"]'], {}),
        ("/api/offer", [json.dumps({"pc_id": ID, "sdp": "x" * 20_000}).encode()], {}),
        (f"/sessions/{ID}/api/offer", [b"{}"], {CARRIED: True}),
    ],
)
async def test_everything_else_is_answered_here_and_whole(
    path: str, pieces: list[bytes], more: dict[str, Any]
) -> None:
    here = Here()
    async with other(answer) as there:
        assert await asked(there, here, path, *pieces, **more) == (404, b"here")
    assert here.bodies == [b"".join(pieces)]


async def test_what_was_in_a_dead_process_is_answered_here() -> None:
    here = Here()
    dead = Replica(name=THERE, peer_url="unix:/nobody/listens/here")
    assert await asked(dead, here, f"/sessions/{ID}/api/offer", b"{}") == (404, b"here")


async def test_a_process_that_dies_before_it_answers_is_asked_again_later() -> None:
    async def dies(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise ConnectionError

    async with other(dies) as there:
        status, _ = await asked(there, Here(), f"/sessions/{ID}/api/offer", b"{}")
    assert status == 503
