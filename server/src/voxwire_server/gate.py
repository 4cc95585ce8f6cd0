"""Who may reach the server at all: Host, Origin and forwarded headers, before anything else.

Loopback is not safe by itself, since any web page can reach it (DNS rebinding, cross-site
WebSockets): there the Host must name this machine with our port, the Origin must be absent or
this server's, and a forwarded request is refused unless a key is set
(``shared`` rule of the design, section 5; RFC 6454, RFC 6455 §10.2).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Gate", "Refusal", "is_loopback", "missing_key_message"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is turned away."""

    status: int
    reason: str


def is_loopback(host: str) -> bool:
    """True when ``host`` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def missing_key_message(host: str) -> str:
    """What to print when a server would listen beyond loopback without a key."""
    return (
        f"voxwire-server: listening on {host} would let anyone on the network use this bot. "
        "Set a key first, for instance: export VOXWIRE_KEY=$(openssl rand -hex 32), "
        "or listen on 127.0.0.1."
    )


@dataclass(frozen=True)
class Gate:
    """The first check of every request.

    Args:
        port: Port that the server listens on.
        loopback: True when it listens on a loopback address.
        has_key: True when a key is set.
        allowed_origins: Origins allowed beyond loopback, exact.
    """

    port: int
    loopback: bool
    has_key: bool = False
    allowed_origins: frozenset[str] = frozenset()

    def check(
        self, headers: Iterable[tuple[bytes, bytes]], *, reads: bool = False
    ) -> Refusal | None:
        """Look at a request's headers.

        Args:
            headers: Raw ASGI headers (lower-case names).
            reads: True for a plain GET, which the page of this very host may do: Chromium names
                the Origin of the console's own scripts and styles, too.

        Returns:
            Why it is refused, or None.
        """
        hosts: list[str] = []
        origins: list[str] = []
        for name, value in headers:
            if name == b"host":
                hosts.append(value.decode("latin-1"))
            elif name == b"origin":
                origins.append(value.decode("latin-1"))
            elif self._is_forwarded(name):
                return Refusal(403, "forwarded requests need VOXWIRE_KEY on this server")
        if len(hosts) != 1 or len(origins) > 1:
            return Refusal(403, "exactly one Host and at most one Origin")
        if self.loopback and hosts[0] not in self._local_hosts():
            return Refusal(403, "Host does not name this server")
        own = reads and origins in ([f"http://{hosts[0]}"], [f"https://{hosts[0]}"])
        if origins and not own and not self._origin_allowed(origins[0]):
            return Refusal(403, "Origin is not allowed")
        return None

    def _is_forwarded(self, name: bytes) -> bool:
        forwarded = name == b"forwarded" or name.startswith(b"x-forwarded-")
        return forwarded and self.loopback and not self.has_key

    def _local_hosts(self) -> tuple[str, ...]:
        names = ("127.0.0.1", "localhost", "[::1]")
        with_port = tuple(f"{name}:{self.port}" for name in names)
        return (*with_port, *names) if self.port == 80 else with_port

    def _origin_allowed(self, origin: str) -> bool:
        if origin in self.allowed_origins:
            return True
        return self.loopback and origin in {f"http://{host}" for host in self._local_hosts()}
