"""``POST /start``, ``/api/offer``, ``/files``, ``GET /status``: stock clients.

The shapes are those of Pipecat's runner (pipecat 1.14 ``runner/run.py``) as its clients need them.
A page of another origin reads the answers where the gate lets that origin in.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Route

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError
from voxwire_server.gate import Gate, address_of, headers_of
from voxwire_server.ice_servers import IceServers
from voxwire_server.routes.bodies import (
    NO_STORE,
    RefusedRequestError,
    invalid,
    read_json_body,
)
from voxwire_server.routes.refusals import cors_headers
from voxwire_server.routes.stock_bodies import (
    MAX_BODY_BYTES,
    Body,
    CandidatesBody,
    OfferBody,
    StartBody,
)
from voxwire_server.routes.stock_daily import Guests
from voxwire_server.routes.stock_files import StockFiles
from voxwire_server.routes.stock_offers import Offers, refused_request
from voxwire_server.routes.stock_starts import Asked, Owner, Start, Starts, asked_of
from voxwire_server.session.doorkeeper import Doorkeeper
from voxwire_server.session.ticket import Refused, Ticket
from voxwire_server.strict_json import checked, load_json

__all__ = ["StockHttp"]

_ALLOWED: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
_NOT_FOUND: Final = RefusedRequestError(
    404, wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED, "no such session or connection"
)
_Answer = Callable[[Request], Awaitable[Any]]
_Asks = TypeVar("_Asks", bound=Body)


class StockHttp:
    """The HTTP routes of stock clients.

    Args:
        doorkeeper: Says who may begin a session.
        gate: Says who is a program of this machine.
        offers: The connections.
        starts: The promises.
        ice: The STUN and TURN servers.
        files: Takes uploads.
        guests: Brings clients through Daily rooms; None = there are none.
    """

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        gate: Gate,
        offers: Offers,
        starts: Starts,
        ice: IceServers,
        files: StockFiles,
        guests: Guests | None = None,
    ) -> None:
        self._doorkeeper = doorkeeper
        self._gate = gate
        self._offers = offers
        self._starts = starts
        self._ice = ice
        self._files = files
        self._guests = guests

    def routes(self) -> list[Route]:
        """The routes; a preflight of any of them is answered, too."""
        ways: list[tuple[str, dict[str, _Answer]]] = [
            ("/status", {"GET": self._status}),
            ("/start", {"POST": self._start}),
            ("/api/offer", {"POST": self._offer, "PATCH": self._candidates}),
            ("/sessions/{start}/api/offer", {"POST": self._offer, "PATCH": self._candidates}),
            ("/files", {"POST": self._upload}),
            ("/sessions/{start}/files", {"POST": self._upload}),
        ]
        return [Route(path, _endpoint(to), methods=[*to, "OPTIONS"]) for path, to in ways]

    async def _status(self, _: Request) -> dict[str, Any]:
        return {"status": "ready", "transports": self._transports()}

    def _transports(self) -> list[str]:
        found = ["webrtc", "websocket"] if find_spec("aiortc") is not None else ["websocket"]
        return found if self._guests is None else [*found, "daily"]

    async def _start(self, request: Request) -> dict[str, Any]:
        ticket = await self._vouched(self._ticket(request))
        asked = _parsed(StartBody, await read_json_body(request, MAX_BODY_BYTES, may_be_empty=True))
        transport = "daily" if asked.createDailyRoom else asked.transport
        if transport not in self._transports():
            reason = f"this server serves {' and '.join(self._transports())}"
            raise RefusedRequestError(400, wire.ErrorCode.ERROR_CODE_UNSUPPORTED, reason)
        refused = self._doorkeeper.refusal_of(ticket)
        if refused is not None:
            raise refused_request(refused)
        start = self._starts.add(ticket, _origin(request), _asked(asked.body), _now_ms())
        if start is None:
            code = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
            self._doorkeeper.turned_away(code)
            raise RefusedRequestError(429, code, "too many starts wait for their clients")
        if transport == "websocket":  # the stock client takes no other member
            return {"wsUrl": self._ws_url(request, start)}
        if transport == "daily":
            said = {"sessionId": start.id, **await self._room(start)}
        else:
            said = {"sessionId": start.id, **self._ice_config()}
        if self._doorkeeper.accepts(ticket.bot).any:
            said["fileUploadUrl"] = f"{self._gate.public.prefix}/sessions/{start.id}/files"
        return said

    async def _room(self, start: Start) -> dict[str, Any]:
        if self._guests is None:
            raise _NOT_FOUND
        url, token = await self._guests.invite(start)
        return {"dailyRoom": url, "dailyToken": token}

    def _ws_url(self, request: Request, start: Start) -> str:
        own = f"ws{str(request.base_url).removeprefix('http')}".rstrip("/")
        return f"{self._gate.public.websocket or own}/ws-client/{start.id}"

    def _ice_config(self) -> dict[str, Any]:
        servers = self._ice.mint(f"start.{time.time_ns():x}", now_s=time.time(), ttl_s=None)
        listed = [
            {
                "urls": list(server.urls),
                **({"username": server.username} if server.username else {}),
                **({"credential": server.credential} if server.credential else {}),
            }
            for server in servers
        ]
        return {"iceConfig": {"iceServers": listed}} if listed else {}

    async def _offer(self, request: Request) -> dict[str, Any]:
        start, ticket, owner = await self._let_in(request)
        asked = _parsed(OfferBody, await read_json_body(request, MAX_BODY_BYTES))
        again = asked.pc_id or ""
        if again and not asked.restart_pc:
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
            reason = "a connection is not renegotiated here: offer a new one with restart_pc"
            raise RefusedRequestError(409, code, reason)
        data = asked.request_data if asked.request_data is not None else asked.requestData
        wish = _asked(data) if start is None or data else start.asked
        ticket = await self._doorkeeper.vouched(ticket)
        if start is None and ticket.is_known:
            owner = _owner(request, ticket)
        shown = None if start is not None else self._shown(request)
        answer, pc_id = await self._offers.answer(
            asked.sdp, ticket, owner, wish, shown=shown, again=again, once=start is not None
        )
        if start is not None:
            self._starts.came(start)
        return {"sdp": answer, "type": "answer", "pc_id": pc_id}

    async def _candidates(self, request: Request) -> dict[str, Any]:
        start, _, owner = await self._let_in(request)
        shown = None if start is not None else self._shown(request)
        asked = _parsed(CandidatesBody, await read_json_body(request, MAX_BODY_BYTES))
        lines = [each.candidate for each in asked.candidates if each.candidate]
        if not self._offers.candidates(asked.pc_id, owner, lines, shown=shown):
            raise _NOT_FOUND
        return {"status": "success"}

    async def _upload(self, request: Request) -> dict[str, Any]:
        start = self._start_of(request)
        if start is not None:
            accepts = self._doorkeeper.accepts(start.ticket.bot)
            return await self._files.take(request, start.owner, accepts)
        ticket = await self._doorkeeper.vouched(self._ticket(request))
        admitted = self._doorkeeper.accepts_of(ticket)
        if isinstance(admitted, Refused):
            raise refused_request(admitted)
        return await self._files.take(request, _owner(request, ticket), admitted)

    # who

    async def _let_in(self, request: Request) -> tuple[Start | None, Ticket, Owner]:
        """Whoever offers, before his body is read: by his start, a connection, or his token.

        Who has a connection by the same credential is not asked about again.

        Raises:
            RefusedRequestError: He has none of them.
        """
        start, ticket = self._start_of(request), self._ticket(request)
        if start is not None:
            return start, replace(start.ticket, address=ticket.address), start.owner
        shown = self._shown(request)
        owner = None if shown is None else self._offers.owner_of(shown)
        if owner is None:
            ticket = await self._doorkeeper.vouched(ticket)
            owner = _owner(request, ticket)
        if owner not in self._offers.owners():
            await self._check(ticket)
        return None, ticket, owner

    async def _vouched(self, ticket: Ticket) -> Ticket:
        ticket = await self._doorkeeper.vouched(ticket)
        await self._check(ticket)
        return ticket

    async def _check(self, ticket: Ticket) -> None:
        refused = await self._doorkeeper.stranger(ticket)
        if refused is not None:
            raise refused_request(refused)

    def _start_of(self, request: Request) -> Start | None:
        """The start that the path names; None = the path names none.

        Raises:
            RefusedRequestError: It is not there, or another page's.
        """
        name = request.path_params.get("start")
        if name is None:
            return None
        start = self._starts.get(str(name), _origin(request), _now_ms())
        if start is None:
            raise _NOT_FOUND
        return start

    def _shown(self, request: Request) -> Owner | None:
        """The owner by the credential alone; None = it is of a kind that is not known here."""
        ticket = self._ticket(request)
        return _owner(request, ticket) if ticket.secret else None

    def _ticket(self, request: Request) -> Ticket:
        return Ticket(
            token=_bearer(request),
            bot=request.query_params.get("bot", ""),
            is_local=self._gate.is_local_program(request.scope),
            address=address_of(request.scope),
            headers=headers_of(request.scope),
        )


def _endpoint(ways: dict[str, _Answer]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        origin = request.headers.get("origin")
        cors = cors_headers(origin) if origin is not None else {}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**cors, **_ALLOWED})
        try:
            # Starlette answers HEAD where there is a GET; no body of it is ever sent
            method = "GET" if request.method == "HEAD" else request.method
            said = await ways[method](request)
        except RefusedRequestError as refused:
            answer = _told(refused)
        else:
            answer = JSONResponse(said, headers=NO_STORE)
        answer.headers.update(cors)
        return answer

    return endpoint


def _told(refused: RefusedRequestError) -> JSONResponse:
    """The answer to a request that is turned away; ``detail`` is what stock clients show."""
    code = wire.ErrorCode.Name(refused.code).removeprefix("ERROR_CODE_")
    said = {"code": code, "reason": refused.reason, "detail": refused.reason}
    return JSONResponse(said, refused.status, refused.headers)


def _parsed(model: type[_Asks], body: bytes) -> _Asks:
    asked = checked(model, load_json(body or b"{}"))
    if isinstance(asked, str):
        names = ", ".join(model.model_fields)
        what = f"{asked} is missing or not valid" if asked else f"its members are: {names}"
        raise invalid(f"the body must be a JSON object; {what}")
    return asked


def _asked(body: object) -> Asked:
    try:
        return asked_of(body)
    except JsonTextError as error:
        if error.code == ErrorCode.TOO_LARGE:
            code = wire.ErrorCode.ERROR_CODE_TOO_LARGE
            raise RefusedRequestError(413, code, error.reason) from None
        raise invalid(error.reason) from None


def _bearer(request: Request) -> str:
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _origin(request: Request) -> bytes:
    return request.headers.get("origin", "").encode("latin-1")


def _owner(request: Request, ticket: Ticket) -> Owner:
    return Owner.of(_origin(request), ticket.secret)


def _now_ms() -> float:
    return time.monotonic() * 1000
