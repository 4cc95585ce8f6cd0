"""``POST /v1/session``: would this page get its control channel, and which bots are there?

A page asks it when its WebSocket was not opened, since a browser hides why. It is asked with POST,
because then a browser names the Origin of a page of this very server, too; the gate has refused
already what it would refuse of a WebSocket (:mod:`voxwire_server.routes.refusals`).
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxwire_protocol import wire
from voxwire_server.routes.refusals import SESSION_PATH, cors_headers

__all__ = ["check_route"]


def check_route(bots: list[str]) -> Route:
    """The route; a GET says the same to people.

    Args:
        bots: Names that may be told to whoever passes the gate.
    """

    async def answer(request: Request) -> Response:
        origin = request.headers.get("origin")
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if origin is not None:
            headers |= cors_headers(origin)
        return JSONResponse({"protocol": wire.SUBPROTOCOL, "bots": bots}, headers=headers)

    return Route(SESSION_PATH, answer, methods=["GET", "POST"])
