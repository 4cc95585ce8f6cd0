"""Beside a connection that comes about: the search for a TURN server that relays it."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from voxwire._ice import IceChoice
from voxwire_protocol.errors import ErrorCode, SignalingError, VoxwireError

if TYPE_CHECKING:
    from voxwire_protocol.rtc import Peer

__all__ = ["Relaying"]

_log = logging.getLogger("voxwire")

TURN_GRACE_S: Final = 2.0
"""When TURN gave nothing, how long a direct connection may still take."""

CLOSE_S: Final = 1.0
"""How long the search for a TURN server may take to stop."""


class Relaying:
    """Gives a connection a relayed candidate where there is a TURN server.

    Attributes:
        trouble: What is known to be wrong with a connection that is not there; None = nothing.
    """

    def __init__(self, peer: "Peer", ice: IceChoice, tell: Callable[[str], object]) -> None:
        """Begins to look for a relay.

        Args:
            peer: The connection, which has made its offer.
            ice: Which TURN servers to use.
            tell: Takes the candidate, for the other end.
        """
        self.trouble: VoxwireError | None = None
        self._peer = peer
        self._ice = ice
        self._tell = tell
        self._search = asyncio.create_task(self._find())

    async def _find(self) -> None:
        from voxwire_protocol.rtc import TurnError  # brings in aiortc

        servers = await self._ice.servers()
        try:
            candidate = await self._peer.relay(servers)
        except TurnError as error:
            if any(url.startswith("turn") for server in servers for url in server.urls):
                _log.warning("TURN gave no relay: %s", error)
            elif not self._ice.relay_only:
                return
            reason = f"no direct network path for WebRTC, and none through TURN: {error}"
            if self._ice.relay_only:
                reason = f"no path through TURN, and ice_policy='relay' allows no other: {error}"
            self.trouble = SignalingError(ErrorCode.TURN_FAILED, reason)
            return
        if candidate is not None:
            self._tell(candidate)

    async def connected(self) -> None:
        """Waits for the connection; only a moment longer than TURN's failure. Cancel-safe.

        Raises:
            SignalingError: It does not come about: TURN_FAILED when a TURN server was needed and
                gave nothing, else ICE_FAILED.
        """
        connected = asyncio.create_task(self._peer.connected())
        try:
            done, _ = await asyncio.wait(
                {connected, self._search}, return_when=asyncio.FIRST_COMPLETED
            )
            if connected not in done:
                grace_s = 0.0 if self._ice.relay_only else TURN_GRACE_S
                await asyncio.wait({connected}, timeout=grace_s if self.trouble else None)
            if connected.done() and connected.exception() is None:
                return
        finally:
            connected.cancel()
        raise self.trouble or SignalingError(
            ErrorCode.ICE_FAILED,
            "no network path for WebRTC was found: try transport='websocket'",
            retryable=True,
        )

    async def close(self) -> None:
        """Ends the search, within 1 s."""
        self._search.cancel()
        await asyncio.wait({self._search}, timeout=CLOSE_S)
