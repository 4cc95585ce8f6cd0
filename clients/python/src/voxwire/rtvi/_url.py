"""Where a stock bot is reached: the routes of Pipecat's runner below a URL. Pure."""

from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from voxwire._url import normalise_url
from voxwire_protocol.errors import ErrorCode, ProtocolError

__all__ = [
    "OFFER",
    "SOCKET",
    "START",
    "base_of",
    "is_same_place",
    "route",
    "socket_of",
    "started_socket",
]

START: Final = "/start"
OFFER: Final = "/api/offer"
SOCKET: Final = "/ws-client"

_PLAIN: Final = {"ws": "http", "wss": "https"}
_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_EVERYWHERE: Final = ("0.0.0.0", "::")


def base_of(url: str) -> str:
    """The ``http`` or ``https`` URL that a runner's routes are below.

    Raises:
        UsageError: Not a ws, wss, http or https URL.
    """
    parts = urlsplit(normalise_url(url))
    path = parts.path.removesuffix("/v1/session")
    return urlunsplit((_PLAIN[parts.scheme], parts.netloc, path, "", ""))


def route(base: str, path: str) -> str:
    """A route below a base."""
    return base + "/" + path.lstrip("/")


def socket_of(url: str) -> str:
    """The same as a WebSocket's URL."""
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path, parts.query, ""))


def started_socket(base: str, said: object) -> str:
    """The WebSocket's URL of the answer to a start.

    A runner calls itself ``wss`` for every host but localhost, though it serves without TLS: where
    it names the host and port that were asked, the scheme is that of the question. One that listens
    everywhere (``--host 0.0.0.0``) names itself by that: what was asked is meant.

    Raises:
        ProtocolError: MALFORMED: it is none.
    """
    parts = _parts(said)
    if parts is None:
        raise ProtocolError(ErrorCode.MALFORMED, "the answer to the start names no WebSocket")
    asked = urlsplit(base)
    if parts.netloc == asked.netloc or parts.hostname in _EVERYWHERE:
        return socket_of(urlunsplit((asked.scheme, asked.netloc, parts.path, parts.query, "")))
    if asked.scheme == "https" and parts.scheme == "ws":
        raise ProtocolError(ErrorCode.MALFORMED, "the answer to the start gives encryption up")
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))


def is_same_place(socket: str, base: str) -> bool:
    """Whether a WebSocket's URL is of the host and port that `base` names."""
    return _place(socket) == _place(base)


def _place(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or _PORTS[parts.scheme]


def _parts(said: object) -> SplitResult | None:
    """The parts of a WebSocket's URL; None = it is none."""
    if not isinstance(said, str):
        return None
    try:
        parts = urlsplit(said)
        usable = parts.scheme in _PLAIN and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and parts.username is None else None
