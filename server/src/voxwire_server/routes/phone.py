"""``/phone/<vendor>`` and ``WS /phone/<vendor>/media``: telephone calls.

A vendor announces a call by a webhook, which it signs; the answer opens a WebSocket, and a ticket
in it says which call that is. Whoever has neither signature nor ticket is told nothing of why.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from voxwire_protocol import wire
from voxwire_protocol.errors import VoxwireError
from voxwire_server.authenticator import Identity
from voxwire_server.control.intake import Rate, TokenBucket
from voxwire_server.gate import Refusal, address_of, headers_of
from voxwire_server.phone.exchange import OUTGOING, TRANSFER, Exchange
from voxwire_server.phone.tickets import Admission, Tickets
from voxwire_server.phone.vendor import (
    TICKET,
    Dialect,
    Document,
    ForgedError,
    Started,
    Vendor,
    Webhook,
    WireError,
)
from voxwire_server.ports import PhoneCall, SessionFacts
from voxwire_server.proxies import PublicUrl
from voxwire_server.routes.bodies import NO_STORE, RefusedRequestError, read_body
from voxwire_server.routes.carrying import data_of
from voxwire_server.routes.entrance import Entrance, Receive, Send
from voxwire_server.routes.phone_call import PhoneArrival, serve
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.session.directory import Directory
from voxwire_server.session.start_rates import StartRateError, StartRates
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.ticket import Here, Refused, Ticket

__all__ = ["PhoneDoor"]

_log = logging.getLogger("voxwire.phone")

_MAX_BODY_BYTES: Final = 32_768
_MAX_FIRST: Final = 8
"""Messages that may come before the one that begins the stream."""
_MAX_FIELDS: Final = 16
_MAX_PARAMETERS: Final = 8
_MAX_PARAMETER_CHARS: Final = 128
_FEATURES: Final = frozenset({wire.Feature.FEATURE_WORDS, wire.Feature.FEATURE_PLAYOUT_REPORTS})
_FORBIDDEN: Final = Refusal(403, "FORBIDDEN", "this is for the vendor of a telephone number")
_NOT_NOW: Final = Refused(wire.ErrorCode.ERROR_CODE_CAPACITY, "the server cannot tell just now")
_LOG_RATE: Final = Rate(1, 20)
"""Strangers in the log: a second, and at once."""
_NOBODY: Final = Refused(wire.ErrorCode.ERROR_CODE_FORBIDDEN, _FORBIDDEN.reason)


class PhoneDoor:
    """The routes of the vendors that bring calls.

    Args:
        vendors: Those of the settings.
        directory: Puts callers on sessions.
        entrance: Lets WebSockets in.
        public: Where vendors find the server.
        tickets: Makes tickets.
        exchange: Puts calls through.
        starts: Counts, by address, those who are no vendor.
        start_timeout_ms: How long a WebSocket may take to say which call it is.
        dead_after_ms: A vendor from whom nothing comes for so long is gone.
        now_s: Seconds since the epoch.
    """

    def __init__(
        self,
        vendors: Sequence[Vendor],
        directory: Directory,
        entrance: Entrance,
        *,
        public: PublicUrl,
        tickets: Tickets,
        exchange: Exchange,
        starts: StartRates,
        start_timeout_ms: int,
        dead_after_ms: int,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._vendors = vendors
        self._directory = directory
        self._entrance = entrance
        self._public = public
        self._tickets = tickets
        self._exchange = exchange
        self._starts = starts
        self._start_timeout_ms = start_timeout_ms
        self._dead_after_ms = dead_after_ms
        self._now_s = now_s
        self._lines = TokenBucket(_LOG_RATE)

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        found: list[BaseRoute] = []
        for vendor in self._vendors:
            path = f"/phone/{vendor.name}"
            methods = list(vendor.methods)
            found.append(Route(path, self._webhook_of(vendor), methods=methods))
            found.append(WebSocketRoute(f"{path}/media", _Socket(self, vendor)))
        return found

    # the webhook

    def _webhook_of(self, vendor: Vendor) -> Callable[[Request], Awaitable[Response]]:
        async def webhook(request: Request) -> Response:
            try:
                return await self._answer(vendor, request)
            except ForgedError as error:
                code = self._stranger(vendor, request.scope, error)
                status = 429 if code != _NOBODY.code else _FORBIDDEN.status
                return RefusedRequestError(status, code, _NOBODY.reason).response()
            except StoreUnreachableError:
                _log.error("nobody can say whether a webhook came before", extra=_of(vendor))
                return _response(vendor.busy())
            except RefusedRequestError as error:
                return error.response()

        return webhook

    def _stranger(self, vendor: Vendor, scope: Any, error: Exception) -> wire.ErrorCode:
        """Count somebody who is not the vendor; with what he is refused."""
        code = _NOBODY.code
        try:
            self._starts.turned_away(address_of(scope))
        except StartRateError:
            code = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
        if self._lines.take(time.monotonic() * 1000):
            _log.warning("not from the vendor", extra={"why": str(error), **_of(vendor)})
        self._directory.doorkeeper.turned_away(code)
        return code

    async def _answer(self, vendor: Vendor, request: Request) -> Response:
        now_s = self._now_s()
        webhook = await self._read(vendor, request)
        ringing = vendor.ringing(webhook, now_s)
        if ringing.proof:
            proof = f"{vendor.name}/{_digest(ringing.proof)}"
            await self._only_once(proof, now_s + ringing.proof_s + 1)
        query = dict(request.query_params)
        forward = self._forward(vendor, query.pop(TRANSFER, ""))
        if forward is not None:
            return _response(forward)
        outgoing = bool(query.pop(OUTGOING, "")) or ringing.outgoing
        admission = Admission("", 0, ringing, query.pop("bot", ""), outgoing)
        ticket = self._ticket_of(vendor, admission, request.scope)
        refused = self._directory.doorkeeper.refusal_of(ticket)
        if refused is not None:
            _log.warning("a call is turned away", extra={"why": refused.reason, **_of(vendor)})
            document = vendor.busy()
        else:
            text = self._tickets.make(
                vendor.name, ringing, bot=admission.bot, now_s=now_s, outgoing=outgoing
            )
            url = f"{self._public.websocket}/phone/{vendor.name}/media"
            document = vendor.answer(url, ringing, {TICKET: text, **_parameters(vendor, query)})
        return _response(document)

    def _forward(self, vendor: Vendor, to: str) -> Document | None:
        """What puts a call through, where the vendor asks to whom.

        Raises:
            ForgedError: He may not be called.
        """
        if not to:
            return None
        try:
            return vendor.forward(self._exchange.number(to))
        except VoxwireError:
            raise ForgedError("a transfer to a number that may not be called") from None

    async def _read(self, vendor: Vendor, request: Request) -> Webhook:
        body = b""
        if request.method == "POST":
            body = await read_body(request, _MAX_BODY_BYTES, vendor.body_type)
        return Webhook(
            method=request.method,
            url=self._url(self._public.http, f"/phone/{vendor.name}", request.scope),
            headers=headers_of(request.scope),
            body=body,
            address=address_of(request.scope),
        )

    @staticmethod
    def _url(prefix: str, path: str, scope: Any) -> str:
        query = scope["query_string"].decode("latin-1")
        return f"{prefix}{path}?{query}" if query else f"{prefix}{path}"

    def _ticket_of(self, vendor: Vendor, admission: Admission, scope: Any) -> Ticket:
        ringing = admission.ringing
        who = ringing.called if admission.outgoing else ringing.caller
        return Ticket(
            known=Identity(user=f"tel:{who or 'unknown'}"[:128]),
            bot=admission.bot,
            counted=True,  # all calls of a vendor come from a few addresses
            address=address_of(scope),
        )

    async def _only_once(self, what: str, until_s: float) -> None:
        """Refuse what has come before.

        Raises:
            ForgedError: It has.
            StoreUnreachableError: Nobody can say.
        """
        if not await self._directory.once.first(f"phone/{what}", until_s):
            raise ForgedError("it has come before")

    # the WebSocket

    async def talk(
        self, vendor: Vendor, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        """Serve one WebSocket."""
        url = self._url(self._public.websocket, f"/phone/{vendor.name}/media", scope)
        signed = vendor.may_open(url, headers_of(scope), self._now_s())
        refusal = None if signed else _FORBIDDEN
        async with self._entrance.let_in(scope, receive, send, refusal) as socket:
            if socket is not None:
                socket.take_texts()
                await send({"type": "websocket.accept"})
                await self._talk(vendor, scope, receive, send, socket)

    async def _talk(
        self,
        vendor: Vendor,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        socket: SocketControl,
    ) -> None:
        dialect = vendor.dialect()
        try:
            async with asyncio.timeout(self._start_timeout_ms / 1000):
                started = await _started(dialect, receive)
            if started is None:
                return
            admission = await self._let_in(vendor, scope, started)
        except TimeoutError:
            reason = f"no stream was begun within {self._start_timeout_ms} ms"
            await self._turn_away(send, Refused(wire.ErrorCode.ERROR_CODE_TIMEOUT, reason))
            return
        except (ForgedError, WireError) as error:
            code = self._stranger(vendor, scope, error)
            await self._turn_away(send, Refused(code, _NOBODY.reason), counted=True)
            return
        except StoreUnreachableError:
            _log.error("nobody can say whether a ticket came before", extra=_of(vendor))
            await self._turn_away(send, _NOT_NOW)
            return
        call = PhoneArrival(send, socket, dialect, dead_after_ms=self._dead_after_ms)
        transfer = partial(self._exchange.transfer, vendor.name, started.call_id)
        facts = _facts(vendor, admission, started, transfer)
        ticket = self._ticket_of(vendor, admission, scope)
        answer = await self._directory.attach(ticket, facts, call)
        if isinstance(answer, Here):
            socket.admitted()
            await serve(answer.session, call, receive)
        elif isinstance(answer, Refused):
            await self._turn_away(send, answer, counted=True)

    async def _let_in(self, vendor: Vendor, scope: Any, started: Started) -> Admission:
        """What the ticket lets in that came with the stream, or in its URL.

        Raises:
            ForgedError: It lets nothing in.
            StoreUnreachableError: Nobody can say whether it came before.
        """
        given = started.parameters.get(TICKET) or _query_of(scope).get(TICKET, "")
        now_s = self._now_s()
        admission = self._tickets.read(vendor.name, given, call_id=started.call_id, now_s=now_s)
        await self._only_once(f"ticket/{admission.once}", admission.until_s + 1)
        return admission

    async def _turn_away(self, send: Send, refused: Refused, *, counted: bool = False) -> None:
        if not counted:
            self._directory.doorkeeper.turned_away(refused.code)
        code = 4000 + refused.code
        await send({"type": "websocket.close", "code": code, "reason": refused.reason[:120]})


class _Socket:
    """ASGI endpoint of one vendor's WebSockets."""

    def __init__(self, door: PhoneDoor, vendor: Vendor) -> None:
        self._door = door
        self._vendor = vendor

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await self._door.talk(self._vendor, scope, receive, send)


async def _started(dialect: Dialect, receive: Receive) -> Started | None:
    """The message that begins the stream; None = the vendor has gone.

    Raises:
        WireError: Something else came.
    """
    for _ in range(_MAX_FIRST):
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return None
        said = dialect.decode(data_of(event))
        if isinstance(said, Started):
            return said
    raise WireError("the stream does not begin")


def _facts(
    vendor: Vendor,
    admission: Admission,
    started: Started,
    transfer: Callable[[str], Awaitable[None]],
) -> SessionFacts:
    ringing = admission.ringing
    sent = {name: value for name, value in started.parameters.items() if name != TICKET}
    call = PhoneCall(
        vendor=vendor.name,
        call_id=ringing.call_id,
        caller=ringing.caller,
        called=ringing.called,
        attestation=ringing.attestation or None,
        parameters=sent,
        outgoing=admission.outgoing,
        transfer=transfer,
    )
    return SessionFacts(features=_FEATURES, phone=call)


def _of(vendor: Vendor) -> dict[str, str]:
    return {"vendor": vendor.name}


def _response(document: Document) -> Response:
    return Response(document.text, media_type=document.media_type, headers=NO_STORE)


def _query_of(scope: Any) -> dict[str, str]:
    try:
        found = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _parameters(vendor: Vendor, query: dict[str, str]) -> dict[str, str]:
    """What the webhook's URL says besides the bot, for the stream to bring along."""
    named = [
        (name, value)
        for name, value in query.items()
        if name not in {TICKET, *vendor.own_query}
        and 0 < len(name) + len(value) <= _MAX_PARAMETER_CHARS
    ]
    return dict(named[:_MAX_PARAMETERS])


def _digest(proof: bytes) -> str:
    return hashlib.sha256(proof).hexdigest()
