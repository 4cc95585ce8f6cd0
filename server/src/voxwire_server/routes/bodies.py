"""Bodies of HTTP requests: read within a size and a time, and refused with a reason."""

import asyncio
import math
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from voxwire_protocol import wire

__all__ = [
    "JSON",
    "NO_STORE",
    "RefusedRequestError",
    "check_length",
    "invalid",
    "read_body",
    "read_json_body",
]

JSON: Final = "application/json"
_BODY_TIMEOUT_MS: Final = 5000
NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class RefusedRequestError(Exception):
    """The request is turned away; the reason is fixed text or names one of our own fields."""

    def __init__(
        self, status: int, code: wire.ErrorCode, reason: str, *, retry_after_ms: int = 0
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms

    @property
    def headers(self) -> dict[str, str]:
        """Those of the answer; when to come back is in whole seconds (RFC 9110 §10.2.3)."""
        headers = dict(NO_STORE)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.status == 408:
            headers["Connection"] = "close"  # what comes late is no next request (RFC 9110 §15.5.9)
        if self.status == 429 or self.retry_after_ms:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_ms / 1000)))
        return headers

    def response(self) -> JSONResponse:
        """The answer, with ``code`` and ``reason``."""
        code = wire.ErrorCode.Name(self.code).removeprefix("ERROR_CODE_")
        return JSONResponse({"code": code, "reason": self.reason}, self.status, self.headers)


def invalid(reason: str) -> RefusedRequestError:
    """A body that is not what it must be."""
    return RefusedRequestError(422, wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason)


def check_length(request: Request, max_bytes: int) -> None:
    """Refuse a body that says it is too long.

    Raises:
        RefusedRequestError: It does.
    """
    lengths = request.headers.getlist("content-length")
    if any(len(text) > 9 or not text.isdecimal() or int(text) > max_bytes for text in lengths):
        raise _too_large(max_bytes)


async def read_json_body(request: Request, max_bytes: int, *, may_be_empty: bool = False) -> bytes:
    """Read a body that is JSON without an encoding, within 5 s.

    Raises:
        RefusedRequestError: It is too long, too slow, or says that it is something else.
    """
    return await read_body(request, max_bytes, JSON, may_be_empty=may_be_empty)


async def read_body(
    request: Request, max_bytes: int, media_type: str, *, may_be_empty: bool = False
) -> bytes:
    """Read a body of one type without an encoding, within 5 s.

    Raises:
        RefusedRequestError: It is too long, too slow, or says that it is something else.
    """
    check_length(request, max_bytes)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    said = given == media_type or (may_be_empty and not given)
    if "content-encoding" in request.headers or not said:
        raise RefusedRequestError(
            415,
            wire.ErrorCode.ERROR_CODE_UNSUPPORTED,
            f"the body must be {media_type} without a Content-Encoding",
        )
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_MS / 1000):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except (TimeoutError, ClientDisconnect):
        code = wire.ErrorCode.ERROR_CODE_TIMEOUT
        raise RefusedRequestError(408, code, "no body within 5 s") from None
    return bytes(body)


def _too_large(max_bytes: int) -> RefusedRequestError:
    code = wire.ErrorCode.ERROR_CODE_TOO_LARGE
    return RefusedRequestError(413, code, f"the body is limited to {max_bytes} bytes")
