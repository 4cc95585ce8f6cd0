"""Requests of stock clients that belong to another process: ``/start`` promised something there, or
a connection is there. What they name begins with the name of its process, and that one answers.

What the door has let in goes there as it is, over the WebSocket on which clients are carried
(``peers``): the head first, sealed; then the body, or the messages, both ways.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voxwire_server.routes.entrance import Receive, Send
from voxwire_server.routes.peers import CARRIED, PeerBusyError, PeerKey, dial
from voxwire_server.routes.sockets import EXTENSION, SocketControl
from voxwire_server.routes.stock_bodies import MAX_BODY_BYTES
from voxwire_server.session.store import Replica

__all__ = ["Passages", "mark_of", "serve_passage"]

_IN_PATH: Final = re.compile(r"/(?:sessions|ws-client)/([a-z2-7]{4,16})\.[\w-]+(?:/|$)")
_MARK: Final = re.compile(r"([a-z2-7]{4,16})\.[\w-]+")
_OFFER: Final = "/api/offer"
_PIECE_BYTES: Final = 32_768
_BODY_S: Final = 10.0
_END: Final = "."
"""A text message behind the last piece of a body."""
_GONE: Final = 1006
_AWAY: Final = 1001
_BUSY: Final = 503


def mark_of(process: str) -> str:
    """What the ids begin with that a process of several gives out."""
    return f"{process}."


class Passages:
    """ASGI middleware below the gate: takes to another process what names it.

    Args:
        app: Serves the rest.
        find: Another process that lives, by name; None = there is none.
        key: Seals what goes there.
    """

    def __init__(
        self, app: Any, *, find: Callable[[str], Awaitable[Replica | None]], key: PeerKey
    ) -> None:
        self._app = app
        self._find = find
        self._key = key

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        there, receive = await self._whose(scope, receive)
        peer = None if there is None else await self._dial(there, scope, send)
        if peer is None:
            await self._app(scope, receive, send)
        elif peer is not _TOLD:
            async with peer:
                if scope["type"] == "http":
                    await _ask(peer, receive, send)
                else:
                    await _talk(peer, scope, receive, send)

    async def _whose(
        self, scope: dict[str, Any], receive: Receive
    ) -> tuple[Replica | None, Receive]:
        """The process that something belongs to, and what is to be received of it."""
        if scope["type"] not in ("http", "websocket") or CARRIED in scope:
            return None, receive
        path: str = scope["path"]
        if found := _IN_PATH.search(path):
            return await self._find(found[1]), receive
        if scope["type"] != "http" or not path.endswith(_OFFER) or not _is_short(scope):
            return None, receive
        events = await _whole(receive)
        found = _MARK.fullmatch(_pc_id(events))
        there = await self._find(found[1]) if found else None
        return there, _again(events, receive)

    async def _dial(
        self, there: Replica, scope: dict[str, Any], send: Send
    ) -> ClientConnection | None:
        """A line to the process, on which it has been told the head; None = it is dead, and what
        was there with it.
        """
        try:
            peer = await dial(there)
        except PeerBusyError:
            await _tell_busy(scope, send)
            return _TOLD
        if peer is not None:
            await peer.send(self._key.seal_head(_head_of(scope), there.name))
        return peer


_TOLD: Final[Any] = object()


async def _tell_busy(scope: dict[str, Any], send: Send) -> None:
    if scope["type"] == "http":
        headers = [(b"retry-after", b"1"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": _BUSY, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1013, "reason": ""})


# the head of a request


class _Head(NamedTuple):
    type: str
    method: str
    path: str
    root_path: str
    query: str
    scheme: str
    client: str
    headers: list[list[str]]


def _head_of(scope: Mapping[str, Any]) -> dict[str, Any]:
    client = scope.get("client")
    return _Head(
        type=scope["type"],
        method=scope.get("method", "GET"),
        path=scope["path"],
        root_path=scope.get("root_path", ""),
        query=scope.get("query_string", b"").decode("latin-1"),
        scheme=scope.get("scheme", "http"),
        client=client[0] if client else "",
        headers=[
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ],
    )._asdict()


def _scope_of(
    said: Mapping[str, Any], at: Mapping[str, Any], socket: SocketControl
) -> dict[str, Any]:
    """The ASGI scope of what another process has let in.

    Args:
        said: Its head.
        at: Scope of the WebSocket on which it came.
        socket: That one's.
    """
    head = _Head(**said)
    return {
        "type": head.type,
        "asgi": at["asgi"],
        "http_version": "1.1",
        "server": at.get("server"),
        "method": head.method,
        "path": head.path,
        "raw_path": head.path.encode("latin-1", "replace"),
        "root_path": head.root_path,
        "query_string": head.query.encode("latin-1"),
        "scheme": head.scheme,
        "client": (head.client, 0) if head.client else None,
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers
        ],
        "subprotocols": [],
        "state": {},
        "extensions": {EXTENSION: socket} if head.type == "websocket" else {},
        CARRIED: True,
    }


# the door


def _is_short(scope: Mapping[str, Any]) -> bool:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= MAX_BODY_BYTES


async def _whole(receive: Receive) -> list[dict[str, Any]]:
    """The events of a short body, as far as they come in time."""
    events: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(_BODY_S):
            while not events or events[-1].get("more_body"):
                events.append(await receive())
    except TimeoutError:
        pass
    return events


def _pc_id(events: list[dict[str, Any]]) -> str:
    try:
        body: Any = json.loads(b"".join(event.get("body", b"") for event in events))
    except (ValueError, RecursionError):
        return ""
    named = cast("dict[str, Any]", body).get("pc_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) else ""


def _again(events: list[dict[str, Any]], receive: Receive) -> Receive:
    """Have events received once more, and then what comes behind them."""
    left = iter(events)

    async def next_one() -> dict[str, Any]:
        for event in left:
            return event
        return await receive()

    return next_one


def _pieces(body: bytes) -> Iterator[bytes]:
    """A body, in messages that a WebSocket of ours takes."""
    return (body[at : at + _PIECE_BYTES] for at in range(0, len(body), _PIECE_BYTES))


async def _ask(peer: ClientConnection, receive: Receive, send: Send) -> None:
    """Take a request there, and its answer back."""

    async def up() -> None:
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                await peer.close(_AWAY)
                return
            for piece in _pieces(event.get("body", b"")):
                await peer.send(piece)
            if not event.get("more_body"):
                await peer.send(_END)
                return

    asking = asyncio.ensure_future(up())
    begun = False
    try:
        async for message in peer:
            if not begun:
                begun = True
                said = json.loads(message)
                headers = [(a.encode("latin-1"), b.encode("latin-1")) for a, b in said["headers"]]
                status = said["status"]
                await send({"type": "http.response.start", "status": status, "headers": headers})
            elif isinstance(message, bytes):
                await send({"type": "http.response.body", "body": message, "more_body": True})
    except ConnectionClosed:
        pass
    finally:
        asking.cancel()
        await asyncio.wait({asking})
    if not begun:
        await _tell_busy({"type": "http"}, send)
    else:
        await send({"type": "http.response.body", "body": b""})


async def _talk(
    peer: ClientConnection, scope: Mapping[str, Any], receive: Receive, send: Send
) -> None:
    """Take a WebSocket there."""
    socket = SocketControl.of(dict(scope)) or SocketControl()
    socket.take_texts()
    await receive()  # websocket.connect

    async def up() -> None:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                code = event.get("code", _GONE)
                await peer.close(code if code in (1000, 1001) or code >= 3000 else _AWAY)
                return
            text = event.get("text")
            await peer.send(text if text is not None else event.get("bytes") or b"")

    async def down() -> None:
        try:
            said = json.loads(await peer.recv())
            await send({"type": "websocket.accept", "subprotocol": said["accept"]})
            socket.admitted()
            async for message in peer:
                kind = "text" if isinstance(message, str) else "bytes"
                await send({"type": "websocket.send", kind: message})
        except ConnectionClosed:
            pass
        code = peer.close_code or _GONE
        reason = peer.close_reason or ""
        await send(
            {
                "type": "websocket.close",
                "code": _AWAY if code in (1005, _GONE) else code,
                "reason": reason,
            }
        )

    tasks = {asyncio.ensure_future(up()), asyncio.ensure_future(down())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# the owner


async def serve_passage(
    app: Any,
    head: Mapping[str, Any],
    at: Mapping[str, Any],
    receive: Receive,
    send: Send,
    socket: SocketControl,
) -> None:
    """Answer what another process has let in.

    Args:
        app: Answers it.
        head: Its head.
        at: Scope of the WebSocket on which it came, which is accepted.
        receive: Of that WebSocket.
        send: Of the same.
        socket: What else can be done to it.
    """
    scope = _scope_of(head, at, socket)
    socket.admitted()
    if scope["type"] == "http":
        await app(scope, _body_from(receive), _answer_to(send))
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
    else:
        await app(scope, _messages_from(receive), _messages_to(send))


def _body_from(receive: Receive) -> Receive:
    async def next_one() -> dict[str, Any]:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return {"type": "http.disconnect"}
        ends = event.get("text") == _END
        return {"type": "http.request", "body": event.get("bytes") or b"", "more_body": not ends}

    return next_one


def _answer_to(send: Send) -> Send:
    async def tell(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            headers = [[a.decode("latin-1"), b.decode("latin-1")] for a, b in event["headers"]]
            said = json.dumps({"status": event["status"], "headers": headers})
            await send({"type": "websocket.send", "text": said})
            return
        for piece in _pieces(event.get("body", b"")):
            await send({"type": "websocket.send", "bytes": piece})

    return tell


def _messages_from(receive: Receive) -> Receive:
    begun = False

    async def next_one() -> dict[str, Any]:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "websocket.connect"}
        return await receive()

    return next_one


def _messages_to(send: Send) -> Send:
    async def tell(event: dict[str, Any]) -> None:
        if event["type"] == "websocket.accept":
            said = json.dumps({"accept": event.get("subprotocol")})
            event = {"type": "websocket.send", "text": said}
        await send(event)

    return tell
