"""WebRTC audio of a session, on aiortc."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from aioice.stun import TransactionError
from aiortc import (
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import (
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)

from voxwire_protocol import rtc, wire
from voxwire_protocol.rtc.ice import (
    close_wholly,
    connect_promptly,
    own_addresses,
    use_addresses,
)
from voxwire_protocol.rtc.relay import PeerCandidates, Relay
from voxwire_protocol.rtc.turn_servers import TurnError
from voxwire_server.gate import is_loopback
from voxwire_server.media.base import MediaPath

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["BadSdpError", "TurnError", "WebRtcPath"]

_log = logging.getLogger("voxwire.media")

_OPUS_CLOCK: Final = 48_000
_FIREFOX: Final = "o=mozilla"
_SHED_WINDOW: Final = 25
_ANCHOR_LEAD_MS: Final = 10
_UNUSABLE: Final = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


class BadSdpError(ValueError):
    """An offer that cannot be used; the text names the rule and repeats nothing of the offer."""


class WebRtcPath(MediaPath):
    """One peer connection: Opus both ways, the answer given at once with host candidates.

    Remote candidates are ignored: the client's address is learnt from its own checks, so that no
    stranger can have this server probe an address. A server behind its own TURN allocation takes a
    few, for the relayed socket alone (:class:`PeerCandidates`); its answer waits for the relay.
    The bot's track sends a packet at every deadline, silence included, and catches up after a
    stall of the event loop.

    Args:
        path_id: Number that the client gave the path.
        session: The session that it carries.
    """

    carrier = wire.Carrier.CARRIER_WEBRTC

    def __init__(self, path_id: int, session: "Session") -> None:
        self.path_id = path_id
        self._session = session
        self._playout = session.playout
        self._ice = session.ice if session.ice is not None and session.ice.relays else None
        only = self._ice is not None and self._ice.policy == "relay"
        policy = RTCIceTransportPolicy.RELAY if only else RTCIceTransportPolicy.ALL
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], iceTransportPolicy=policy)
        )
        self._settled = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._track = rtc.PacketTrack(
            self._pull,
            sample_rate=session.settings.audio_out_sample_rate,
            block_ms=session.settings.block_ms,
        )
        self._inbound: rtc.InboundAudio | None = None
        self._offset: int | None = None
        self._announced: tuple[int, int] | None = None
        self._next_first = 0
        self._next_at_ms = 0.0
        self._pending: list[int] = []
        self._excess = 0
        self._held = False
        self._returning: asyncio.Task[None] | None = None

    async def answer(self, offer: str) -> str:
        """Answer an SDP offer.

        Raises:
            BadSdpError: The offer cannot be used.
            ConnectionError: This machine has no address for it.
            TurnError: This server is reached through TURN alone, and TURN gave nothing.
        """
        try:
            rtc.check_offer(offer)
        except ValueError as error:
            raise BadSdpError(str(error)) from None
        connection = self._connection
        connection.on("connectionstatechange", self._state_changed)
        try:
            await connection.setRemoteDescription(
                RTCSessionDescription(rtc.strip_candidates(offer), "offer")
            )
            self._track.bind(connection.addTrack(self._track))
            self._attach_inbound()
            self._choose_addresses(offer)
            connect_promptly(connection)
            await self._add_relay(offer)
            await connection.setLocalDescription(await connection.createAnswer())
        except ConnectionError:  # TurnError is one
            raise
        except (OSError, TransactionError) as error:
            _log.info("no address for a connection", exc_info=error)
            raise ConnectionError("no address for the connection could be had") from None
        except _UNUSABLE as error:
            # aiortc's parsers check with assert and index without looking
            _log.info("offer refused", exc_info=error)
            raise BadSdpError("the SDP offer is not usable") from None
        return rtc.with_opus_fmtp(connection.localDescription.sdp)

    def _attach_inbound(self) -> None:
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "audio":
                self._inbound = rtc.attach(
                    transceiver.receiver,
                    sample_rate=self._session.settings.audio_in_sample_rate,
                    on_audio=self._heard_user,
                )
                return
        raise BadSdpError("the SDP offer has no audio")

    async def _add_relay(self, offer: str) -> None:
        """Get a relayed candidate of our own and hear the client's, where the settings say so."""
        ice = self._ice
        if ice is None:
            return
        only = ice.policy == "relay"
        candidates = PeerCandidates(self._connection)
        candidates.add_all(offer)
        try:
            await Relay(self._connection, only=only).gather(ice.for_server())
        except TurnError as error:
            _log.warning("no relay for this server: %s", error)
            if only:
                raise
        else:
            ice.listen(self.path_id, candidates.add)

    def _choose_addresses(self, offer: str) -> None:
        settings = self._session.settings
        if self._ice is not None and self._ice.policy == "relay":
            return
        given = [a.strip() for a in settings.ice_addresses.split(",") if a.strip()]
        inside = not given and is_loopback(settings.host)
        if inside:
            given = ["127.0.0.1"]
            if _FIREFOX in offer:  # it pairs no loopback candidate (ADR 4)
                given += own_addresses()
        if given:
            use_addresses(self._connection, given, only_from_here=inside)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._settled.set()
        elif state in ("failed", "closed"):
            self._settled.set()
            if self._closing is None and self._session.path is self:
                self._session.spawn(self._lost())

    async def _lost(self) -> None:
        if self._session.path is not self:
            return
        self._session.emit(
            path_close=wire.PathClose(
                path_id=self.path_id,
                code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST,
                reason="the WebRTC connection was lost",
            )
        )
        await self._session.paths.drop(self.path_id)

    async def connected(self) -> None:
        """Wait until audio can flow; the caller sets the deadline. Cancel-safe.

        Raises:
            ConnectionError: It never will.
        """
        await self._settled.wait()
        if self._connection.connectionState != "connected":
            raise ConnectionError("the WebRTC connection failed")

    def _heard_user(self, pcm: Any, timestamp: int) -> None:
        if self._session.path is self:
            self._playout.heard.peer_alive(self._session.now_ms())
        self._session.capture.rtp(self.path_id, pcm.tobytes(), timestamp)

    def _pull(self, first: int, num_samples: int) -> bytes | None:
        """One block of the bot's voice for the track, None for silence."""
        session = self._session
        now = session.now_ms()
        self._next_first = first + num_samples
        self._next_at_ms = now + num_samples * 1000 / self._playout.sample_rate
        if session.path is not self or not self._in_reach(now):
            return None
        if self._excess:  # announced with the block before, so it costs no silence
            self._playout.skip_live(self._excess)
            self._excess = 0
        start = self._playout.next_start()
        if start is None:
            return None
        if start - first != self._offset and not self._begins(start, first):
            return None
        backlog = self._playout.live_backlog_samples()
        block = self._playout.take(num_samples, now)
        if block is None:
            return None
        self._shed(backlog, num_samples)
        missing = num_samples * 2 - len(block.pcm)
        return block.pcm + bytes(missing) if missing else block.pcm

    def _in_reach(self, now: float) -> bool:
        """False while nothing comes from the peer, or it cannot play: its voice is kept for it."""
        heard, session = self._playout.heard, self._session
        if heard.suspended:
            return False
        if heard.out_of_reach(now):
            if not self._held:
                self._held = True
                session.absence.begin(heard.peer_at_ms)
            if now - heard.peer_at_ms > session.settings.dead_after_ms and self._closing is None:
                session.spawn(self._lost())
            return False
        if self._held and self._returning is None:
            self._returning = session.spawn(self._return())
        return not self._held

    async def _return(self) -> None:
        """The peer is back: go on where its last report stood, or after what is too late."""
        await self._session.absence.end()
        if self._session.path is self:
            self._playout.rewind(self._session.now_ms())
        self._offset = self._announced = None  # a client that could not play waits for an anchor
        self._held, self._returning = False, None

    def _begins(self, start: int, first: int) -> bool:
        """True when the client was told in time that ``start`` stands at ``first`` from here on."""
        if self._announced == (start, first):
            self._offset = start - first
            return True
        if self._announced is None or self._announced != (start, self._next_first):
            self._announce(start, self._next_first)
        return False

    def _announce(self, start: int, first: int) -> None:
        self._announced = (start, first)
        self._anchor(start, first)

    def wake(self) -> None:
        """Audio was placed: say where it will stand, ahead of the packet that carries it.

        An anchor and its audio travel on two wires; one that is sent less than 10 ms ahead could
        come second, so it then names the block after the next.
        """
        start = self._playout.next_start()
        if start is None or not self._next_first or start - self._next_first == self._offset:
            return
        block = self._session.settings.block_ms * self._playout.sample_rate // 1000
        soon = self._next_at_ms - self._session.now_ms() < _ANCHOR_LEAD_MS
        first = self._next_first + (block if soon else 0)
        pending = self._announced
        if pending is None or pending[0] != start or pending[1] < self._next_first:
            self._announce(start, first)

    def _shed(self, backlog: int, num_samples: int) -> None:
        """Drop the lasting backlog of a live source (echo, translation), never of an utterance.

        What is dropped is announced one block ahead, as the anchor needs.
        """
        self._pending.append(backlog)
        if len(self._pending) < _SHED_WINDOW:
            return
        excess = min(self._pending) - num_samples
        self._pending.clear()
        start = self._playout.next_start()
        if excess > 0 and start is not None:
            self._excess = excess
            self._announce(start + excess, self._next_first)

    def _anchor(self, media_sample: int, track_sample: int) -> None:
        rate = self._playout.sample_rate
        timestamp = self._track.rtp_timestamp(track_sample * _OPUS_CLOCK // rate)
        if timestamp is None:
            return
        self._session.emit(
            media_anchor=wire.MediaAnchor(
                path_id=self.path_id,
                media_ms=self._playout.to_ms(media_sample),
                rtp_timestamp=timestamp,
                clock_rate=_OPUS_CLOCK,
            )
        )

    def report(self, report: wire.PlayoutReport) -> None:
        """The track runs with the clock; only a client that cannot play stops it."""
        self._held = self._held or report.suspended

    async def close(self) -> None:
        if self._closing is None:
            if self._ice is not None:
                self._ice.forget(self.path_id)
            if self._inbound is not None:
                self._inbound.close()
            self._track.stop()
            # a task of its own: a caller that is cancelled must not leave half a connection
            self._closing = asyncio.get_running_loop().create_task(self._shut())
        await asyncio.shield(self._closing)

    async def _shut(self) -> None:
        connection = self._connection
        try:
            await close_wholly(connection)
        except AttributeError as error:
            # a refused offer leaves transceivers without a transport, and aiortc stops at the first
            _log.debug("connection closed piece by piece", exc_info=error)
            for transceiver in connection.getTransceivers():
                dtls: Any = transceiver.receiver.transport
                if dtls is not None:
                    await dtls.stop()
                    await dtls.transport.stop()
