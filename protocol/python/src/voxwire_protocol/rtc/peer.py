"""One peer connection with one audio section both ways, and a data channel where it is wanted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from aioice.stun import TransactionError
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRemoteInboundRtpStreamStats,
    RTCSessionDescription,
)
from aiortc.exceptions import (
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)

from voxwire_protocol import wire
from voxwire_protocol.rtc.data import DataChannel
from voxwire_protocol.rtc.ice import (
    close_wholly,
    connect_promptly,
    is_relayed,
    use_addresses,
)
from voxwire_protocol.rtc.inbound import InboundAudio, InboundStats, OnAudio
from voxwire_protocol.rtc.outbound import PacketTrack, Pull
from voxwire_protocol.rtc.relay import PeerCandidates, Relay
from voxwire_protocol.rtc.sdp import check_offer, strip_candidates, with_opus_fmtp

__all__ = ["BadSdpError", "Here", "OutboundStats", "Peer", "PeerStats"]

_log = logging.getLogger(__name__)

_CLOCK_RATE: Final = 48_000
_UNUSABLE: Final = (
    ValueError,
    AssertionError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,  # what a StopIteration in a coroutine becomes (PEP 479)
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)
"""What aiortc raises for descriptions: its parsers check with assert and index without looking."""


class BadSdpError(ValueError):
    """A description that cannot be used; the text names the rule and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where this side can be reached.

    Attributes:
        addresses: Of this machine, for host candidates; empty = every interface but loopback.
        only_from_here: Ignore what comes from any other machine (:func:`rtc.ice.use_addresses`).
        relay_only: Use relayed candidates and no others.
    """

    addresses: tuple[str, ...] = ()
    only_from_here: bool = False
    relay_only: bool = False


@dataclass(frozen=True, slots=True)
class PeerStats:
    """What happened so far.

    Attributes:
        inbound: On the way in; None before the descriptions are there.
        skipped_blocks: Blocks that were never pulled: the event loop stood still for over 1 s.
        pull_errors: Blocks that are silent because `pull` failed.
    """

    inbound: InboundStats | None
    skipped_blocks: int
    pull_errors: int


@dataclass(frozen=True, slots=True)
class OutboundStats:
    """What the peer reports of our audio (RFC 3550 §6.4.1).

    Attributes:
        received: Packets that arrived there.
        lost: Packets that did not.
        round_trip_ms: There and back, milliseconds; None before the second report.
    """

    received: int
    lost: int
    round_trip_ms: float | None


class Peer:
    """One side of a connection, whichever of the two offers.

    The one who offers: `offer`, then `accept` with the answer. The other: `answer`. Then
    `connected`. Owned by one task of its event loop, which closes it; nothing is sent or opened
    before `offer` or `answer`.

    Attributes:
        data: The data channel: as the one who offers from `offer` on, where a label was given; as
            the one who answers the first that the peer opens. Its callbacks are the owner's.
    """

    def __init__(
        self,
        *,
        pull: Pull,
        on_audio: OnAudio,
        send_rate: int,
        receive_rate: int,
        block_ms: int = 20,
        here: Here | None = None,
        data_label: str | None = None,
        on_data: Callable[[DataChannel], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        """Makes the connection; nothing is sent yet.

        Args:
            pull: Gives a block of audio to send, as `PacketTrack` asks for it.
            on_audio: Takes decoded audio and its RTP timestamp, as `attach` delivers it.
            send_rate: Of what `pull` gives, Hz: 8000, 12000, 16000, 24000 or 48000.
            receive_rate: Of what `on_audio` gets, Hz, one of the same.
            block_ms: Length of a sent block: 20, 40 or 60.
            here: Where this side can be reached; every interface unless told otherwise.
            data_label: The one who offers makes a data channel of this name.
            on_data: Called with the data channel that the peer opened, before any message of it:
                the moment to set its callbacks. It is open then.
            on_closed: Called once when the connection is lost, or closed by the peer; not for
                `close`.
        """
        self._here = here or Here()
        self._on_audio = on_audio
        self._receive_rate = receive_rate
        self._send_rate = send_rate
        self._data_label = data_label
        self._on_data = on_data
        self._on_closed = on_closed
        self.data: DataChannel | None = None
        self._connection = RTCPeerConnection(_configuration(self._here, data=data_label))
        self._track = PacketTrack(pull, sample_rate=send_rate, block_ms=block_ms)
        self._inbound: InboundAudio | None = None
        self._relay: Relay | None = None
        self._settled = asyncio.Event()
        self._lost = False
        self._reached = False
        self._closing: asyncio.Task[None] | None = None
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("iceconnectionstatechange", self._ice_changed)
        self._connection.on("datachannel", self._take_channel)

    # descriptions

    async def offer(self, *, relay_follows: bool = False) -> str:
        """Gathers host candidates and returns the SDP offer.

        Args:
            relay_follows: `relay` will be called: ICE does not fail before that is over.
        """
        self._begin()
        if self._data_label is not None:
            self.data = DataChannel(self._connection.createDataChannel(self._data_label))
        if relay_follows:
            self._relay_of().hold()
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return with_opus_fmtp(self._connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Takes the answer; the connection starts.

        Raises:
            BadSdpError: It is no answer to our offer.
        """
        if "a=fingerprint:" not in answer:  # aiortc notices in a task that nobody awaits
            raise BadSdpError("the SDP answer has no fingerprint")
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise BadSdpError("the SDP answer cannot be used") from error

    async def answer(
        self, offer: str, *, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """Takes an offer and returns the answer, with host candidates; the connection starts.

        The offer's candidates are left out: the peer's address is learnt from its own checks.

        Args:
            offer: SDP of a stranger; it is checked first.
            prepare: Awaited when the offer was taken and before there is an answer: the moment for
                `relay` and `candidates_of`.

        Raises:
            BadSdpError: The offer cannot be used.
            ConnectionError: This machine has no address for it; or what `prepare` raises of this.
        """
        try:
            check_offer(offer)
        except ValueError as error:
            raise BadSdpError(str(error)) from None
        connection = self._connection
        try:
            await connection.setRemoteDescription(
                RTCSessionDescription(strip_candidates(offer), "offer")
            )
            self._begin()
            if prepare is not None:
                await prepare()
            await connection.setLocalDescription(await connection.createAnswer())
        except ConnectionError:
            raise
        except (OSError, TransactionError) as error:
            _log.info("no address for a connection", exc_info=error)
            raise ConnectionError("no address for the connection could be had") from None
        except _UNUSABLE as error:
            _log.info("offer refused", exc_info=error)
            raise BadSdpError("the SDP offer is not usable") from None
        return with_opus_fmtp(connection.localDescription.sdp)

    def _begin(self) -> None:
        """The audio both ways, and how this side is reached; before there is a description."""
        connection, here = self._connection, self._here
        self._track.bind(connection.addTrack(self._track))
        audio = next(t for t in connection.getTransceivers() if t.kind == "audio")
        for other in connection.getTransceivers():
            if other is not audio:  # a camera, a screen, a second microphone: nobody takes it
                other.direction = "inactive"
        self._inbound = InboundAudio(
            audio.receiver, sample_rate=self._receive_rate, on_audio=self._on_audio
        )
        if here.addresses and not here.relay_only:
            use_addresses(connection, here.addresses, only_from_here=here.only_from_here)
        connect_promptly(connection)

    # relays

    async def relay(self, servers: Sequence[wire.IceServer]) -> str | None:
        """Gathers a relayed candidate, beside the rest. To be called once; cancel-safe.

        Args:
            servers: STUN and TURN servers. STUN is not asked: the peer learns our address from
                our own checks.

        Returns:
            The candidate line, for a peer that is itself behind TURN; None when the connection
            came about without it.

        Raises:
            TurnError: No TURN server gave one; the text says why.
        """
        return await self._relay_of().gather(servers)

    def _relay_of(self) -> Relay:
        if self._relay is None:
            self._relay = Relay(self._connection, only=self._here.relay_only)
        return self._relay

    def candidates_of(self, offer: str) -> PeerCandidates:
        """For a side behind a relay of its own: sends from it to some candidates of the peer.

        Args:
            offer: The offer that is being answered; its best candidates are taken at once.

        Returns:
            Takes those that come later.
        """
        candidates = PeerCandidates(self._connection)
        candidates.add_all(offer)
        return candidates

    # the connection

    async def connected(self) -> None:
        """Waits until audio can flow; the caller sets the deadline. Cancel-safe.

        Raises:
            ConnectionError: It never will.
        """
        await self._settled.wait()
        if self._lost or self._closing is not None:
            raise ConnectionError("the WebRTC connection failed")

    @property
    def reached(self) -> bool:
        """True once ICE has found a way there and back, whatever came of it."""
        return self._reached

    def rtp_timestamp(self, sample: int) -> int | None:
        """RTP timestamp (48 kHz, 32 bits) of a sample that is sent, by its number.

        Returns:
            None until the first packet has been sent; there is one before the first `pull`.
        """
        return self._track.rtp_timestamp(sample * _CLOCK_RATE // self._send_rate)

    @property
    def late_ms(self) -> float:
        """How late the block is that is pulled just now, milliseconds; to be asked in `pull`."""
        return self._track.late_ms

    def stats(self) -> PeerStats:
        """A copy of the counters."""
        inbound = None if self._inbound is None else self._inbound.stats()
        return PeerStats(inbound, self._track.skipped_blocks, self._track.pull_errors)

    async def outbound_stats(self) -> OutboundStats | None:
        """What the peer has reported last; None = nothing yet. It reports about once a second."""
        for transceiver in self._connection.getTransceivers():
            for report in (await transceiver.sender.getStats()).values():
                if isinstance(report, RTCRemoteInboundRtpStreamStats):
                    round_trip_s = cast("float | None", report.roundTripTime)
                    round_trip_ms = None if round_trip_s is None else round_trip_s * 1000
                    lost = max(0, report.packetsLost)
                    return OutboundStats(report.packetsReceived, lost, round_trip_ms)
        return None

    @property
    def relayed(self) -> bool:
        """True when audio goes through this side's TURN allocation."""
        return is_relayed(self._connection)

    def drop(self) -> None:
        """Loses every packet from here on; neither side is told. For tests of what follows."""
        ice: Any = self._connection.getTransceivers()[0].receiver.transport.transport
        ice._send = _swallow
        ice._recv = _hang

    async def close(self) -> None:
        """Closes the connection; may be called again. Cancelled, it goes on alone to its end."""
        if self._closing is None:
            if self._inbound is not None:
                self._inbound.close()
            self._track.stop()
            # a task of its own: a caller that is cancelled must not leave half a connection
            self._closing = asyncio.get_running_loop().create_task(self._shut())
            self._settled.set()
        await asyncio.shield(self._closing)

    async def _shut(self) -> None:
        await close_wholly(self._connection)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._settled.set()
        elif state in ("failed", "closed") and not self._lost and self._closing is None:
            self._lost = True
            self._settled.set()
            if self._on_closed is not None:
                self._on_closed()

    def _ice_changed(self) -> None:
        self._reached = self._reached or self._connection.iceConnectionState == "completed"

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if self.data is not None:
            channel.close()  # one carries what there is to say
            return
        self.data = DataChannel(channel)
        if self._on_data is not None:
            self._on_data(self.data)


def _configuration(here: Here, *, data: str | None) -> RTCConfiguration:
    # No servers: without the empty list aiortc asks a public STUN server. One transport for audio
    # and data, so that there is one to restrict and to relay.
    return RTCConfiguration(
        iceServers=[],
        iceTransportPolicy=(
            RTCIceTransportPolicy.RELAY if here.relay_only else RTCIceTransportPolicy.ALL
        ),
        bundlePolicy=RTCBundlePolicy.BALANCED if data is None else RTCBundlePolicy.MAX_BUNDLE,
    )


async def _swallow(data: bytes) -> None:
    """Sends nothing."""


async def _hang() -> bytes:
    """Receives nothing."""
    return await asyncio.get_running_loop().create_future()
