"""Where connect tokens come from: a string, a function, or the program's own backend."""

import asyncio
import inspect
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from voxwire._arguments import invalid, token_text
from voxwire._stopped import is_cancelled
from voxwire._threads import in_thread
from voxwire_protocol.errors import ErrorCode, SessionError, TransportError, VoxwireError

__all__ = ["TokenEndpoint", "TokenLike", "TokenRequest", "TokenSource", "ask_for_token"]

MAX_ANSWER_BYTES: Final = 64 * 1024
"""A backend's longer answer is refused."""


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
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: Any = field(default=None, repr=False)
    name: str = "token"
    timeout_ms: float = 5000

    def __post_init__(self) -> None:
        """Checks the URL."""
        from voxwire._url import is_loopback

        local = self.url.startswith("http://") and is_loopback(self.url)
        if not self.url.startswith("https://") and not local:
            raise invalid("a token endpoint is an https URL, or http on this machine")

    async def __call__(self, request: TokenRequest) -> str:
        """Asks for a token. Cancel-safe.

        Raises:
            VoxwireError: UNAUTHORIZED when it gives none; UNREACHABLE or TIMEOUT.
        """
        return await in_thread(self._ask, name="voxwire-token")

    def _ask(self) -> str:
        asked = urllib.request.Request(
            self.url,
            method="POST",
            data=json.dumps(self.body if self.body is not None else {}).encode(),
            headers={"Content-Type": "application/json", **self.headers},
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(asked, timeout=self.timeout_ms / 1000) as answer:
                said: object = json.loads(answer.read(MAX_ANSWER_BYTES + 1)[:MAX_ANSWER_BYTES])
        except urllib.error.HTTPError as error:
            with error:
                reason = f"the token endpoint answered HTTP {error.code}"
            raise SessionError(ErrorCode.UNAUTHORIZED, reason) from None
        except TimeoutError:
            reason = "the token endpoint did not answer in time"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None
        except (OSError, urllib.error.URLError):
            reason = "nothing answers at the token endpoint"
            raise TransportError(ErrorCode.UNREACHABLE, reason, retryable=True) from None
        except (ValueError, RecursionError):
            said = None
        token = cast("dict[str, object]", said).get(self.name) if isinstance(said, dict) else None
        if not isinstance(token, str):
            reason = f"the token endpoint's answer is no JSON object with a string {self.name!r}"
            raise SessionError(ErrorCode.UNAUTHORIZED, reason)
        return token


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What says who asks goes to the endpoint and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


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
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        reason = f"the token source gave no token, it raised {type(error).__name__}"
        raise SessionError(ErrorCode.UNAUTHORIZED, reason) from error
    return token_text(token)
