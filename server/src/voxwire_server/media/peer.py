"""The server's side of a WebRTC connection: which addresses it uses, and who it sends to."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import rtc, wire
from voxwire_protocol.rtc.inbound import OnAudio
from voxwire_protocol.rtc.outbound import Pull
from voxwire_server.gate import is_loopback
from voxwire_server.ports import Formats, IcePort, PathError

__all__ = ["CONNECT_MS", "Reachable", "ServerPeer"]

_log = logging.getLogger("voxwire.media")

CONNECT_MS: Final = 15_000
"""How long a connection may take to come about: without candidates ICE never fails by itself."""

_FIREFOX: Final = "o=mozilla"


@dataclass(frozen=True, slots=True)
class Reachable:
    """Where the settings say that this server can be reached.

    Attributes:
        host: What it listens on.
        ice_addresses: Addresses for host candidates, joined by commas; empty = every interface, or
            loopback where it listens on loopback.
        ice: The session's STUN and TURN servers; None = host candidates alone.
    """

    host: str
    ice_addresses: str = ""
    ice: IcePort | None = None

    @property
    def relay(self) -> IcePort | None:
        """What this side gets a relay of its own from; None = it uses none."""
        return self.ice if self.ice is not None and self.ice.policy != "host" else None

    def for_offer(self, offer: str) -> rtc.Here:
        """What to answer an offer with."""
        if self.relay is not None and self.relay.policy == "relay":
            return rtc.Here(relay_only=True)
        given = [a.strip() for a in self.ice_addresses.split(",") if a.strip()]
        inside = not given and is_loopback(self.host)
        firefox = inside and _FIREFOX in offer  # it pairs no loopback candidate (ADR 4)
        if inside:
            given = ["127.0.0.1", *(rtc.own_addresses() if firefox else ())]
        return rtc.Here(addresses=tuple(given), only_from_here=firefox)


class ServerPeer:
    """One peer connection that answers: at once, with host candidates.

    Remote candidates are ignored: the client's address is learnt from its own checks, so that no
    stranger can have this server probe an address. A server behind its own TURN allocation takes a
    few, for the relayed socket alone (:class:`rtc.PeerCandidates`); its answer waits for the relay.

    Args:
        path_id: The path that it carries.
        reachable: Where this server can be reached.
        formats: Of the audio.
        pull: Gives a block of the bot's voice, None for silence.
        on_audio: Takes the user's audio and its RTP timestamp.
        on_lost: Called once when the connection is lost.
        on_data: Called with the data channel that the client opens, before any message of it.
    """

    def __init__(
        self,
        path_id: int,
        reachable: Reachable,
        *,
        formats: Formats,
        pull: Pull,
        on_audio: OnAudio,
        on_lost: Callable[[], None],
        on_data: Callable[[rtc.DataChannel], None] | None = None,
    ) -> None:
        self._path_id = path_id
        self._reachable = reachable
        self._formats = formats
        self._pull = pull
        self._on_audio = on_audio
        self._on_lost = on_lost
        self._on_data = on_data
        self._peer: rtc.Peer | None = None

    async def answer(self, offer: str) -> str:
        """Answer an SDP offer, once.

        Raises:
            PathError: BAD_SDP: the offer cannot be used. TURN_FAILED: this server is reached
                through TURN alone, and TURN gave nothing. ICE_FAILED: it has no address.
        """
        peer = self._peer = self._make(self._reachable.for_offer(offer))
        ice = self._reachable.relay
        prepare = None if ice is None else (lambda: self._add_relay(peer, offer, ice))
        try:
            return await peer.answer(offer, prepare=prepare)
        except rtc.BadSdpError as error:
            raise PathError(wire.ErrorCode.ERROR_CODE_BAD_SDP, str(error)) from error
        except rtc.TurnError as error:
            reason = f"the server is reached through TURN alone, and has no relay: {error}"
            raise PathError(wire.ErrorCode.ERROR_CODE_TURN_FAILED, reason) from error
        except ConnectionError as error:
            raise _ice_failed() from error

    def _make(self, here: rtc.Here) -> rtc.Peer:
        return rtc.Peer(
            pull=self._pull,
            on_audio=self._on_audio,
            send_rate=self._formats.playout.sample_rate,
            receive_rate=self._formats.capture.sample_rate,
            block_ms=self._formats.playout.block_ms,
            here=here,
            on_data=self._on_data,
            on_closed=self._on_lost,
        )

    async def _add_relay(self, peer: rtc.Peer, offer: str, ice: IcePort) -> None:
        """Get a relayed candidate of our own, and hear the client's."""
        candidates = peer.candidates_of(offer)
        try:
            await peer.relay(ice.for_server())
        except rtc.TurnError as error:
            _log.warning("no relay for this server: %s", error)
            if ice.policy == "relay":
                raise
        else:
            ice.listen(self._path_id, candidates.add)

    async def connected(self) -> None:
        """Wait until audio can flow, 15 s at most. Cancel-safe.

        Raises:
            PathError: ICE_FAILED: it will not.
        """
        assert self._peer is not None, "answer comes first"
        try:
            async with asyncio.timeout(CONNECT_MS / 1000):
                await self._peer.connected()
        except (TimeoutError, ConnectionError) as error:
            raise _ice_failed() from error

    def rtp_timestamp(self, sample: int) -> int | None:
        """RTP timestamp (48 kHz) of a sample of the bot's track; None before its first packet."""
        return None if self._peer is None else self._peer.rtp_timestamp(sample)

    @property
    def late_ms(self) -> float:
        """How late the block is that is pulled just now, milliseconds."""
        return 0.0 if self._peer is None else self._peer.late_ms

    async def close(self) -> None:
        """Close the connection. Idempotent; cancelled, it goes on alone to its end."""
        if self._reachable.relay is not None:
            self._reachable.relay.forget(self._path_id)
        if self._peer is not None:
            await self._peer.close()


def _ice_failed() -> PathError:
    return PathError(
        wire.ErrorCode.ERROR_CODE_ICE_FAILED,
        "no connection came about; a firewall may need a TURN server",
    )
