"""Echo load over WebRTC (aiortc clients): round trips on the wire, seen as tone bursts.

Clients send Opus packets made beforehand. The first two are probes: a burst each 500 ms, of one of
four pitches in turn, so that an echo up to 2 s late is told from the next one. A burst is back when
the first RTP packet with sound in it arrives; no jitter buffer is in the figure. The others send
noise, the dearest signal for Opus.
"""

import asyncio
import fractions
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from tests.bench.dialects import RtcDialect
from tests.bench.trips import Trips

RATE = 48000
BURST_EVERY_MS, BURST_MS = 500, 120  # to whole packets, and at least two of them
PITCHES_HZ = (500, 1000, 1500, 2000)
TIME_BASE = fractions.Fraction(1, RATE)
QUIET_RMS, LOUD_RMS = 0.01, 0.03
PROBES = 2


@dataclass(frozen=True)
class Cycle:
    """One burst of each pitch, in packets of one length; repeated without end."""

    packet_ms: int = 20

    @property
    def frame(self) -> int:
        """Samples of a packet."""
        return RATE * self.packet_ms // 1000

    @property
    def burst_every(self) -> int:
        """Packets from one burst to the next."""
        return BURST_EVERY_MS // self.packet_ms

    @property
    def packets(self) -> int:
        """Packets of a cycle."""
        return self.burst_every * len(PITCHES_HZ)


def signal(kind: str, cycle: Cycle) -> np.ndarray:
    """One cycle of `bursts` or `noise`: float32 in [-1, 1], mono, 48 kHz."""
    samples = cycle.frame * cycle.packets
    if kind == "noise":
        rng = np.random.default_rng(7)
        return (rng.standard_normal(samples) * 0.1).astype(np.float32)
    out = np.zeros(samples, np.float32)
    t = np.arange(RATE * BURST_MS // 1000) / RATE
    for number, pitch in enumerate(PITCHES_HZ):
        start = number * cycle.burst_every * cycle.frame
        out[start : start + t.size] = 0.4 * np.sin(2 * np.pi * pitch * t)
    return out


def opus_packets(kind: str, cycle: Cycle) -> list[bytes]:
    """A cycle as Opus packets that can be repeated without end."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "flt"
    encoder.bit_rate = 32000
    encoder.time_base = TIME_BASE
    encoder.options = {"application": "audio", "frame_duration": str(cycle.packet_ms)}
    encoder.open()
    packets: list[bytes] = []
    samples = np.tile(signal(kind, cycle), 2)
    count, size = cycle.packets, cycle.frame
    for number in range(2 * count):
        block = samples[number * size : (number + 1) * size].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * size, TIME_BASE
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[-count:] if len(packets) == 2 * count else packets[count - 1 :][:count]


class PacketTrack(MediaStreamTrack):
    """Sends ready packets on absolute deadlines; calls `on_burst` as one begins."""

    kind = "audio"

    def __init__(
        self, packets: list[bytes], cycle: Cycle, on_burst: Callable[[int], None] | None
    ) -> None:
        super().__init__()
        self._packets = packets
        self._cycle = cycle
        self._on_burst = on_burst
        self._number = 0
        self._origin_s = 0.0

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        self._origin_s = self._origin_s or loop.time()
        due_s = self._origin_s + self._number * self._cycle.packet_ms / 1000
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        number, self._number = self._number, self._number + 1
        place = number % self._cycle.packets
        if self._on_burst is not None and place % self._cycle.burst_every == 0:
            self._on_burst(place // self._cycle.burst_every)
        packet = av.Packet(self._packets[place])
        packet.pts, packet.time_base = number * self._cycle.frame, TIME_BASE
        return packet


class BurstDetector:
    """Finds the first packet of each burst, and from the next packet its pitch."""

    def __init__(self) -> None:
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = RATE
        self._decoder.layout = "stereo"
        self._quiet = 0
        self._onset_s: float | None = None

    def feed(self, payload: bytes, now_s: float) -> tuple[int, float] | None:
        """Takes one packet's payload; returns a burst's number and when it began, once known."""
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            return None
        for frame in frames:
            data = frame.to_ndarray()
            left = data[0] if data.shape[0] > 1 else data[0][::2]
            if data.dtype == np.int16:
                left = left / 32768.0
            rms = float(np.sqrt(np.mean(np.square(left, dtype=np.float64))))
            if self._onset_s is not None:
                onset_s, self._onset_s = self._onset_s, None
                return self._pitch(left), onset_s
            if rms < QUIET_RMS:
                self._quiet += 1
            elif rms > LOUD_RMS:
                if self._quiet >= 3:
                    self._onset_s = now_s
                self._quiet = 0
        return None

    @staticmethod
    def _pitch(samples: np.ndarray) -> int:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        pitch = np.argmax(spectrum) * RATE / samples.size
        return int(np.argmin([abs(pitch - known) for known in PITCHES_HZ]))


class RtcSession:
    """One client: a probe or a source of noise."""

    def __init__(
        self,
        dialect: RtcDialect,
        trips: Trips,
        packets: list[bytes],
        *,
        cycle: Cycle,
        probe: bool,
    ) -> None:
        self._dialect = dialect
        self._trips = trips
        self._probe = probe
        self._detector = BurstDetector()
        self._sent_at: dict[int, float] = {}
        self._peer = RTCPeerConnection()
        self._track = PacketTrack(packets, cycle, self._on_burst if probe else None)
        self.packets = 0
        self.heard = asyncio.Event()

    async def connect(self, url: str) -> None:
        """Offers, takes the answer, waits until media flows."""
        transceiver = self._peer.addTransceiver(self._track, direction="sendrecv")
        transceiver.receiver._handle_rtp_packet = self._on_rtp  # type: ignore[method-assign]
        self._peer.createDataChannel("rtvi")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._dialect.connect(url, self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(15):
            await self.heard.wait()

    async def close(self) -> None:
        """Closes the peer connection and the session."""
        await self._dialect.close()
        await self._peer.close()

    def _on_burst(self, number: int) -> None:
        now_s = time.monotonic()
        self._sent_at[number] = now_s
        self._trips.sent(now_s)

    async def _on_rtp(self, packet: Any, arrival_time_ms: int) -> None:
        now_s = time.monotonic()
        self.packets += 1
        self.heard.set()
        if not self._probe or not packet.payload:
            return
        found = self._detector.feed(packet.payload, now_s)
        if found is None:
            return
        number, onset_s = found
        sent_s = self._sent_at.pop(number, None)
        if sent_s is not None:
            self._trips.returned(sent_s, onset_s)


async def run_rtc_load(
    *,
    dialect: Callable[[], RtcDialect],
    host: str,
    port: int,
    count: int,
    measure: Callable[[Trips, Callable[[float], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Connects `count` sessions one after the other, then lets `measure` run its windows."""
    trips = Trips()
    cycle = Cycle(dialect().packet_ms)
    bursts, noise = opus_packets("bursts", cycle), opus_packets("noise", cycle)
    sessions = [
        RtcSession(
            dialect(),
            trips,
            bursts if index < PROBES else noise,
            cycle=cycle,
            probe=index < PROBES,
        )
        for index in range(count)
    ]
    try:
        for session in sessions:
            await session.connect(f"http://{host}:{port}")
        await measure(trips, asyncio.sleep)
    finally:
        for session in sessions:
            await session.close()
