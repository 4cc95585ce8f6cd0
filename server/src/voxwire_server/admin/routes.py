"""The operator's routes: sessions are listed and ended, figures are read.

They are there only with a key of their own. They are no page's: whatever has an Origin is refused.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxwire_server.admin.meters import CONTENT_TYPE, Meters
from voxwire_server.control.intake import Rate, TokenBucket
from voxwire_server.strict_json import checked, load_json

__all__ = ["MIN_KEY_CHARS", "AdminKeyError", "EndBody", "Live", "admin_routes", "check_admin_key"]

_log = logging.getLogger("voxwire.admin")

MIN_KEY_CHARS: Final = 32
_LOG_RATE: Final = Rate(1, 20)
"""Wrong keys in the log: a second, and at once."""
_MAX_BODY_BYTES: Final = 2048
_MAX_REASON_CHARS: Final = 200
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_SHAPE: Final = (
    f'the body must be empty or {{"reason": "..."}} of at most {_MAX_REASON_CHARS} characters'
)

Answer = Callable[[Request], Awaitable[Response]]


class EndBody(BaseModel):
    """The body of ``DELETE /v1/sessions/{id}``; it may be missing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    reason: Annotated[str, StringConstraints(max_length=_MAX_REASON_CHARS)] = ""


class AdminKeyError(ValueError):
    """The operator's key cannot be used."""


class Live(Protocol):
    """The sessions of this process, as an operator sees them."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """What each is: plain values that JSON can hold."""
        ...

    @property
    def waiting(self) -> int:
        """How many clients wait for a place."""
        ...

    def one(self, session_id: str) -> dict[str, Any] | None:
        """What one is; None = there is no such session."""
        ...

    def end(self, session_id: str, reason: str) -> bool:
        """End one, and tell its client why; False = there is no such session."""
        ...


def check_admin_key(key: str) -> None:
    """Look at ``VOXWIRE_ADMIN_KEY``.

    Raises:
        AdminKeyError: It is too short to be a secret.
    """
    if key and len(key) < MIN_KEY_CHARS:
        raise AdminKeyError(
            f"VOXWIRE_ADMIN_KEY needs at least {MIN_KEY_CHARS} characters: openssl rand -hex 32"
        )


def admin_routes(key: str, live: Live, meters: Meters) -> list[Route]:
    """``GET /v1/sessions``, ``GET`` and ``DELETE /v1/sessions/{id}``, ``GET /metrics``.

    Args:
        key: What ``Authorization: Bearer`` must have.
        live: The sessions.
        meters: The figures.
    """
    expected = hashlib.sha256(key.encode()).digest()
    lines = TokenBucket(_LOG_RATE)

    def guarded(answer: Answer) -> Answer:
        async def guard(request: Request) -> Response:
            if "origin" in request.headers:
                return _no(403, "FORBIDDEN", "these routes are no page's")
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            digest = hashlib.sha256(given.strip().encode()).digest()
            right = hmac.compare_digest(digest, expected)
            if scheme.lower() != "bearer" or not right:
                if lines.take(time.monotonic() * 1000):
                    _log.warning("turned away: %s without the admin key", request.method)
                return _no(401, "UNAUTHORIZED", "Authorization must be: Bearer VOXWIRE_ADMIN_KEY")
            return await answer(request)

        return guard

    async def sessions(_: Request) -> Response:
        listed = {"sessions": list(live), "waiting": live.waiting}
        return JSONResponse(listed, headers=_HEADERS)

    async def session(request: Request) -> Response:
        found = live.one(request.path_params["id"])
        return _gone() if found is None else JSONResponse(found, headers=_HEADERS)

    async def end(request: Request) -> Response:
        reason = _reason_of(await _body_of(request))
        if reason is None:
            return _no(422, "INVALID_ARGUMENT", _SHAPE)
        session_id = request.path_params["id"]
        if not live.end(session_id, reason):
            return _gone()
        _log.warning("ended by the operator", extra={"session": session_id})
        return Response(status_code=204, headers=_HEADERS)

    async def metrics(_: Request) -> Response:
        return Response(meters.text(), headers=_HEADERS, media_type=CONTENT_TYPE)

    return [
        Route("/v1/sessions", guarded(sessions), methods=["GET"]),
        Route("/v1/sessions/{id}", guarded(session), methods=["GET"]),
        Route("/v1/sessions/{id}", guarded(end), methods=["DELETE"]),
        Route("/metrics", guarded(metrics), methods=["GET"]),
    ]


async def _body_of(request: Request) -> bytes | None:
    """The body; None = it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            return None
    return bytes(body)


def _reason_of(body: bytes | None) -> str | None:
    """The reason in a body, empty where it has none; None = the body is something else."""
    if body is None:
        return None
    asked = checked(EndBody, load_json(body)) if body else EndBody()
    return asked.reason if isinstance(asked, EndBody) and asked.reason.isprintable() else None


def _no(status: int, code: str, reason: str) -> Response:
    challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"code": code, "reason": reason}, status, {**_HEADERS, **challenge})


def _gone() -> Response:
    return _no(404, "SESSION_EXPIRED", "there is no such session here")
