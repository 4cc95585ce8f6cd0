"""``WS /ws-client``, ``/ws``: stock Pipecat clients, with frames or with RTVI as JSON text.

Which of the two a client speaks its first message says: ``@pipecat-ai/websocket-transport`` and
Pipecat's own clients send binary frames, ``pipecat eval`` sends text. The token comes as bearer, as
``?token=`` or as the last segment of the path, as Pipecat's runner takes it; no part of a path is
ever logged. What a page asks of its session stands in ``?body=``, as Pipecat Cloud takes it.
"""

import asyncio
import base64
import logging
import time
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

from voxwire_protocol import rtvi, wire
from voxwire_server.gate import address_of, headers_of
from voxwire_server.ports import SessionFacts
from voxwire_server.routes.carrying import carry, data_of, read
from voxwire_server.routes.entrance import Entrance, Receive, Send
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.routes.stock_peer import StockSocket, client_of, message_to, wants_silence
from voxwire_server.routes.stock_starts import Asked, Owner, Starts, asked_of
from voxwire_server.routes.stock_uploads import GiveUpload, Uploads
from voxwire_server.sent_files import FileRefusal
from voxwire_server.session.directory import Directory
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import At, Here, Refused, Ticket
from voxwire_server.strict_json import load_json

__all__ = ["STOCK_PATHS", "StockSocketRoute"]

_log = logging.getLogger("voxwire.control")

STOCK_PATHS: Final = ("/ws-client", "/ws-client/{token}", "/ws", "/ws/{token}")

_MAX_FIRST_BYTES: Final = 16_384
_MAX_FIELDS: Final = 16
_LEFT: Final = (1000, 1001)
_FEATURES: Final = frozenset({wire.Feature.FEATURE_WORDS, wire.Feature.FEATURE_WEBSOCKET_AUDIO})
_WITH_TOOLS: Final = _FEATURES | {wire.Feature.FEATURE_CLIENT_TOOLS}
_STRANGERS: Final = frozenset(
    {wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, wire.ErrorCode.ERROR_CODE_FORBIDDEN}
)
_CLOSED_TO_YOU: Final = 4003
"""What Pipecat's runner closes with for a token that is not good."""


class StockSocketRoute:
    """ASGI endpoint of the WebSockets of stock clients.

    Order of admission: Host, Origin before the upgrade; then a first message within 5 s and 16 KB;
    then what the directory decides.

    Args:
        directory: Puts clients on sessions.
        entrance: Lets WebSockets in.
        starts: What ``POST /start`` promised.
        uploads: The files that stock clients have uploaded.
        first_timeout_ms: Longest wait for the first message.
        about: What ``bot-ready`` says of this server.
    """

    def __init__(
        self,
        directory: Directory,
        entrance: Entrance,
        starts: Starts,
        uploads: Uploads,
        *,
        first_timeout_ms: int,
        about: dict[str, Any],
    ) -> None:
        self._directory = directory
        self._entrance = entrance
        self._starts = starts
        self._uploads = uploads
        self._first_timeout_ms = first_timeout_ms
        self._about = about

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        async with self._entrance.let_in(scope, receive, send) as socket:
            if socket is not None:
                socket.take_texts()
                await self._talk(scope, receive, send, socket)

    async def _talk(
        self, scope: dict[str, Any], receive: Receive, send: Send, socket: SocketControl
    ) -> None:
        await send({"type": "websocket.accept"})
        first = await self._first(receive)
        if not isinstance(first, str | bytes):
            if first is not None:
                await _turn_away(send, first, as_text=False)
            return
        as_text = isinstance(first, str)
        silent = wants_silence(first)
        try:
            asked = _asked_of(scope)
        except ValueError:  # before a start is used up for it
            code = wire.ErrorCode.ERROR_CODE_MALFORMED
            reason = "?body= must be base64 of JSON, of at most 8 KB"
            await _turn_away(send, Refused(code, reason), as_text=as_text)
            return
        ticket = _ticket_of(scope, is_local=self._entrance.gate.is_local_program(scope))
        start = self._starts.take(ticket.token, _origin(scope), time.monotonic() * 1000)
        if start is not None:
            ticket = replace(start.ticket, address=ticket.address)
        ticket = await self._directory.doorkeeper.vouched(ticket)
        owner = Owner.of(_origin(scope), ticket.secret)

        def take_upload(url: str, give: GiveUpload) -> FileRefusal | None:
            return self._uploads.hand_on(url, [owner], time.monotonic() * 1000, give)

        client = StockSocket(
            send,
            socket,
            as_text=as_text,
            silent=silent,
            about=self._about,
            take_upload=take_upload,
        )
        asked = asked or (Asked() if start is None else start.asked)
        facts = SessionFacts(
            features=_WITH_TOOLS if asked.tools else _FEATURES,
            origin=_origin(scope),
            client=client_of(first),
            metadata_json=asked.metadata_json,
            tools=asked.tools,
            speaks=not silent,
        )
        answer = await self._directory.attach(ticket, facts, client)
        match answer:
            case Here(session):
                socket.admitted()
                await _serve(session, client, first, receive)
            case At():
                code = wire.ErrorCode.ERROR_CODE_GOING_AWAY
                reason = "another process of this service has the session"
                await _turn_away(send, Refused(code, reason), as_text=as_text)
            case Refused():
                if start is not None:
                    self._starts.give_back(start)
                await _turn_away(send, answer, as_text=as_text)

    async def _first(self, receive: Receive) -> str | bytes | Refused | None:
        """The first message, why there is none that can be taken, or None: the client is gone."""
        try:
            event = await asyncio.wait_for(receive(), self._first_timeout_ms / 1000)
        except TimeoutError:
            reason = f"no message within {self._first_timeout_ms} ms"
            return Refused(wire.ErrorCode.ERROR_CODE_TIMEOUT, reason)
        if event["type"] == "websocket.disconnect":
            return None
        data = data_of(event)
        if len(data) > _MAX_FIRST_BYTES:
            reason = f"the first message has at most {_MAX_FIRST_BYTES} bytes"
            return Refused(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
        return data


async def _serve(
    session: Session, client: StockSocket, first: str | bytes, receive: Receive
) -> None:
    """Carry the session until the socket is gone."""

    def gone(code: int) -> None:
        client.gone(left=code in _LEFT)

    await carry(session.id, client.link, _read(client, first, receive), gone)


async def _read(client: StockSocket, first: str | bytes, receive: Receive) -> int:
    await asyncio.sleep(client.receive(first) / 1000)
    return await read(receive, client.receive)


async def _turn_away(send: Send, refused: Refused, *, as_text: bool) -> None:
    reason = {"error": refused.reason, "message": refused.reason, "fatal": True}
    text = rtvi.encode(rtvi.RtviMessage("error", reason))
    await send({"type": "websocket.send", **message_to(text, as_text=as_text)})
    code = _CLOSED_TO_YOU if refused.code in _STRANGERS else 4000 + refused.code
    await send({"type": "websocket.close", "code": code, "reason": refused.reason[:120]})


def _origin(scope: dict[str, Any]) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"origin"), b"")


def _query_of(scope: dict[str, Any]) -> dict[str, list[str]]:
    """The fields of the query; of one with more than 16 nothing is read."""
    try:
        return parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}


def _asked_of(scope: dict[str, Any]) -> Asked | None:
    """What ``?body=`` asks: base64 of the JSON that a start has as its ``body``; None = nothing.

    Raises:
        ValueError: It is none.
    """
    given = _query_of(scope).get("body", [""])[0]
    if not given:
        return None
    plain = given.replace(" ", "+").replace("-", "+").replace("_", "/")  # either alphabet
    body = load_json(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    if body is None:
        raise ValueError
    return asked_of(body)


def _ticket_of(scope: dict[str, Any], *, is_local: bool) -> Ticket:
    query = _query_of(scope)
    bearer = b"".join(value for name, value in scope["headers"] if name == b"authorization")
    scheme, _, given = bearer.decode("latin-1").partition(" ")
    token: str = scope.get("path_params", {}).get("token", "")
    if not token and scheme.lower() == "bearer":
        token = given.strip()
    return Ticket(
        token=token or query.get("token", [""])[0],
        bot=query.get("bot", [""])[0],
        is_local=is_local,
        address=address_of(scope),
        headers=headers_of(scope),
    )
