"""Audio over WebRTC; the media clock through anchors."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from voxwire._anchors import AnchorMap
from voxwire._fallback import Progress
from voxwire._ice import IceChoice
from voxwire._path import (
    BLOCK_MS,
    PLAYOUT_RATE,
    Arrived,
    Capture,
    Readiness,
    Sink,
    arrived_at,
    audio_format,
    capture_format,
)
from voxwire._relaying import Relaying
from voxwire._rtc_stack import load
from voxwire.audio import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire_protocol import wire
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    SignalingError,
    TransportError,
    VoxwireError,
)

if TYPE_CHECKING:
    from voxwire_protocol.rtc import OutboundStats, Peer

__all__ = ["WebRtcPath"]

MAX_EARLY: Final = 100
"""Blocks that are kept until the session takes audio (2 s)."""


LOOKAHEAD_TICKS: Final = 312
"""Decoded sound is this much behind its RTP timestamp: libopus looks 6.5 ms ahead (48 kHz)."""

TICKS_PER_SAMPLE: Final = 48_000 // PLAYOUT_RATE
"""RTP ticks of one sample of the playout."""

RECENT: Final = 50
"""Blocks that are placed again when their anchor comes behind them (1 s)."""

PEER_CLOSE_S: Final = 2.0
"""How long the connection's closing is waited for; it goes on alone after that."""

SILENT_S: Final = 1.0
"""A connection that brings no packet for this long carries nothing any more."""

DOUBTED_S: Final = 0.5
"""The same when the control channel has been lost."""

LOOK_S: Final = 0.25

GRACE_S: Final = 1.0
"""The connection of a session that ends may close before SessionEnded arrives."""


class WebRtcPath:
    """A path on a peer connection of its own."""

    carrier = wire.Carrier.CARRIER_WEBRTC
    codec = "opus"
    codec_reason = "WebRTC carries Opus"
    make_up = None  # what is lost was made up by the connection already

    def __init__(
        self,
        path_id: int,
        *,
        capture: Capture,
        ice: IceChoice,
        send: Callable[[wire.Envelope], bool],
        loopback: bool = False,
    ) -> None:
        """Creates a path that is not asked for yet.

        Args:
            path_id: Its number.
            capture: Reads the user's audio.
            ice: Which TURN servers to use.
            send: Sends a message.
            loopback: Stay on this machine.
        """
        self._loopback = loopback
        self._ice = ice
        self._send = send
        self._relaying: Relaying | None = None
        self._path_id = path_id
        self._capture = capture
        self._anchors = AnchorMap(sample_rate=PLAYOUT_RATE, smear_ticks=LOOKAHEAD_TICKS)
        self._sink: Sink | None = None
        self._early: deque[tuple[int, Samples]] = deque(maxlen=MAX_EARLY)
        self._recent: deque[tuple[int, Samples]] = deque(maxlen=RECENT)
        self._ready = Readiness()
        self._answered = Readiness()
        self._answer = ""
        self._peer: Peer | None = None
        self._broken = asyncio.Event()
        self._received = False  # a packet came since it was looked at last
        self._doubted = False
        self._dropped = False
        self._connected = False
        self._joins = False  # the server waits for what was kept of before
        self._untold: deque[wire.AudioChunk] = deque()  # that, and where this path takes over

    async def offer(self) -> wire.PathOpen:
        """Makes the peer connection and returns the message that asks for this path.

        It waits for no TURN server: the offer carries host candidates, a relayed one is added to
        our side as soon as there is one.

        Raises:
            UsageError: MISSING_EXTRA: what it needs is not installed, or not wholly.
        """
        await load()
        from voxwire_protocol.rtc import Here, Peer

        self._peer = Peer(
            pull=self._pull,
            on_audio=self._receive_audio,
            send_rate=CAPTURE_RATE,
            receive_rate=PLAYOUT_RATE,
            block_ms=BLOCK_MS,
            here=Here(
                addresses=("127.0.0.1",) if self._loopback else (),
                relay_only=self._ice.relay_only,
            ),
            on_closed=self._broken.set,
        )
        sdp = await self._peer.offer(relay_follows=True)
        self._relaying = Relaying(self._peer, self._ice, self._tell)
        return wire.PathOpen(
            path_id=self._path_id,
            carrier=self.carrier,
            capture=capture_format(wire.Codec.CODEC_OPUS),
            playout=audio_format(wire.Codec.CODEC_OPUS, PLAYOUT_RATE),
            sdp_offer=sdp,
        )

    @property
    def progress(self) -> Progress:
        """How far it has come: whether the server has answered, and what went through since."""
        if self._peer is None or not self._answer:
            return Progress.ASKED
        if self._connected:
            return Progress.CONNECTED
        return Progress.REACHED if self._peer.reached else Progress.ANSWERED

    @property
    def trouble(self) -> VoxwireError | None:
        """What is known to be wrong with a path that is not ready; None = nothing."""
        return self._relaying.trouble if self._relaying is not None else None

    def _tell(self, candidate: str) -> None:
        """Tells the server where this side can be reached as well."""
        message = wire.IceCandidate(path_id=self._path_id, candidate=candidate, sdp_mid="0")
        with contextlib.suppress(VoxwireError):  # a wire that broke is said elsewhere
            self._send(wire.Envelope(ice_candidate=message))

    def _pull(self, first_sample: int, num_samples: int) -> bytes | None:
        assert self._peer is not None, "it asks"
        return self._read_user(num_samples, self._peer.rtp_timestamp(first_sample))

    def _read_user(self, num_samples: int, rtp_timestamp: int | None) -> bytes | None:
        """The user's audio, from the moment that the session takes it; nothing is lost before."""
        if self._sink is None:
            return None
        if self._joins:
            self._joins = False
            self._take_kept(rtp_timestamp)
        while self._untold and self._send(wire.Envelope(audio=self._untold[0])):
            self._untold.popleft()
        return self._capture.read(num_samples)

    def _take_kept(self, rtp_timestamp: int | None) -> None:
        """What was kept of before goes on the control channel, then where this path takes over."""
        path_id = self._path_id
        for piece in self._capture.take_kept():
            chunk = wire.AudioChunk(path_id=path_id, sample_index=piece.index, data=piece.pcm)
            self._untold.append(chunk)
        end = wire.AudioChunk(path_id=path_id, live_follows=True, rtp_timestamp=rtp_timestamp)
        self._untold.append(end)

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes answer, ready, close and anchors."""
        match envelope.WhichOneof("payload"):
            case "path_answer":
                self._answer = envelope.path_answer.sdp_answer
                self._answered.set()
            case "path_ready":
                self._joins = envelope.path_ready.WhichOneof("capture") is not None
                self._ready.set()
            case "path_close":
                self._answered.refuse(envelope.path_close)
                self._ready.refuse(envelope.path_close)
            case "media_anchor":
                self._receive_anchor(envelope.media_anchor)
            case _:
                return

    def _receive_anchor(self, anchor: wire.MediaAnchor) -> None:
        """Takes an anchor, and places again what overtook it."""
        if anchor.track_id or anchor.WhichOneof("position") != "rtp_timestamp":
            return
        misplaced = self._anchors.add(
            anchor.rtp_timestamp, anchor.media_ms, clock_rate=anchor.clock_rate
        )
        if self._sink is None:
            return
        if misplaced is not None:
            index = anchor.media_ms * PLAYOUT_RATE // 1000
            self._sink.rewind(index, misplaced=misplaced)
        for timestamp, samples in self._recent:
            end = timestamp + TICKS_PER_SAMPLE * len(samples)
            if 0 < (end - anchor.rtp_timestamp) & 0xFFFF_FFFF < 1 << 31:
                self._place(timestamp, samples, self._sink)

    def _receive_audio(self, samples: Samples, rtp_timestamp: int) -> None:
        if self._dropped:
            return
        self._received = True
        if self._sink is None:
            self._early.append((rtp_timestamp, samples))
            return
        content_timestamp = (rtp_timestamp - LOOKAHEAD_TICKS) & 0xFFFF_FFFF
        self._recent.append((content_timestamp, samples))
        self._place(content_timestamp, samples, self._sink)

    def _place(self, timestamp: int, samples: Samples, sink: Sink) -> None:
        for piece in self._anchors.place(timestamp, len(samples)):
            sink.push(piece.sample_index, samples[piece.start : piece.start + piece.length])

    async def wait_ready(self) -> int:
        """Waits until the connection is up on both sides; returns the playout rate, Hz.

        Raises:
            SignalingError: The answer cannot be used, or no connection came about: TURN_FAILED
                when a TURN server was needed and gave nothing, else ICE_FAILED.
        """
        peer, relaying = self._peer, self._relaying
        assert peer is not None and relaying is not None, "offer comes first"
        await self._answered.wait()
        try:
            await peer.accept(self._answer)
        except ValueError as error:
            raise SignalingError(ErrorCode.BAD_SDP, "the answer cannot be used") from error
        await relaying.connected()
        self._connected = True
        await self._ready.wait()
        return PLAYOUT_RATE

    def arrived(self) -> Arrived:
        """What came of the bot's audio."""
        assert self._peer is not None, "offer comes first"
        return arrived_at(self._peer.stats().inbound)

    @property
    def relayed(self) -> bool:
        """True when the audio goes through TURN."""
        return self._peer is not None and self._peer.relayed

    async def sent(self) -> "OutboundStats | None":
        """What the server reports of the user's audio; None = nothing yet."""
        return None if self._peer is None else await self._peer.outbound_stats()

    async def run(self, sink: Sink) -> None:
        """Passes audio on until cancelled. The user's audio is pulled by the connection.

        Raises:
            TransportError: The connection broke.
        """
        assert self._peer is not None, "offer comes first"
        self._sink = sink
        for rtp_timestamp, samples in self._early:
            self._receive_audio(samples, rtp_timestamp)
        self._early.clear()
        try:
            with self._capture.pulled():
                async with asyncio.TaskGroup() as group:
                    closed = group.create_task(self._broken.wait())
                    await self._wait_silent(closed)
                    closed.cancel()
        finally:
            self._sink = None
        raise TransportError(
            ErrorCode.CONNECTION_LOST,
            "the WebRTC connection broke",
            retryable=True,
            action=RecoveryAction.RECONNECT,
        )

    async def _wait_silent(self, closed: asyncio.Task[bool]) -> None:
        """Waits until the connection is closed, or has brought nothing for too long."""
        silent_s = 0.0
        while silent_s < (DOUBTED_S if self._doubted else SILENT_S):
            # Counted in looks, not by the clock: a stall of this program is no silence.
            await asyncio.wait({closed}, timeout=LOOK_S)
            if closed.done():
                await asyncio.sleep(GRACE_S)
                return
            silent_s = 0.0 if self._received else silent_s + LOOK_S
            self._doubted = self._doubted and not self._received
            self._received = False

    def doubt(self) -> None:
        """The control channel was lost: silence means the same of this connection sooner."""
        self._doubted = True
        self._received = False

    def drop(self) -> None:
        """Carries nothing any more and tells nobody."""
        self._dropped = True
        if self._peer is not None:
            self._peer.drop()

    async def close(self) -> None:
        """Closes the peer connection, within 3 s."""
        self._sink = None
        try:
            if self._relaying is not None:
                await self._relaying.close()
        finally:
            if self._peer is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PEER_CLOSE_S):
                        await self._peer.close()
