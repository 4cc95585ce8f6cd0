"""How many sockets may be open before anybody has said who they are.

Pure: no clock reads, no I/O; ``now_ms`` is monotonic milliseconds.
"""

from collections.abc import Callable, Container, Hashable, Iterable
from typing import Any, Final, NamedTuple

from voxwire_server.gate import address_of, group_of, is_loopback
from voxwire_server.proxies import TrustedProxies

__all__ = ["EXTENSION", "YOUNG_MS", "PendingSockets", "SocketControl"]

YOUNG_MS: Final = 1000
"""A loopback socket that is younger does not count against its address, milliseconds."""

EXTENSION: Final = "voxwire.socket"
"""ASGI extension of our WebSocket scopes: a :class:`SocketControl`."""


def _nothing() -> None:
    pass


class SocketControl(NamedTuple):
    """What a route can do to its socket besides sending and receiving.

    Attributes:
        admitted: The client has said who it is: its socket no longer counts as pending.
        abort: Reset the connection now.
        take_texts: Have text messages read, too: no client of the protocol itself sends any.
        ping: Send a WebSocket ping (RFC 6455 §5.5.2), and have a pong told; None = it cannot.
    """

    admitted: Callable[[], None] = _nothing
    abort: Callable[[], None] = _nothing
    take_texts: Callable[[], None] = _nothing
    ping: Callable[[Callable[[], None]], None] | None = None

    @classmethod
    def of(cls, scope: dict[str, Any]) -> "SocketControl | None":
        """That of an ASGI scope; None on another server than ours."""
        extensions: dict[str, Any] = scope.get("extensions") or {}
        return extensions.get(EXTENSION)


class PendingSockets:
    """Sockets whose Hello has not been accepted.

    On loopback every client has the same address and all of them may begin in one moment, so there
    only the sockets that have stayed silent for a second count against the address.

    A connection that HTTP keeps alive gives way: it has been answered, and its browser opens
    another one when it needs it. A page holds up to six of them.

    Args:
        per_address: Most sockets of one address (IPv6: of one /64).
        total: Most sockets in all.
        proxies: Those whose sockets count for their clients.
        peers: Addresses of the other processes of the service, which bring many at once: their
            sockets count in all only.
    """

    def __init__(
        self,
        *,
        per_address: int,
        total: int,
        proxies: TrustedProxies | None = None,
        peers: Callable[[], Container[str]] = tuple,
    ) -> None:
        self._per_address = per_address
        self._proxies = proxies or TrustedProxies()
        self._peers = peers
        self._total = total
        self._groups: dict[str, dict[Hashable, float]] = {}
        self._group_of: dict[Hashable, str] = {}
        self._idle: dict[Hashable, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def trusts(self, peer: str) -> bool:
        """Whether a socket is a proxy's: it counts for its client, once that is known."""
        return self._proxies.trusts(peer)

    def name(
        self, socket: Hashable, peer: str, headers: Iterable[tuple[bytes, bytes]], now_ms: float
    ) -> bool:
        """Count the socket of a proxy of ours for the client behind it; False = that has too many,
        and the socket is not counted any more.
        """
        front = self._proxies.front(peer, headers)
        if front is None or front.client is None or socket not in self._group_of:
            return True
        self.leave(socket)
        return self.enter(socket, front.client, now_ms)

    def unname(self, socket: Hashable, peer: str, now_ms: float) -> None:
        """A proxy's socket has its answer: it is the proxy's again, for whomever comes next."""
        if self.trusts(peer) and socket in self._group_of:
            self.leave(socket)
            self.enter(socket, peer, now_ms)

    def enter(self, socket: Hashable, address: str, now_ms: float) -> bool:
        """Count a new socket; False = there are too many, and it is not counted."""
        group = group_of(address)
        if self._full(group, address, now_ms) and not self._make_room(group, address, now_ms):
            return False
        self._groups.setdefault(group, {})[socket] = now_ms
        self._group_of[socket] = group
        return True

    def control_of(self, scope: dict[str, Any], now_ms: float) -> SocketControl | None:
        """Count the WebSocket of an ASGI scope; None = there are too many."""
        socket = object()
        if not self.enter(socket, address_of(scope), now_ms):
            return None
        return SocketControl(admitted=lambda: self.leave(socket))

    def idle(self, socket: Hashable, give_way: Callable[[], None]) -> None:
        """A socket has been answered and asks for nothing; one that left before stays away.

        Args:
            socket: The socket.
            give_way: Closes it, when another one needs its place.
        """
        if socket in self._group_of:
            self._idle[socket] = give_way

    def busy(self, socket: Hashable) -> None:
        """A socket asks for something again. Idempotent."""
        self._idle.pop(socket, None)

    def _full(self, group: str, address: str, now_ms: float) -> bool:
        same = self._groups.get(group, {})
        if self.trusts(address) or address in self._peers():
            return len(self._group_of) >= self._total
        if is_loopback(address):
            count = sum(1 for since in same.values() if now_ms - since >= YOUNG_MS)
        else:
            count = len(same)
        return len(self._group_of) >= self._total or count >= self._per_address

    def _make_room(self, group: str, address: str, now_ms: float) -> bool:
        """Close what is idle, the oldest first, until there is room for one more."""
        for socket in list(self._idle):
            if self._group_of[socket] == group or len(self._group_of) >= self._total:
                give_way = self._idle[socket]
                self.leave(socket)
                give_way()
                if not self._full(group, address, now_ms):
                    return True
        return False

    def leave(self, socket: Hashable) -> None:
        """A socket ended or its Hello was accepted. Idempotent."""
        self._idle.pop(socket, None)
        group = self._group_of.pop(socket, None)
        if group is None:
            return
        sockets = self._groups[group]
        del sockets[socket]
        if not sockets:
            del self._groups[group]
