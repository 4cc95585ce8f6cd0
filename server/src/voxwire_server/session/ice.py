"""STUN and TURN for one session: credentials for each side, fresh in time, and who may be sent to.

Times are wall-clock seconds, as in the credentials themselves.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.ice_servers import IceServers, refresh_after_s
from voxwire_server.ports import SessionPort

__all__ = ["SessionIce"]

_MAX_WAITING: Final = 8
"""Candidates that are kept for paths which are not made yet; the client's messages are in order,
but a path is made in a task of its own."""
_MAX_CANDIDATE_CHARS: Final = 512
_SERVER_SIDE: Final = ".server"

TakeCandidate = Callable[[str], object]
"""Takes a candidate line without ``a=``."""


class SessionIce:
    """What one session has to do with STUN and TURN; the :class:`~voxwire_server.ports.IcePort`.

    Credentials live no longer than ``turn_ttl_s``, than the session's token had left when the
    session began, and than the session may last. Fresh ones come in time for as long as it lasts.

    Args:
        port: The session, which begins now.
        servers: The servers of the settings.
        session_id: Its id: the user that credentials are for.
        policy: What the server is reached by: ``host``, ``all`` or ``relay``.
        token_expires_at_s: End of the token's life, seconds since the epoch; None = no token.
        max_duration_ms: Longest duration of the session, milliseconds; 0 = no limit.
        wall_s: The wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        port: SessionPort,
        servers: IceServers,
        *,
        session_id: str,
        policy: str,
        token_expires_at_s: float | None = None,
        max_duration_ms: int = 0,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        now_s = wall_s()
        self._port = port
        self._servers = servers
        self._session_id = session_id
        self._policy = policy
        self._wall_s = wall_s
        self._life_s: float | None = None
        if token_expires_at_s is not None:
            self._life_s = max(1.0, token_expires_at_s - now_s)
        self._ends_at_s = now_s + max_duration_ms / 1000 if max_duration_ms else None
        self._waiting: list[wire.IceCandidate] = []
        self._takers: dict[int, TakeCandidate] = {}
        self._started = False

    @property
    def policy(self) -> str:
        """What the server is reached by: ``host``, ``all`` or ``relay``."""
        return self._policy

    @property
    def relays(self) -> bool:
        """True when the server uses an allocation of its own."""
        return self._policy != "host"

    def for_client(self) -> list[wire.IceServer]:
        """The servers for the client, with fresh credentials."""
        return self._mint(self._session_id)

    def for_server(self) -> list[wire.IceServer]:
        """The servers for this side, with fresh credentials of its own."""
        return self._mint(self._session_id + _SERVER_SIDE)

    def _mint(self, user: str) -> list[wire.IceServer]:
        now_s = self._wall_s()
        return self._servers.mint(user, now_s=now_s, ttl_s=self._ttl_s(now_s))

    def _ttl_s(self, now_s: float) -> float | None:
        limits = [] if self._life_s is None else [self._life_s]
        if self._ends_at_s is not None:
            limits.append(self._ends_at_s - now_s)
        return min(limits, default=None)

    def start(self) -> None:
        """Keep the client's credentials fresh for as long as the session lasts. Idempotent."""
        if self._servers.mints and not self._started:
            self._started = True
            self._port.spawn(self._refresh(self.for_client()))

    async def _refresh(self, servers: list[wire.IceServer]) -> None:
        while True:
            ttl_s = max((server.ttl_secs for server in servers), default=0)
            covered = self._ends_at_s is not None and self._wall_s() + ttl_s >= self._ends_at_s - 1
            if not ttl_s or covered:
                return
            await asyncio.sleep(refresh_after_s(ttl_s))
            servers = self.for_client()
            self._port.emit(ice_servers_update=wire.IceServersUpdate(ice_servers=servers))

    def remote_candidate(self, message: wire.IceCandidate) -> None:
        """Take a candidate of the client. It is ignored unless this side is behind TURN itself."""
        if not self.relays or len(message.candidate) > _MAX_CANDIDATE_CHARS:
            return
        take = self._takers.get(message.path_id)
        if take is not None:
            take(message.candidate)
        elif len(self._waiting) < _MAX_WAITING:
            self._waiting.append(message)

    def listen(self, path_id: int, take: TakeCandidate) -> None:
        """Hand the candidates for a path to ``take``, those that are here already first."""
        self._takers[path_id] = take
        for message in [m for m in self._waiting if m.path_id == path_id]:
            self._waiting.remove(message)
            take(message.candidate)

    def forget(self, path_id: int) -> None:
        """The path is closed."""
        self._takers.pop(path_id, None)
