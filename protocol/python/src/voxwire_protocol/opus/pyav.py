"""PyAV's Opus codecs, where libopus itself is not found."""

from typing import Any, Final

import numpy as np

from voxwire_protocol.opus.packets import CLOCK_RATE, Pcm, packet_samples

__all__ = ["AvDecoder", "AvEncoder"]

_EXPECTED_LOSS_PERCENT: Final = 10


class AvDecoder:
    """PyAV's decoder, which yields 48 kHz whatever is asked for, and a resampler behind it."""

    def __init__(self, sample_rate: int) -> None:
        import av

        self._av: Any = av
        self._rate = sample_rate
        self.restart()

    def restart(self) -> None:
        av = self._av
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate = CLOCK_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._resampler: Any = av.AudioResampler(format="s16", layout="mono", rate=self._rate)
        self._pending = np.zeros(0, np.int16)

    def decode(self, packet: bytes) -> Pcm:
        try:
            frames: list[Any] = self._codec.decode(self._av.Packet(packet)) if packet else []
        except self._av.FFmpegError as error:
            raise ValueError("malformed Opus packet") from error
        if not frames:
            raise ValueError("malformed Opus packet")
        for frame in frames:
            for out in self._resampler.resample(frame):
                pcm = np.frombuffer(out.planes[0], np.int16, out.samples)
                self._pending = np.concatenate([self._pending, pcm])
        # The resampler holds some samples back; packets keep their length.
        wanted = packet_samples(packet) * self._rate // CLOCK_RATE
        ready = np.pad(self._pending, (max(0, wanted - len(self._pending)), 0))
        self._pending = ready[wanted:]
        return ready[:wanted].copy()

    def conceal(self, num_samples: int, following: bytes | None) -> Pcm:
        return np.zeros(num_samples, np.int16)

    def foresee(self, num_samples: int) -> Pcm:
        return np.zeros(num_samples, np.int16)


class AvEncoder:
    """PyAV's encoder."""

    def __init__(
        self, sample_rate: int, bitrate: int, complexity: int, block_ms: int, fec: bool
    ) -> None:
        import av

        self._av: Any = av
        self._sample_rate = sample_rate
        self._bit_rate = bitrate
        self._options = {
            "application": "voip",
            "compression_level": str(complexity),
            "frame_duration": str(block_ms),
            "fec": str(int(fec)),
            "packet_loss": str(_EXPECTED_LOSS_PERCENT if fec else 0),
        }
        self._block_samples = sample_rate * block_ms // 1000
        self.lookahead_samples = sample_rate * 13 // 2000  # 6.5 ms: VOIP, any complexity
        self.restart()

    def restart(self) -> None:
        self._codec: Any = self._av.CodecContext.create("libopus", "w")
        self._codec.sample_rate = self._sample_rate
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = self._bit_rate
        self._codec.options = self._options
        self._codec.open()
        self._pts = 0

    def encode(self, data: bytes) -> bytes:
        frame = self._av.AudioFrame(format="s16", layout="mono", samples=self._block_samples)
        frame.sample_rate = self._codec.sample_rate
        frame.pts = self._pts
        self._pts += self._block_samples
        frame.planes[0].update(data)
        packets = self._codec.encode(frame)
        if len(packets) != 1:
            raise RuntimeError("PyAV's Opus encoder did not return one packet for one block")
        return bytes(packets[0])
