"""Requests to somebody's REST interface: plain ones, without a library of his."""

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Order", "Send", "send"]

_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 65_536


class Order(NamedTuple):
    """A request. Its headers have a secret in them."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Send = Callable[[Order], Awaitable[tuple[int, bytes]]]
"""Asks somebody: HTTP status and body; 0 = nothing came."""


async def send(order: Order) -> tuple[int, bytes]:
    """Ask somebody.

    Returns:
        HTTP status, and the body of an answer that is no error; 0 = nothing came.
    """
    return await asyncio.to_thread(_sent, order)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What has a secret in it goes where it was sent and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _sent(order: Order) -> tuple[int, bytes]:
    asked = urllib.request.Request(
        order.url, method=order.method, data=order.body or None, headers=dict(order.headers)
    )
    try:
        opener = urllib.request.build_opener(_NoRedirects())
        with opener.open(asked, timeout=_TIMEOUT_S) as answer:
            return answer.status, answer.read(_MAX_ANSWER_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""
    except (OSError, http.client.HTTPException):
        return 0, b""
