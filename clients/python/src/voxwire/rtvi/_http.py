"""Requests to a stock bot's runner: JSON there, a JSON object back."""

import asyncio
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from voxwire._url import is_loopback
from voxwire_protocol.errors import (
    ErrorCode,
    ProtocolError,
    RecoveryAction,
    TransportError,
    UsageError,
    VoxwireError,
    make_error,
)

__all__ = ["NothingListensError", "ask", "check_installed"]

MAX_ANSWER_BYTES: Final = 1 << 20
"""A longer answer is not read."""

_MAX_DETAIL_CHARS: Final = 300

_CODES: Final = {
    400: ErrorCode.UNSUPPORTED,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    413: ErrorCode.TOO_LARGE,
    422: ErrorCode.VERSION,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.CAPACITY,
}
"""The rest is UNREACHABLE."""

_PASSING: Final = (408, 429, 500, 502, 503, 504)


class NothingListensError(TransportError):
    """The host that was asked refuses the connection: no process is there to answer."""


def check_installed() -> None:
    """Raises UsageError MISSING_EXTRA unless requests can be sent."""
    if find_spec("httpx") is None:
        reason = "requests to a Pipecat bot need httpx: pip install 'voxwire[rtvi]'"
        raise UsageError(ErrorCode.MISSING_EXTRA, reason)


async def ask(
    method: str,
    url: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout_ms: int,
) -> dict[str, Any]:
    """Sends a request; its answer. Cancel-safe.

    Raises:
        NothingListensError: The host itself refuses the connection.
        VoxwireError: Nothing answers in time; it refuses, by its HTTP status; or MALFORMED: what it
            answers is no JSON object.
    """
    import httpx  # only whoever sends requests needs it

    where = urlsplit(url).netloc
    try:
        async with (
            asyncio.timeout(timeout_ms / 1000),  # httpx has a deadline for each read, not for all
            httpx.AsyncClient(timeout=timeout_ms / 1000, trust_env=not is_loopback(url)) as client,
            client.stream(method, url, json=dict(body), headers=dict(headers)) as answer,
        ):
            content = bytearray()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise ProtocolError(ErrorCode.TOO_LARGE, f"{where} answers without an end")
    except (httpx.TimeoutException, TimeoutError) as error:
        reason = f"{where} did not answer in time"
        raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # A proxy that refuses says nothing of the host behind it.
        is_direct = is_loopback(url) or not getproxies()
        kind = NothingListensError if is_direct and _is_refused(error) else TransportError
        raise kind(
            ErrorCode.UNREACHABLE,
            f"nothing answers at {where}: is the bot running?",
            retryable=True,
            action=RecoveryAction.RECONNECT,
        ) from error
    if answer.status_code >= 300:
        raise _refusal(where, urlsplit(url).path, answer.status_code, content)
    return _object(where, content)


def _is_refused(error: BaseException | None) -> bool:
    """Whether an address of the host refused, by what httpx's error comes from."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return any(_is_refused(each) for each in group.exceptions)
    if error is None or isinstance(error, ConnectionRefusedError):
        return error is not None
    return _is_refused(error.__cause__ or error.__context__)


def _object(where: str, content: bytes | bytearray) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ProtocolError(ErrorCode.MALFORMED, f"{where} answered with something else than JSON")
    return cast("dict[str, Any]", said)


def _refusal(where: str, path: str, status: int, content: bytes | bytearray) -> VoxwireError:
    """The one table from an HTTP status to our errors."""
    reason = f"{where} answered HTTP {status}"
    if status in (404, 405):
        reason += f": no Pipecat bot is at {path}"
    elif detail := _detail(content):
        reason += f": {detail}"
    code = _CODES.get(status, ErrorCode.UNREACHABLE)
    return make_error(code, reason, retryable=status in _PASSING)


def _detail(content: bytes | bytearray) -> str:
    """Why it refuses, as FastAPI or Pipecat Cloud say it; empty if they do not."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    members = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    detail = members.get("detail", members.get("error"))
    is_line = isinstance(detail, str) and detail.isprintable()
    return cast("str", detail)[:_MAX_DETAIL_CHARS] if is_line else ""
