"""What stands in front of the server: whose forwarded headers count, and what they say.

Pure. A header of anybody else counts for nothing. Of `X-Forwarded-For` the last address counts that
is no proxy of ours: what stands before it, the client may have written itself.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

__all__ = [
    "NOWHERE",
    "UNIX",
    "Front",
    "ProxiesError",
    "PublicUrl",
    "TrustedProxies",
    "is_unix",
    "unix_path",
]

UNIX: Final = "unix"
"""In the list of proxies: whoever comes by the Unix socket that the server listens on."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_SCHEMES: Final = frozenset({"http", "https"})
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_HOPS: Final = 32


class ProxiesError(ValueError):
    """What the settings say of the server's front cannot be used."""


def is_unix(host: str) -> bool:
    """True when the server listens on a Unix socket: ``unix:/run/voxwire/server.sock``."""
    return host.startswith("unix:")


def unix_path(host: str) -> str:
    """The path of that socket."""
    return host.removeprefix("unix:")


class Front(NamedTuple):
    """What a proxy of ours says of a request.

    Attributes:
        client: Address of the client; None = the proxy does not say.
        scheme: ``http`` or ``https``, as the client asked; empty = the proxy does not say.
    """

    client: str | None
    scheme: str


class TrustedProxies:
    """The proxies whose headers count.

    Args:
        networks: Their addresses.
        unix: Whether whoever comes by a Unix socket is one.
    """

    def __init__(self, networks: Iterable[_Network] = (), *, unix: bool = False) -> None:
        self._networks = tuple(networks)
        self._unix = unix

    def __bool__(self) -> bool:
        return bool(self._networks) or self._unix

    @classmethod
    def parse(cls, text: str) -> "TrustedProxies":
        """Read ``VOXWIRE_TRUSTED_PROXIES``: addresses and networks, separated by commas.

        Raises:
            ProxiesError: One of them is neither.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        return cls([_network(name) for name in names if name != UNIX], unix=UNIX in names)

    def trusts(self, peer: str | None) -> bool:
        """Whether the other end of a socket is one of them.

        Args:
            peer: Its address; None or empty = it came by a Unix socket.
        """
        if not peer:
            return self._unix
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)

    def front(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> Front | None:
        """What stands behind a request; None = no proxy of ours sent it.

        Args:
            peer: Address of the socket's other end; None = a Unix socket.
            headers: Of the request, names in lower case.
        """
        if not self.trusts(peer):
            return None
        hops: list[str] = []
        scheme = ""
        for name, value in headers:
            if name == b"x-forwarded-for":
                hops += value.decode("latin-1").split(",")
            elif name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").rpartition(",")[2].strip().lower()
        return Front(self._client(hops[-_MAX_HOPS:]), scheme if scheme in _SCHEMES else "")

    def _client(self, hops: list[str]) -> str | None:
        nearest = None
        for hop in reversed(hops):
            address = _address(_without_port(hop.strip()))
            if address is None:
                return nearest
            nearest = str(address)
            if not any(address in network for network in self._networks):
                return nearest
        return nearest


class PublicUrl(NamedTuple):
    """Where clients find the server: its name, and the path below which it is.

    Attributes:
        scheme: ``http`` or ``https``; empty = it was not said.
        authority: Host, and port unless it is the scheme's own; lower case.
        prefix: Path, empty or ``/voice``.
    """

    scheme: str = ""
    authority: str = ""
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> "PublicUrl":
        """Read ``VOXWIRE_PUBLIC_URL``.

        Raises:
            ProxiesError: It is no http or https URL.
        """
        if not text.strip():
            return cls()
        wrong = "VOXWIRE_PUBLIC_URL must be like https://bot.example or https://bot.example/voice"
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ProxiesError(wrong) from None
        prefix = parts.path.rstrip("/")
        extra = parts.query or parts.fragment or parts.username or parts.password
        if parts.scheme not in _SCHEMES or not host or extra or not _PREFIX.fullmatch(prefix):
            raise ProxiesError(wrong)
        name = f"[{host}]" if ":" in host else host
        own = port is None or port == _DEFAULT_PORTS[parts.scheme]
        return cls(parts.scheme, name if own else f"{name}:{port}", prefix)

    @property
    def origin(self) -> str:
        """The origin of its pages, as a browser writes it; empty = it was not said."""
        return f"{self.scheme}://{self.authority}" if self.authority else ""

    @property
    def http(self) -> str:
        """What its HTTP routes begin with: ``https://bot.example/voice``; empty = it was not
        said.
        """
        return f"{self.origin}{self.prefix}" if self.authority else ""

    @property
    def websocket(self) -> str:
        """What a client connects to: ``wss://bot.example/voice``; empty = it was not said."""
        if not self.authority:
            return ""
        return f"{self.scheme.replace('http', 'ws')}://{self.authority}{self.prefix}"

    def root_path(self, path: str) -> str:
        """The prefix, when a request's path has it: a proxy may take it away or leave it."""
        below = path == self.prefix or path.startswith(f"{self.prefix}/")
        return self.prefix if below else ""


NOWHERE: Final = PublicUrl()
"""The public URL of a server that has none."""


def _network(name: str) -> _Network:
    try:
        return ipaddress.ip_network(name)
    except ValueError:
        wrong = f"VOXWIRE_TRUSTED_PROXIES: {name} is no address, no network (10.0.0.0/8), no unix"
        raise ProxiesError(wrong) from None


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(hop: str) -> str:
    """An address of X-Forwarded-For: some proxies add the client's port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
