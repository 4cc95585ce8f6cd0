"""Which STUN and TURN servers a session uses: the caller's, or those that the server names."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from voxwire._arguments import invalid, items, text
from voxwire._choices import ICE_POLICIES
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["IceChoice", "IceServer", "check_policy", "check_servers"]

_SCHEMES: Final = ("stun:", "stuns:", "turn:", "turns:")
_MAX_CHARS: Final = 4096


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server (W3C `RTCIceServer`).

    Attributes:
        urls: ``stun:``, ``turn:`` or ``turns:`` URLs.
        username: TURN user name.
        credential: TURN password.
    """

    urls: Sequence[str]
    username: str = ""
    credential: str = field(default="", repr=False)


def check_policy(policy: str) -> None:
    """Raises `UsageError` unless it is an ICE policy."""
    if policy not in ICE_POLICIES:
        reason = f"ice_policy is one of {', '.join(ICE_POLICIES)}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)


def check_servers(servers: object) -> tuple[IceServer, ...]:
    """The caller's servers.

    Raises:
        UsageError: INVALID_ARGUMENT: they are no list of `IceServer` with STUN or TURN URLs.
    """
    given = items(servers, "ice_servers")
    for server in given:
        if not isinstance(server, IceServer):
            kind = type(server).__name__
            raise invalid(f"ice_servers has a {kind}: pass voxwire.IceServer(urls=[...])")
        urls: object = server.urls
        for url in [urls] if isinstance(urls, str) else items(urls, "IceServer.urls"):
            if not isinstance(url, str) or not url.startswith(_SCHEMES):
                raise invalid("an ICE server's URL begins with stun:, stuns:, turn: or turns:")
        text(server.username, "IceServer.username", max_chars=_MAX_CHARS)
        text(server.credential, "IceServer.credential", max_chars=_MAX_CHARS)
    return tuple(given)


class IceChoice:
    """The servers for the paths of one session; those in Welcome come after the first offer."""

    def __init__(
        self, own: Sequence[IceServer] | None = None, *, policy: str = "all", loopback: bool = False
    ) -> None:
        """Prepares.

        Args:
            own: The caller's servers; None = those that the server names.
            policy: ``all``, or ``relay``: audio goes through TURN or not at all.
            loopback: True when the server is on this machine: nothing is asked then, unless the
                caller wants it.
        """
        self.relay_only = policy == "relay"
        self._servers: list[wire.IceServer] = []
        self._known = asyncio.Event()
        self._fixed = own is not None or (loopback and not self.relay_only)
        if own is not None:
            self._servers = [
                wire.IceServer(
                    urls=[server.urls] if isinstance(server.urls, str) else list(server.urls),
                    username=server.username,
                    credential=server.credential,
                )
                for server in own
            ]
        if self._fixed:
            self._known.set()

    def learn(self, servers: Iterable[wire.IceServer]) -> None:
        """Takes the list of Welcome, or a fresh one for the paths to come."""
        if not self._fixed:
            self._servers = list(servers)
            self._known.set()

    async def servers(self) -> list[wire.IceServer]:
        """The list, as soon as it is known. Cancel-safe."""
        await self._known.wait()
        return list(self._servers)
