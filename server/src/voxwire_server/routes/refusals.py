"""Telling why a request is turned away: the client in the answer's body, the operator in the log.

A browser shows a page nothing of a refused WebSocket, so the page asks once more over plain HTTP
(``POST /v1/session``); that one answer may be read by a page of any origin. It says how the server
is set up to refuse this request, and nothing of the request, of its bots or of its sessions.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from voxwire_server.control.intake import Rate, TokenBucket
from voxwire_server.gate import Refusal

__all__ = ["SESSION_PATH", "TOO_MANY", "NotHere", "Refusals", "body_of", "cors_headers"]

_log = logging.getLogger("voxwire.gate")

SESSION_PATH: Final = "/v1/session"
"""Path of the control channel below the application's own."""

_LOG_RATE: Final = Rate(1, 20)
"""Refusals in the log: a second, and at once."""

_MAX_HEADER_CHARS: Final = 100

TOO_MANY: Final = Refusal(
    429,
    "RATE_LIMITED",
    "too many sockets are open that have said no Hello; try again in a second",
)
_NOT_HERE: Final = Refusal(
    404, "UNREACHABLE", f"no control channel is here: its path ends in {SESSION_PATH}"
)

Send = Callable[[dict[str, Any]], Awaitable[None]]


def cors_headers(origin: str) -> dict[str, str]:
    """Headers with which a page of that origin may read an answer; no cookie goes along."""
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def body_of(refusal: Refusal) -> bytes:
    """The body of an answer that turns a request away: JSON with ``code`` and ``reason``."""
    return json.dumps({"code": refusal.code, "reason": refusal.reason}).encode()


class Refusals:
    """Answers requests that are turned away."""

    def __init__(self) -> None:
        self._lines = TokenBucket(_LOG_RATE)

    async def tell(self, scope: dict[str, Any], send: Send, refusal: Refusal) -> None:
        """Answer a request, or the head of a WebSocket, with the reason; log what came.

        A server without the ASGI extension ``websocket.http.response`` answers 403 without it.
        """
        self._note(scope, refusal)
        kind = "http.response"
        if scope["type"] == "websocket":
            kind = "websocket.http.response"
            if kind not in scope.get("extensions", {}):
                reason = refusal.reason[:120]
                await send({"type": "websocket.close", "code": 1008, "reason": reason})
                return
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if scope["path"].endswith(SESSION_PATH):
            headers |= cors_headers("*")
        body = body_of(refusal)
        headers["Content-Length"] = str(len(body))
        if refusal.status == 429:
            headers["Retry-After"] = "1"
        head = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": f"{kind}.start", "status": refusal.status, "headers": head})
        await send({"type": f"{kind}.body", "body": body})

    def _note(self, scope: dict[str, Any], refusal: Refusal) -> None:
        if self._lines.take(time.monotonic() * 1000):
            host, origin = _header(scope, b"host"), _header(scope, b"origin")
            _log.warning(
                "turned away: host %s, origin %s: %s", host or "-", origin or "-", refusal.reason
            )


class NotHere:
    """ASGI endpoint for WebSockets at any path but the control channel's.

    Args:
        refusals: Answers them.
    """

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Turn one WebSocket away."""
        await receive()  # websocket.connect
        await self._refusals.tell(scope, send, _NOT_HERE)


def _header(scope: dict[str, Any], wanted: bytes) -> str:
    values = (value.decode("latin-1") for name, value in scope["headers"] if name == wanted)
    return ", ".join(values)[:_MAX_HEADER_CHARS]
