"""The audio track that we send: Opus packets made by us, on a schedule that never slips.

Because `recv` returns encoded packets, aiortc computes no audio level, resamples nothing and hops
through no executor, and an RTP timestamp is a private origin plus the packet's pts, exactly.
"""

import asyncio
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.opus import OpusEncoder

__all__ = ["PacketTrack", "Pull"]

logger = logging.getLogger(__name__)

_CLOCK_RATE: Final = 48_000
_TIME_BASE: Final = Fraction(1, _CLOCK_RATE)
_MAX_BEHIND_MS: Final = 1000.0

Pull = Callable[[int, int], bytes | None]


class PacketTrack(MediaStreamTrack):
    """Asks for one block of audio at each deadline and sends it, or silence.

    Block n is due n blocks after the first. After a stall of the event loop every block that is due
    goes out at once, so a stall never becomes lasting delay; more than 1 s behind, blocks are
    skipped (sample indices and timestamps jump by what was skipped).

    Owned by one connection; aiortc calls `recv` and `stop`.

    Args:
        pull: `pull(first_sample_index, num_samples)` returns that many int16 little-endian mono
            samples at `sample_rate`, or None for silence. Called on the event loop, once a block,
            at its deadline; must not block. If it raises or returns another length, the block is
            silent and the first such error is logged.
        sample_rate: 8000, 12000, 16000, 24000 or 48000 Hz.
        block_ms: 20, 40 or 60; the latency profile has 20.
        bitrate: Of Opus, bit/s.
        complexity: Of Opus, 0-10.
        fec: Whether packets carry a copy of the previous block.
        clock: The clock of the deadlines.
    """

    kind = "audio"

    def __init__(
        self,
        pull: Pull,
        *,
        sample_rate: int,
        block_ms: int = 20,
        bitrate: int = 32_000,
        complexity: int = 5,
        fec: bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__()
        self._encoder = OpusEncoder(
            sample_rate, bitrate=bitrate, complexity=complexity, block_ms=block_ms, fec=fec
        )
        self._pull = pull
        self._block_ms = block_ms
        self._block_samples = self._encoder.block_samples
        self._block_ticks = _CLOCK_RATE * block_ms // 1000
        self._block = 0  # the index of the next one
        self._started_ms: float | None = None
        self._clock = clock

        self.late_ms = 0.0
        """How late the loop came back for the block that is pulled, milliseconds: behind its
        deadline, or behind the moment at which it was asked where that was over already.
        """
        self.origin_known = asyncio.Event()
        """Set once `rtp_timestamp` has an answer; needs `bind`."""
        self._sender: _SenderClock | None = None
        self._on_origin: Callable[[int], None] | None = None
        self._origin: int | None = None
        self._last_pts: int | None = None
        self._pull_errors = 0
        self._skipped_blocks = 0

    @property
    def lookahead_samples(self) -> int:
        """How far decoded audio is behind its RTP timestamp, in samples at `sample_rate`."""
        return self._encoder.lookahead_samples

    @property
    def skipped_blocks(self) -> int:
        """Blocks that were never pulled, because the event loop stood still for over 1 s."""
        return self._skipped_blocks

    @property
    def pull_errors(self) -> int:
        """Blocks that are silent because `pull` failed."""
        return self._pull_errors

    def bind(self, sender: RTCRtpSender, *, on_origin: Callable[[int], None] | None = None) -> None:
        """Say which sender sends this track, before the connection is up.

        The origin of its RTP timestamps shows once one packet is out, so a bound track starts with
        a block of silence that is not pulled: the origin is known before `pull` is first called.

        Args:
            sender: What `addTrack` returned for this track.
            on_origin: Called once, on the event loop, with the RTP timestamp of pts 0, before the
                first `pull`: the moment to send the media anchor.

        Raises:
            RuntimeError: This version of aiortc is built differently.
        """
        self._sender = _SenderClock(sender)
        self._on_origin = on_origin

    def rtp_timestamp(self, pts: int) -> int | None:
        """The RTP timestamp (32 bits) of a position in this track.

        Args:
            pts: Ticks of 1/48000 s since the track's first sample (sample index * 48000 /
                `sample_rate`).

        Returns:
            None until the first packet has been sent.
        """
        return None if self._origin is None else (self._origin + pts) & 0xFFFF_FFFF

    async def recv(self) -> "Packet[Any]":
        """Wait for the next deadline and return its packet. Cancel-safe: nothing is pulled yet."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._origin is None:
            self._learn_origin()
        await self._wait_until_due()
        first = self._block * self._block_samples
        payload = self._encode(first)
        packet: Packet[Any] = Packet(payload)
        packet.pts = self._last_pts = self._block * self._block_ticks
        packet.time_base = _TIME_BASE
        self._block += 1
        return packet

    async def _wait_until_due(self) -> None:
        """Sleep to the deadline; skip ahead when more than 1 s behind it."""
        now_ms = self._clock.now_ms()
        if self._started_ms is None:
            self._started_ms = now_ms
        wait_ms = self._started_ms + self._block * self._block_ms - now_ms
        due_ms = now_ms + max(0.0, wait_ms)
        await asyncio.sleep((due_ms - now_ms) / 1000)  # yields when late, too: `pull` may be slow
        self.late_ms = max(0.0, self._clock.now_ms() - due_ms)
        if wait_ms < -_MAX_BEHIND_MS:
            skipped = int(-wait_ms / self._block_ms)
            self._block += skipped
            self._skipped_blocks += skipped

    def _encode(self, first_sample: int) -> bytes:
        """The packet of one block: what is pulled, or silence."""
        if self._sender is not None and self._origin is None:
            return self._encoder.silence()
        try:
            pcm = self._pull(first_sample, self._block_samples)
            return self._encoder.silence() if pcm is None else self._encoder.encode(pcm)
        except Exception:
            # aiortc would end the track for good: the bot would be mute for the whole session.
            self._pull_errors += 1
            if self._pull_errors == 1:
                logger.exception("outbound audio callback failed, silence is sent instead")
            return self._encoder.silence()

    def _learn_origin(self) -> None:
        """Read the origin off the previous packet, if that has been sent."""
        if self._sender is None or self._last_pts is None:
            return
        last_timestamp = self._sender.last_timestamp()
        if last_timestamp is None:
            return
        self._origin = (last_timestamp - self._last_pts) & 0xFFFF_FFFF
        self.origin_known.set()
        if self._on_origin is not None:
            self._on_origin(self._origin)


class _SenderClock:
    """The one place that knows the inside of `RTCRtpSender` (aiortc 1.16)."""

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender: Any = sender
        self.last_timestamp()

    def last_timestamp(self) -> int | None:
        """The RTP timestamp of the last packet sent; None before the first."""
        try:
            count: int = self._sender._RTCRtpSender__packet_count
            timestamp: int = self._sender._RTCRtpSender__rtp_timestamp
        except AttributeError as error:
            raise RuntimeError(
                "RTCRtpSender keeps no RTP timestamp: this version of aiortc is not supported"
                " (1.16 is)"
            ) from error
        return timestamp if count else None
