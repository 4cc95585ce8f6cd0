"""Whisper's features: the logarithm of 80 mel bands, 100 times a second. Numpy only.

As OpenAI's Whisper computes them (MIT): a Hann window of 25 ms every 10 ms, mel bands on Slaney's
scale, powers clamped to 8 decades below the loudest.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOP", "SAMPLE_RATE", "log_mel"]

SAMPLE_RATE = 16000
"""Hz; what the model was trained on."""

HOP = 160
"""Samples between two frames: 10 ms."""

_FFT = 400
_BANDS = 80
_LINEAR_HZ = 200 / 3
"""Slaney's scale: so many Hz a mel up to 1000 Hz, a logarithm above."""
_LOG_HZ, _LOG_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27


def log_mel(samples: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """Compute features of audio that is followed by silence.

    Args:
        samples: Mono, 16 kHz, -1 to 1.
        num_frames: How many frames of 10 ms; what the audio does not fill is silence.

    Returns:
        80 bands by ``num_frames``.
    """
    audio = np.zeros(num_frames * HOP, np.float32)
    audio[: len(samples)] = samples[: len(audio)]
    padded = np.pad(audio, _FFT // 2, mode="reflect")
    starts = np.arange(num_frames) * HOP
    windows = padded[starts[:, None] + np.arange(_FFT)] * np.hanning(_FFT + 1)[:-1]
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    bands = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    bands = np.maximum(bands, bands.max() - 8.0)
    return ((bands + 4.0) / 4.0).astype(np.float32)


@cache
def _filters() -> NDArray[np.float64]:
    """80 triangles over the 201 bins, each of the same area."""
    bins = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    top = _LOG_MEL + np.log(SAMPLE_RATE / 2 / _LOG_HZ) / _LOG_STEP
    mels = np.linspace(0.0, top, _BANDS + 2)
    edges = np.where(
        mels < _LOG_MEL, mels * _LINEAR_HZ, _LOG_HZ * np.exp(_LOG_STEP * (mels - _LOG_MEL))
    )
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return np.maximum(0.0, np.minimum(up, down)) * area[:, None]
