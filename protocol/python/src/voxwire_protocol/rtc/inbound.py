"""Audio from an aiortc receiver, decoded on the event loop in the call that received it.

aiortc's own path waits for four packets (80 ms), decodes 48 kHz stereo in a thread per receiver
and queues frames without a bound. Here a packet in order is decoded and delivered before the
receiving call returns; a timer runs only while a hole is pending. What aiortc does around that
(SRTP, receiver reports, round-trip times, BYE) is left alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCRtpReceiver

from voxwire_protocol.jitter import Gap, Item, JitterBuffer, JitterStats
from voxwire_protocol.opus import OpusDecoder, Pcm, packet_samples
from voxwire_protocol.quality import ArrivalJitter

__all__ = ["InboundAudio", "InboundStats", "attach"]

logger = logging.getLogger(__name__)

_CLOCK_RATE: Final = 48_000
_RECHECK_MS: Final = 5.0

OnAudio = Callable[[Pcm, int], None]
OnGap = Callable[[int, int], None]


@dataclass(slots=True)
class InboundStats:
    """What happened on the way in.

    Attributes:
        jitter: Counters of the jitter buffer.
        decode_errors: Packets that were not valid Opus; they are skipped.
        callback_errors: Exceptions of `on_audio` and `on_gap`; the first is logged.
        arrival_jitter_ms: How unevenly packets come, milliseconds (RFC 3550); None before the
            second one.
    """

    jitter: JitterStats
    decode_errors: int
    callback_errors: int
    arrival_jitter_ms: float | None = None


def attach(
    receiver: RTCRtpReceiver,
    *,
    sample_rate: int,
    on_audio: OnAudio,
    on_gap: OnGap | None = None,
) -> "InboundAudio":
    """Take over the packets of one receiver; its `track` will deliver nothing.

    Before the connection is up, nothing is lost; later, it starts with the packets that aiortc's
    buffer still holds (60-80 ms). Call it on the event loop.

    Args:
        receiver: An audio receiver of a connection that is not closed.
        sample_rate: Of what is delivered: 8000, 12000, 16000, 24000 or 48000 Hz.
        on_audio: Called on the event loop with int16 mono samples (a new array) and the RTP
            timestamp (48 kHz, 32 bits) of the first; must not block. Timestamps never go back; a
            jump is silence of the sender or an outage longer than what is concealed. Audio is
            behind its timestamp by the sender's look-ahead (6.5 ms for libopus).
        on_gap: Called with the RTP timestamp and the number of samples (at `sample_rate`) of
            concealed audio, right before `on_audio` delivers it.

    Returns:
        The attachment; close it before or with the connection.

    Raises:
        ValueError: Not an audio receiver, or a rate that Opus does not have.
        RuntimeError: This version of aiortc is built differently.
    """
    return InboundAudio(receiver, sample_rate=sample_rate, on_audio=on_audio, on_gap=on_gap)


class InboundAudio:
    """The receive path of one receiver; made by `attach`."""

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        *,
        sample_rate: int,
        on_audio: OnAudio,
        on_gap: OnGap | None = None,
    ) -> None:
        self._inside = _Receiver(receiver)
        self._decoder = OpusDecoder(sample_rate)
        self._sample_rate = sample_rate
        self._on_audio = on_audio
        self._on_gap = on_gap
        self._loop = asyncio.get_running_loop()
        self._buffer = JitterBuffer(clock_rate=_CLOCK_RATE, samples_of=packet_samples)
        self._timer: asyncio.TimerHandle | None = None
        self._ssrc: int | None = None
        self._last_packet_ms: float | None = None
        self._arrivals = ArrivalJitter(_CLOCK_RATE)
        self._decode_errors = self._callback_errors = 0
        self._closed = False

        for packet in self._inside.take_over(self._take):
            self._take(packet)

    @property
    def last_packet_ms(self) -> float | None:
        """When the last packet came, `time.monotonic()` in ms; None before the first."""
        return self._last_packet_ms

    def stats(self) -> InboundStats:
        """A copy of the counters."""
        return InboundStats(
            self._buffer.stats,
            self._decode_errors,
            self._callback_errors,
            self._arrivals.jitter_ms,
        )

    def close(self) -> None:
        """Stop delivering; packets that still come are dropped by aiortc. May be called again."""
        if not self._closed:
            self._closed = True
            self._inside.give_back()
            self._cancel_timer()

    def _take(self, packet: Any) -> None:
        """Put a packet in order and deliver what is ready."""
        now_ms = time.monotonic() * 1000
        self._last_packet_ms = now_ms
        if packet.ssrc != self._ssrc:
            self._start_stream(packet.ssrc)
        self._arrivals.note(packet.timestamp, now_ms)
        self._buffer.push(packet.sequence_number, packet.timestamp, packet.payload, now_ms)
        self._deliver(now_ms)

    def _start_stream(self, ssrc: int) -> None:
        """Another source has its own numbers and its own codec state."""
        if self._ssrc is not None:
            self._buffer = JitterBuffer(clock_rate=_CLOCK_RATE, samples_of=packet_samples)
            self._decoder = OpusDecoder(self._sample_rate)
            self._arrivals = ArrivalJitter(_CLOCK_RATE)
        self._ssrc = ssrc

    def _deliver(self, now_ms: float) -> None:
        """Hand on what the buffer releases, and wake up again if it waits for a hole."""
        items = self._buffer.pop(now_ms)
        for index, item in enumerate(items):
            if isinstance(item, Gap):
                self._conceal(item, items[index + 1])
            else:
                self._decode(item.payload, item.timestamp)
        due_ms = self._buffer.next_due_ms
        if due_ms is None:
            if self._timer is not None:
                self._cancel_timer()
        elif not self._closed:
            self._cancel_timer()
            delay_s = max(0.0, due_ms - time.monotonic() * 1000) / 1000
            self._timer = self._loop.call_later(delay_s, self._on_timer, due_ms)

    def _on_timer(self, due_ms: float) -> None:
        """A hole was waited for long enough, unless the event loop stood still meanwhile."""
        self._timer = None
        now_ms = time.monotonic() * 1000
        if now_ms - due_ms > _RECHECK_MS:
            # The missing packet may be in the socket by now: read that first.
            self._timer = self._loop.call_later(_RECHECK_MS / 1000, self._on_timer, now_ms + 1e3)
            return
        self._deliver(now_ms)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _decode(self, payload: bytes, timestamp: int) -> None:
        """Decode one packet and deliver it."""
        try:
            pcm = self._decoder.decode(payload)
        except ValueError:
            self._decode_errors += 1
            return
        self._call(self._on_audio, pcm, timestamp)

    def _conceal(self, gap: Gap, following: Item) -> None:
        """Deliver a replacement for what was lost, from the packet behind it where that has FEC."""
        num_samples = gap.samples * self._sample_rate // _CLOCK_RATE
        end = (gap.timestamp + gap.samples) & 0xFFFF_FFFF
        if not isinstance(following, Gap) and following.timestamp == end:
            pcm = self._decoder.decode_fec(following.payload, num_samples)
        else:
            pcm = self._decoder.conceal(num_samples)
        if self._on_gap is not None:
            self._call(self._on_gap, gap.timestamp, num_samples)
        self._call(self._on_audio, pcm, gap.timestamp)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        """Call the owner. An exception must not reach aiortc: it would close the connection."""
        if self._closed:
            return
        try:
            callback(*args)
        except Exception:
            self._callback_errors += 1
            if self._callback_errors == 1:
                logger.exception("inbound audio callback failed")


class _Receiver:
    """The one place that knows the inside of `RTCRtpReceiver` (aiortc 1.16).

    Packets are taken where aiortc would put them in order, so all that it does before that
    (reports, statistics, retransmissions) it does itself.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver: Any = receiver
        if self._private("kind") != "audio":
            raise ValueError("not an audio receiver")
        self._theirs = self._private("jitter_buffer")
        if isinstance(self._theirs, _Tap):
            raise RuntimeError("this receiver has been taken over already")
        self._codecs: dict[int, Any] = self._private("codecs")
        self._stop_decoder: Callable[[], None] = self._private("stop_decoder")
        self._receive = receiver.receive

    def take_over(self, take: Callable[[Any], None]) -> list[Any]:
        """Route Opus packets to `take` and stop the decoder thread.

        Returns:
            The Opus packets that aiortc's jitter buffer still held, in order.
        """

        def take_opus(packet: Any) -> None:
            if self._is_opus(packet):
                take(packet)

        self._receiver._RTCRtpReceiver__jitter_buffer = _Tap(take_opus)
        self._receiver.receive = self._receive_without_thread
        self._stop_decoder()
        buffer = self._theirs
        held = [packet for packet in buffer._packets if packet is not None]
        held.sort(key=lambda packet: (packet.sequence_number - buffer._origin) & 0xFFFF)
        return [packet for packet in held if self._is_opus(packet)]

    def give_back(self) -> None:
        """Undo `take_over`, but for the decoder thread: what still comes, aiortc drops."""
        self._receiver._RTCRtpReceiver__jitter_buffer = self._theirs
        del self._receiver.receive

    async def _receive_without_thread(self, parameters: Any) -> None:
        """`RTCRtpReceiver.receive`, and no decoder thread."""
        await self._receive(parameters)
        self._stop_decoder()

    def _is_opus(self, packet: Any) -> bool:
        codec = self._codecs.get(packet.payload_type)
        return codec is not None and codec.name.lower() == "opus"

    def _private(self, name: str) -> Any:
        """Read a name-mangled attribute."""
        try:
            return getattr(self._receiver, f"_RTCRtpReceiver__{name}")
        except AttributeError as error:
            raise RuntimeError(
                f"RTCRtpReceiver has no {name}: this version of aiortc is not supported (1.16 is)"
            ) from error


class _Tap:
    """Stands where a receiver keeps its `JitterBuffer`, and keeps nothing."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self._take = take

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet: no picture is wanted again, and no frame is whole."""
        self._take(packet)
        return False, None
