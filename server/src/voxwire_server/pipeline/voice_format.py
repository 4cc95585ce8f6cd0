"""The bot's voice as the session wants it: mono, at its rate, as loud as was asked."""

import numpy as np
from pipecat.audio.utils import scale_audio
from pipecat.frames.frames import OutputAudioRawFrame
from soxr import ResampleStream

__all__ = ["VoiceFormat"]


class VoiceFormat:
    """Brings audio frames to the session's format.

    Args:
        sample_rate: The session's rate, Hz.
        volume: Factor for the samples; 1 = as they are.
    """

    def __init__(self, *, sample_rate: int, volume: float) -> None:
        self.volume = volume
        self._rate = sample_rate
        self._resampler: tuple[int, ResampleStream] | None = None

    def convert(self, frame: OutputAudioRawFrame) -> bytes:
        """The frame's audio: int16 little-endian PCM, mono, at the session's rate."""
        pcm = self._resampled(frame)
        return pcm if self.volume == 1.0 else scale_audio(pcm, self.volume)

    def cut(self) -> None:
        """What comes next does not continue what came before."""
        self._resampler = None

    def _resampled(self, frame: OutputAudioRawFrame) -> bytes:
        if frame.sample_rate == self._rate and frame.num_channels == 1:
            return frame.audio
        samples = np.frombuffer(frame.audio, dtype=np.int16)
        if frame.num_channels > 1:
            samples = samples.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
        if frame.sample_rate == self._rate:
            return samples.tobytes()
        if self._resampler is None or self._resampler[0] != frame.sample_rate:
            stream = ResampleStream(frame.sample_rate, self._rate, 1, dtype="int16", quality="MQ")
            self._resampler = (frame.sample_rate, stream)
        return self._resampler[1].resample_chunk(samples).tobytes()
