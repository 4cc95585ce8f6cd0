"""How loud a stream is, as pipecat smooths it, measured only where it matters."""

import math
from collections import deque
from itertools import islice

from pipecat.audio.utils import calculate_audio_volume, exp_smoothing
from pipecat.audio.volume import VOLUME_WINDOW_SECS

__all__ = ["SmoothedVolume"]


class SmoothedVolume:
    """Whether pipecat's smoothed volume reaches a threshold, measuring no more than that takes.

    Pipecat measures the loudness of the last 400 ms at every window (63 us at 16 kHz, as much as
    the model's share in a batch), though a volume matters only where the model hears speech. Here
    windows are kept unmeasured; a question measures the newest first and stops when the rest cannot
    change the answer. The answer is the stock one; windows older than `_KEPT` weigh under 1e-9.
    """

    _FACTOR = 0.2
    _KEPT = 96
    _MARGIN = 1e-9

    def __init__(self) -> None:
        self._sample_rate = 0
        self._window_frames = 0
        self._window_bytes = 0
        self._frames: deque[bytes] = deque()
        # Volumes of the newest windows (None: unmeasured), and the smoothed volume before them.
        self._volumes: deque[float | None] = deque()
        self._before = 0.0
        # Bounds of the smoothed volume after the last window.
        self._low = 0.0
        self._high = 0.0

    def push(self, frame: bytes, sample_rate: int) -> None:
        """Adds a window of audio; all windows of one sample rate have the same length."""
        if sample_rate != self._sample_rate:
            self._start(frame, sample_rate)
        self._frames.append(frame)
        if len(self._frames) > self._KEPT + self._window_frames - 1:
            self._frames.popleft()
        # Pipecat's volume reads 0 until 400 ms have been heard.
        unmeasured = len(self._frames) >= self._window_frames
        self._volumes.append(None if unmeasured else 0.0)
        self._low = exp_smoothing(0.0, self._low, self._FACTOR)
        self._high = exp_smoothing(1.0 if unmeasured else 0.0, self._high, self._FACTOR)
        while self._volumes and (self._volumes[0] is not None or len(self._volumes) > self._KEPT):
            self._before = exp_smoothing(self._volumes.popleft() or 0.0, self._before, self._FACTOR)

    def at_least(self, threshold: float) -> bool:
        """Whether the smoothed volume, 0 to 1, is `threshold` or more after the last window."""
        if threshold <= 0:
            return True
        weight = self._FACTOR
        for index in range(len(self._volumes) - 1, -1, -1):
            if self._low >= threshold + self._MARGIN:
                return True
            if self._high < threshold - self._MARGIN:
                return False
            if self._volumes[index] is None:
                volume = self._measure(index)
                self._volumes[index] = volume
                self._low += weight * volume
                self._high -= weight * (1 - volume)
            weight *= 1 - self._FACTOR
        exact = self._before
        for volume in self._volumes:
            exact = exp_smoothing(volume or 0.0, exact, self._FACTOR)
        return exact >= threshold

    def _start(self, frame: bytes, sample_rate: int) -> None:
        """Begins a stream of another sample rate; what was smoothed so far stays, as in pipecat."""
        for index, volume in enumerate(self._volumes):
            if volume is None:
                self._volumes[index] = self._measure(index)
        for volume in self._volumes:
            self._before = exp_smoothing(volume or 0.0, self._before, self._FACTOR)
        self._volumes.clear()
        self._frames.clear()
        self._low = self._high = self._before
        self._sample_rate = sample_rate
        self._window_bytes = math.ceil(VOLUME_WINDOW_SECS * sample_rate) * 2
        self._window_frames = math.ceil(self._window_bytes / len(frame))

    def _measure(self, index: int) -> float:
        """Loudness of the 400 ms that end with window `index` of `_volumes`, 0 to 1."""
        end = len(self._frames) - (len(self._volumes) - 1 - index)
        audio = b"".join(islice(self._frames, end - self._window_frames, end))
        return float(calculate_audio_volume(audio[-self._window_bytes :], self._sample_rate))
