"""Who may reach the server at all: peer, Host, Origin and forwarded headers, before anything else.

Loopback is not safe by itself, since any web page can reach it (DNS rebinding, cross-site
WebSockets): there the Host must bear one of loopback's names, the Origin must be absent or equal
the Host, and a forwarded request is refused unless a key is set (RFC 6454, RFC 6455 §10.2). The
port of the Host may be any: a forwarded port (``ssh -L``, a container's ``-p``) has another one,
and no page of another origin can make a browser send a Host that equals its own Origin.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from voxwire_server.proxies import NOWHERE, PublicUrl, is_unix

__all__ = [
    "Gate",
    "MissingKeyError",
    "Refusal",
    "address_of",
    "group_of",
    "headers_of",
    "is_loopback",
    "missing_key_message",
    "site_of",
]

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}
_FORWARDERS: Final = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip"}
)
_CARRIERS: Final = frozenset(
    {"accept", "accept-encoding", "cache-control", "connection", "host", "pragma", "upgrade"}
)
_CARRIER_PREFIXES: Final = ("content-", "sec-websocket-")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class MissingKeyError(Exception):
    """Listening beyond loopback needs a key."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is turned away.

    Attributes:
        status: HTTP status.
        code: Name of the error code that a client makes of it.
        reason: What is wrong and how to mend it; holds nothing of the request.
    """

    status: int
    code: str
    reason: str


def _forbidden(reason: str) -> Refusal:
    return Refusal(403, "FORBIDDEN", reason)


_PEER: Final = _forbidden(
    "this server takes clients of its own machine only; to let others in, set VOXWIRE_HOST and"
    " VOXWIRE_KEY"
)
_FORWARDED: Final = _forbidden("forwarded requests need VOXWIRE_KEY on this server")
_ONE_EACH: Final = _forbidden("a request has exactly one Host and at most one Origin")
_FOREIGN_HOST: Final = _forbidden(
    "the Host of this request does not name the server's machine; use 127.0.0.1 or localhost, or"
    " set VOXWIRE_KEY on the server, and VOXWIRE_PUBLIC_URL behind a proxy, else VOXWIRE_HOST, to"
    " serve other names"
)
_FOREIGN_ORIGIN: Final = _forbidden(
    "the origin of this page is not allowed; open the page at the server's own address, or name"
    " its origin in VOXWIRE_ALLOWED_ORIGINS on the server"
)


def is_loopback(host: str) -> bool:
    """True when ``host`` can only be reached from this machine, a Unix socket too."""
    if host.lower() == "localhost" or is_unix(host):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def address_of(scope: Mapping[str, Any]) -> str:
    """Address of the client of an ASGI scope, behind our proxies; empty = a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an ASGI scope that say something of who comes, not of how."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name: str = raw.decode("latin-1")
        if name in _CARRIERS or name.startswith(_CARRIER_PREFIXES):
            continue
        text: str = value.decode("latin-1")
        joint = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{joint}{text}" if name in found else text
    return found


def group_of(address: str) -> str:
    """The address, or the /64 of an IPv6 one: a client has all of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def site_of(address: str) -> str:
    """The /48 of an IPv6 address, all that one customer of a provider gets; empty = it has none."""
    try:
        group = ipaddress.IPv6Network(group_of(address))
    except ValueError:
        return ""
    return str(group.supernet(new_prefix=48))


def missing_key_message(host: str) -> str:
    """What to print when a server would listen beyond loopback without a key."""
    return (
        f"voxwire-server: listening on {host} would let anyone on the network use this bot. "
        "Set a key first, for instance: export VOXWIRE_KEY=$(openssl rand -hex 32), "
        "or listen on 127.0.0.1."
    )


def _is_forwarding(name: bytes) -> bool:
    return name in _FORWARDERS or name.startswith(b"x-forwarded-")


def _bears_a_loopback_name(host: str) -> bool:
    match = _HOST.fullmatch(host)
    return match is not None and is_loopback(match[1]) and int(match[2] or 0) <= 65_535


def _own_origin(scheme: str, host: str) -> str:
    """The origin of a page that this host serves, as a browser writes it."""
    return f"{scheme}://{host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ' '))}"


@dataclass(frozen=True)
class Gate:
    """The first check of every request.

    Args:
        loopback: True when the server is for its own machine.
        has_key: True when a key is set.
        allowed_origins: Origins allowed besides the server's own on loopback, exact.
        public: Where clients find it: with a key, its host and its pages are the server's own.
        behind_proxy: True where a proxy stands before it: then no client is known to be a program
            of this machine.
    """

    loopback: bool
    has_key: bool = False
    allowed_origins: frozenset[str] = frozenset()
    public: PublicUrl = NOWHERE
    behind_proxy: bool = False

    def check(self, scope: Mapping[str, Any]) -> Refusal | None:
        """Look at a request or at the head of a WebSocket.

        Args:
            scope: Its ASGI scope (HTTP or WebSocket).

        Returns:
            Why it is refused, or None.
        """
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        if self.loopback and not self.has_key:
            if any(_is_forwarding(name) for name, _ in headers):
                return _FORWARDED
            if not _peer_is_local(scope):
                return _PEER
        if len(hosts) != 1 or len(origins) > 1:
            return _ONE_EACH
        if self.loopback and not (_bears_a_loopback_name(hosts[0]) or self._is_public(hosts[0])):
            return _FOREIGN_HOST
        if origins and not self._origin_allowed(origins[0], hosts[0], scope):
            return _FOREIGN_ORIGIN
        return None

    def _is_public(self, host: str) -> bool:
        own = host.lower().removesuffix(_DEFAULT_PORTS.get(self.public.scheme, " "))
        return self.has_key and bool(own) and own == self.public.authority

    def _origin_allowed(self, origin: str, host: str, scope: Mapping[str, Any]) -> bool:
        if origin in self.allowed_origins or (
            self._is_public(host) and origin == self.public.origin
        ):
            return True
        given = str(scope.get("scheme", "http"))
        scheme = _PAGE_SCHEMES.get(given, given)
        if _bears_a_loopback_name(host) and origin == _own_origin(scheme, host):
            return True
        # Chromium names the Origin of a page's own scripts and styles, too
        return scope.get("method") in ("GET", "HEAD") and origin in (
            _own_origin("http", host),
            _own_origin("https", host),
        )

    def is_local_program(self, scope: Mapping[str, Any]) -> bool:
        """True for a client on this machine that is no web page and that no proxy stands before."""
        if self.behind_proxy:
            return False
        if any(name == b"origin" or _is_forwarding(name) for name, _ in scope["headers"]):
            return False
        return _peer_is_local(scope)


def _peer_is_local(scope: Mapping[str, Any]) -> bool:
    """True when the other side's address is loopback's, or it came by a socket of this machine."""
    client = scope.get("client")
    return client is None or is_loopback(str(client[0]))
