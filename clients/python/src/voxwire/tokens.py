"""Where connect tokens come from: a string, a function, or the program's own backend."""

import asyncio
import http.client
import inspect
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from voxwire._arguments import invalid, json_text, number, text, token_text
from voxwire._callbacks import RAISED, is_cancelled
from voxwire._threads import in_thread
from voxwire._url import is_loopback
from voxwire_protocol.errors import ErrorCode, SessionError, TransportError, VoxwireError

__all__ = [
    "TokenEndpoint",
    "TokenLike",
    "TokenRequest",
    "TokenSource",
    "ask_for_token",
    "source_late",
]

MAX_ANSWER_BYTES: Final = 64 * 1024
"""A backend's longer answer is refused."""

_MAX_URL_CHARS: Final = 4096
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Why a token is wanted: for the first connect, or because the last one was refused."""

    reason: Literal["connect", "refused"]


TokenSource = Callable[[TokenRequest], str | Awaitable[str]]
"""Gives a token that is good now. A plain function must not block."""

TokenLike = str | TokenSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """A backend that gives tokens: ``connect(url, token=TokenEndpoint(url="https://..."))``.

    It is asked by POST for each session, and once more when the server refuses what it gave. It
    answers with JSON, such as ``{"token": "..."}``. Over ``http`` it has to be on this machine.

    Attributes:
        url: Where it is.
        headers: What says who asks: a cookie, ``Authorization``.
        body: What is posted, as JSON.
        name: Member of the answer that is the token.
        timeout_ms: How long it may take, milliseconds.

    Raises:
        UsageError: INVALID_ARGUMENT: it cannot be asked so.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: Any = field(default=None, repr=False)
    name: str = "token"
    timeout_ms: float = 5000

    def __post_init__(self) -> None:
        """Checks it.

        Raises:
            UsageError: INVALID_ARGUMENT: it cannot be asked so.
        """
        if not _is_url(text(self.url, "url", max_chars=_MAX_URL_CHARS)):
            raise invalid("a token endpoint is an https URL, or http on this machine")
        if not isinstance(cast("object", self.headers), Mapping):
            raise invalid(f"headers must be a dict, not {type(self.headers).__name__}")
        for name, value in self.headers.items():
            if not _is_header(name, value):
                raise invalid("a header has a name of letters and a value of one printable line")
        json_text(self.body, "body", max_bytes=MAX_ANSWER_BYTES)
        text(self.name, "name", max_chars=_MAX_URL_CHARS)
        number(self.timeout_ms, "timeout_ms", above=0)

    async def __call__(self, request: TokenRequest) -> str:
        """Asks for a token. Cancel-safe.

        Raises:
            VoxwireError: UNAUTHORIZED when it gives none; UNREACHABLE or TIMEOUT.
        """
        try:
            async with asyncio.timeout(self.timeout_ms / 1000):
                return await in_thread(self._ask, name="voxwire-token")
        except TimeoutError:
            reason = "the token endpoint did not answer in time"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None

    def _ask(self) -> str:
        asked = urllib.request.Request(
            self.url,
            method="POST",
            data=json.dumps(self.body if self.body is not None else {}).encode(),
            headers={"Content-Type": "application/json", **self.headers},
        )
        handlers: list[Any] = [_NoRedirects()]
        if self.url.startswith("http://"):  # what a proxy is told leaves this machine
            handlers.append(urllib.request.ProxyHandler({}))
        until_s = time.monotonic() + self.timeout_ms / 1000
        try:
            opener = urllib.request.build_opener(*handlers)
            with opener.open(asked, timeout=self.timeout_ms / 1000) as answer:
                said: object = json.loads(_read(answer, until_s))
        except urllib.error.HTTPError as error:
            with error:
                reason = f"the token endpoint answered HTTP {error.code}"
            raise SessionError(ErrorCode.UNAUTHORIZED, reason) from None
        except TimeoutError:
            raise
        except OSError:
            reason = "nothing answers at the token endpoint"
            raise TransportError(ErrorCode.UNREACHABLE, reason, retryable=True) from None
        except http.client.HTTPException:
            reason = "nothing that speaks HTTP answers at the token endpoint"
            raise TransportError(ErrorCode.UNREACHABLE, reason, retryable=True) from None
        except (ValueError, RecursionError):
            said = None
        token = cast("dict[str, object]", said).get(self.name) if isinstance(said, dict) else None
        if not isinstance(token, str):
            reason = f"the token endpoint's answer is no JSON object with a string {self.name!r}"
            raise SessionError(ErrorCode.UNAUTHORIZED, reason)
        return token


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not named or not url.isprintable() or not url.isascii() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))


def _is_header(name: object, value: object) -> bool:
    if not isinstance(name, str) or not isinstance(value, str):
        return False
    return bool(_HEADER.fullmatch(name)) and value.isprintable() and value.isascii()


def _read(answer: http.client.HTTPResponse, until_s: float) -> bytes:
    """The answer's body, as much of it as may be.

    Raises:
        TimeoutError: It has not come to its end by then.
    """
    body = b""
    while piece := answer.read1(MAX_ANSWER_BYTES):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("too long")
        if time.monotonic() > until_s:
            raise TimeoutError
    if answer.length:
        raise http.client.IncompleteRead(body)
    return body


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What says who asks goes to the endpoint and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def source_late() -> VoxwireError:
    """The error while a source is waited for."""
    reason = "the token source did not answer in time"
    return TransportError(ErrorCode.TIMEOUT, reason, retryable=True)


async def ask_for_token(source: TokenSource, request: TokenRequest) -> str:
    """A token of the program's own source. Cancel-safe.

    Raises:
        VoxwireError: What it raised; UNAUTHORIZED, with that as the cause, for anything else;
            INVALID_ARGUMENT when what it gave is no token.
    """
    try:
        given = source(request)
        token: object = await given if inspect.isawaitable(given) else given
    except VoxwireError:
        raise
    except RAISED as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        reason = f"the token source gave no token, it raised {type(error).__name__}"
        raise SessionError(ErrorCode.UNAUTHORIZED, reason) from error
    return token_text(token)
