"""One peer connection on aiortc; the only module that touches it. Import it on first use."""

import asyncio
from collections.abc import Callable, Sequence

from aiortc import (
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)

from voxwire._path import BLOCK_MS
from voxwire.audio import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire_protocol import wire
from voxwire_protocol.rtc import InboundAudio, PacketTrack, attach, with_opus_fmtp
from voxwire_protocol.rtc.ice import close_wholly, connect_promptly, use_addresses
from voxwire_protocol.rtc.relay import Relay
from voxwire_protocol.rtc.turn_servers import TurnError

__all__ = ["Peer", "TurnError"]

CLOSE_S = 2.0
_OPUS_CLOCK = 48_000


class Peer:
    """A connection with one audio section, both ways."""

    def __init__(
        self,
        *,
        capture: Callable[[int, int | None], bytes | None],
        on_audio: Callable[[Samples, int], None],
        sample_rate: int,
        loopback: bool = False,
        relay_only: bool = False,
    ) -> None:
        """Makes the connection; nothing is sent yet.

        Args:
            capture: Reads so many samples of the user's audio, 16 kHz; is told their RTP timestamp
                (48 kHz), or None where it is not known.
            on_audio: Takes decoded audio and the RTP timestamp (48 kHz) of its first sample.
            sample_rate: Of what `on_audio` gets, Hz.
            loopback: Use the loopback interface and no other.
            relay_only: Use relayed candidates and no others.
        """
        policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
        # An empty list: without it aiortc asks a public STUN server.
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], iceTransportPolicy=policy)
        )
        self._capture = capture
        self._connected = asyncio.Event()
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._track = PacketTrack(self._pull, sample_rate=CAPTURE_RATE, block_ms=BLOCK_MS)
        self._track.bind(self._connection.addTrack(self._track))
        receiver = self._connection.getTransceivers()[0].receiver
        self._inbound: InboundAudio = attach(receiver, sample_rate=sample_rate, on_audio=on_audio)
        self._connection.on("connectionstatechange", self._changed)
        if loopback and not relay_only:
            use_addresses(self._connection, ["127.0.0.1"])
        connect_promptly(self._connection)
        self._relay = Relay(self._connection, only=relay_only)
        self._relay.hold()

    async def relay(self, servers: Sequence[wire.IceServer]) -> str | None:
        """Gathers a relayed candidate, beside the rest. To be called once; cancel-safe.

        Args:
            servers: STUN and TURN servers. STUN is not asked: the server learns our address from
                our own checks.

        Returns:
            The candidate line, for a server that is itself behind TURN; None when the connection
            came about without it.

        Raises:
            TurnError: No TURN server gave one; the text says why.
        """
        return await self._relay.gather(servers)

    async def offer(self) -> str:
        """Gathers host candidates and returns the SDP offer."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return with_opus_fmtp(self._connection.localDescription.sdp)

    async def accept(self, answer_sdp: str) -> None:
        """Takes the answer; the connection starts.

        Raises:
            ValueError: It is no answer to our offer.
        """
        description = RTCSessionDescription(sdp=answer_sdp, type="answer")
        try:
            await self._connection.setRemoteDescription(description)
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise ValueError("the SDP answer cannot be used") from error

    async def wait_connected(self) -> bool:
        """Waits until media can flow; False when it never will. Cancel-safe."""
        await self._connected.wait()
        return not self._closed.is_set()

    async def wait_closed(self) -> None:
        """Waits until the connection is gone. Cancel-safe."""
        await self._closed.wait()

    def drop(self) -> None:
        """Loses every packet from here on; the connection does not notice."""
        ice = self._connection.getTransceivers()[0].receiver.transport.transport
        ice._send = _swallow  # pyright: ignore[reportPrivateUsage]
        ice._recv = _hang  # pyright: ignore[reportPrivateUsage]

    async def close(self) -> None:
        """Closes the connection, within 2 s; may be called again. Cancelled, it goes on alone."""
        self._inbound.close()
        if self._closing is None:
            # aiortc closes once: whoever is cancelled half-way would leave a socket and its task
            self._closing = asyncio.get_running_loop().create_task(self._shut())
        await asyncio.shield(self._closing)

    async def _shut(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await close_wholly(self._connection)
        except TimeoutError:
            return

    def _pull(self, first_sample: int, num_samples: int) -> bytes | None:
        timestamp = self._track.rtp_timestamp(first_sample * _OPUS_CLOCK // CAPTURE_RATE)
        return self._capture(num_samples, timestamp)

    def _changed(self) -> None:
        state = self._connection.connectionState
        if state in ("failed", "closed"):
            self._closed.set()
        if state in ("connected", "failed", "closed"):
            self._connected.set()


async def _swallow(data: bytes) -> None:
    """Sends nothing."""


async def _hang() -> bytes:
    """Receives nothing."""
    return await asyncio.get_running_loop().create_future()
