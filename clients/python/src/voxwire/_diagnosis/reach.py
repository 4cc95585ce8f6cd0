"""Dialling the server, and what stands between when it does not go well."""

import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import InvalidHandshake, InvalidStatus, ProxyError
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from voxwire._attach import BUSY
from voxwire._diagnosis.checks import Check, failed, skipped
from voxwire._diagnosis.refusals import advice_on
from voxwire._environment import Environment
from voxwire._threads import in_thread
from voxwire._url import is_loopback
from voxwire._websocket import NetworkSocket, WebSocket
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError

__all__ = ["Reached", "proxy_of", "reach"]

CLOCK_S: Final = 30.0
"""A clock that is wrong by more makes tokens and certificates fail."""
UNEVEN_S: Final = 5.0
_PROBE_S: Final = 2.0
_MAX_BODY: Final = 64 * 1024
_PATH: Final = "/v1/session"
_NOT_YET, _EXPIRED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED."""

_UPGRADE: Final = (
    "let the proxy pass the upgrade on. nginx: proxy_http_version 1.1;"
    " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade"
)
_PROXY: Final = (
    "check host and port; the proxy (https_proxy) has to know the host and to allow it, or the host"
    " stands in no_proxy"
)
_CERTIFICATE: Final = {
    _NOT_YET: "it is not valid yet",
    _EXPIRED: "it has expired",
    18: "it is self-signed",
    19: "an authority signed it that this machine does not know",
    20: "an authority signed it that this machine does not know, or the chain is not whole",
    62: "it is for another name",
    64: "it is for another address",
}


@dataclass
class Reached:
    """What dialling came to.

    Attributes:
        checks: ``tls``, ``server`` and ``clock``; and ``capacity`` where the server is full.
        websocket: Open; None when there is none.
    """

    checks: list[Check] = field(default_factory=list[Check])
    websocket: WebSocket | None = None

    def failed(self) -> Check | None:
        """The first that failed, but for the clock: one may go on without it."""
        bad = (one for one in self.checks if one.state == "failed" and one.name != "clock")
        return next(bad, None)


async def reach(url: str, environment: Environment, *, timeout_ms: int) -> Reached:
    """Dials once, and looks again with plain HTTP where a proxy may be in the way. Cancel-safe.

    Args:
        url: Of the control channel.
        environment: The way there.
        timeout_ms: How long the dial may take; looking again takes 2 s at most.
    """
    began_ms, asked_s = environment.clock.now_ms(), time.time()
    try:
        websocket = await environment.dial(url, timeout_ms=timeout_ms)
    except VoxwireError as error:
        found = await _explain(url, error, asked_s)
    else:
        date = websocket.header("Date") if isinstance(websocket, NetworkSocket) else ""
        tls = _tls(url, websocket)
        server = Check("server", "ok", f"{urlsplit(url).netloc} opened the control channel")
        found = Reached([tls, server, _clock(date, asked_s)], websocket)
    took_ms = round(environment.clock.now_ms() - began_ms)
    found.checks = [
        replace(one, duration_ms=took_ms) if one.name == "server" else one for one in found.checks
    ]
    return found


def proxy_of(url: str) -> str | None:
    """The proxy that a dial goes through, as ``host:port``; None = it goes through none."""
    if is_loopback(url):
        return None
    proxy = get_proxy(parse_uri(url))
    return None if proxy is None else urlsplit(proxy).netloc.rpartition("@")[2]


def _tls(url: str, websocket: WebSocket | None = None) -> Check:
    """The check of an encrypted channel that works, or of none."""
    if websocket is not None and not isinstance(websocket, NetworkSocket):
        return skipped("tls", "this is a test")
    if urlsplit(url).scheme == "wss":
        used = "" if websocket is None else websocket.tls
        return Check("tls", "ok", f"{used or 'TLS'}, and the certificate is good here")
    if is_loopback(url):
        return skipped("tls", "not encrypted, and it need not be on this machine")
    detail = "not encrypted: tokens and voices can be read on the way"
    return Check("tls", "warning", detail, advice="use wss://, behind a proxy that speaks TLS")


def _clock(date: str, asked_s: float) -> Check:
    """This machine's clock beside the ``Date`` of an answer (RFC 9110 §6.6.1)."""
    try:
        theirs_s = parsedate_to_datetime(date).timestamp() + 0.5  # a whole second, cut off
    except (TypeError, ValueError):
        return skipped("clock", "the server did not tell its time")
    ours_s = (asked_s + time.time()) / 2
    off_s = ours_s - theirs_s
    if abs(off_s) <= UNEVEN_S:
        return Check("clock", "ok", "as the server's, to a few seconds")
    side = "ahead of" if off_s > 0 else "behind"
    detail = f"this machine's clock is {abs(off_s):.0f} s {side} the server's"
    advice = "set the clock that is wrong, by NTP: timedatectl set-ntp true"
    if abs(off_s) <= CLOCK_S:
        return Check("clock", "warning", detail, advice=advice)
    return failed("clock", f"{detail}; tokens and TLS go by it", advice, ErrorCode.UNAUTHORIZED)


async def _explain(url: str, error: VoxwireError, asked_s: float) -> Reached:
    """What a dial that failed means."""
    cause = error.__cause__
    code = ErrorCode(error.code)
    if isinstance(cause, ssl.SSLError):
        return await _of_tls(url, cause, asked_s)
    if isinstance(cause, InvalidStatus):
        return await _of_status(url, error, cause, asked_s)
    if isinstance(cause, ProxyError):
        return _unreached(error.reason, _PROXY, code)
    if isinstance(cause, InvalidHandshake) or code == ErrorCode.VERSION:
        clock = skipped("clock", needs="server")
        return Reached([_tls(url), await _of_path(url, error, "no upgrade"), clock])
    advice = "start the server, and check host, port and firewall"
    return _unreached(error.reason, advice, code)


def _unreached(detail: str, advice: str, code: ErrorCode) -> Reached:
    server = failed("server", detail, advice, code)
    return Reached([skipped("tls", needs="server"), server, skipped("clock", needs="server")])


async def _of_tls(url: str, cause: ssl.SSLError, asked_s: float) -> Reached:
    verify_code = getattr(cause, "verify_code", 0)
    clock = skipped("clock", needs="tls")
    if verify_code in (_NOT_YET, _EXPIRED):
        # nothing is told to whoever answers; its time decides whose fault it may be
        answer = await _get(url, trusting=True)
        clock = _clock(answer.date, asked_s) if answer else clock
        if clock.state == "failed":
            return Reached([skipped("tls", needs="clock"), skipped("server", needs="clock"), clock])
    where = urlsplit(url).netloc
    if not verify_code:
        detail = f"{where}: TLS failed ({cause.reason or 'no reason'})"
        advice = "is it TLS that answers there? For a server without TLS the URL begins with ws://"
    else:
        told = _CERTIFICATE.get(verify_code, str(getattr(cause, "verify_message", "")))
        detail = f"the certificate of {where} is not good here: {told}"
        advice = (
            "give the server a certificate for this name with its whole chain; an authority of"
            " your own is made known by SSL_CERT_FILE"
        )
    tls = failed("tls", detail, advice, ErrorCode.UNREACHABLE)
    return Reached([tls, skipped("server", needs="tls"), clock])


async def _of_status(
    url: str, error: VoxwireError, cause: InvalidStatus, asked_s: float
) -> Reached:
    status, code = cause.response.status_code, ErrorCode(error.code)
    clock = _clock(cause.response.headers.get("Date", ""), asked_s)
    where = urlsplit(url).netloc
    ours = "code" in _members(bytes(cause.response.body or b""))
    if code in BUSY and (ours or status == 429):
        server = Check("server", "ok", f"{where} answers")
        full = failed("capacity", error.reason, advice_on(error), code)
        return Reached([_tls(url), server, clock, full])
    if status in (502, 503, 504) and not ours:
        detail = f"a proxy answers at {where}, and no server behind it (HTTP {status})"
        server = failed("server", detail, "start the server; see the proxy's log", code)
    elif status in (401, 403):
        advice = "see VOXWIRE_PUBLIC_URL and VOXWIRE_ALLOWED_ORIGINS, or what the proxy allows"
        server = failed("server", error.reason, advice, code)
    else:
        server = await _of_path(url, error, f"HTTP {status}")
    return Reached([_tls(url), server, clock])


async def _of_path(url: str, error: VoxwireError, told: str) -> Check:
    """No WebSocket, but HTTP: is the server there, and at which path?"""
    where, code = urlsplit(url), ErrorCode(error.code)
    if _is_voxwire(await _get(url)):
        detail = f"the server is there, but no WebSocket gets through to it ({told}): a proxy"
        return failed("server", f"{detail} drops the upgrade", _UPGRADE, ErrorCode.UNREACHABLE)
    prefix = where.path.removesuffix(_PATH)
    if not prefix:
        advice = "add the path that the server is mounted at, as in wss://host/voice"
        return failed("server", f"no server is at {where.netloc} ({told})", advice, code)
    root = urlunsplit((where.scheme, where.netloc, _PATH, "", ""))
    detail = f"no server is at {where.netloc}{prefix} ({told})"
    advice = "check the path: it is where the server is mounted, or what its proxy leaves of it"
    if _is_voxwire(await _get(root)):
        advice = f"leave out {prefix}: the server is at {where.scheme}://{where.netloc}"
    return failed("server", detail, advice, code)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    date: str
    body: bytes


def _members(body: bytes) -> dict[str, Any]:
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _is_voxwire(answer: _Answer | None) -> bool:
    """Whether the control channel's path answers as ours does to plain HTTP."""
    return answer is not None and _members(answer.body).get("protocol") == wire.SUBPROTOCOL


async def _get(url: str, *, trusting: bool = False) -> _Answer | None:
    """What plain HTTP is answered; None = nothing. Cancel-safe.

    Args:
        url: ``ws`` or ``wss``.
        trusting: Whoever answers; nothing is sent but the path.
    """
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}[parts.scheme]
    plain = urlunsplit((scheme, parts.netloc, parts.path, "", ""))
    context = ssl.create_default_context()
    if trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[Any] = [urllib.request.HTTPSHandler(context=context)]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))

    def ask() -> _Answer | None:
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(plain, timeout=_PROBE_S) as answer:
                return _Answer(answer.status, answer.headers["Date"] or "", answer.read(_MAX_BODY))
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, error.headers["Date"] or "", b"")
        except (OSError, ValueError):
            return None

    return await in_thread(ask, name="voxwire-doctor")
