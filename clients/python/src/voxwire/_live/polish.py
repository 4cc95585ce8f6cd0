"""What else is done to a live microphone, behind echo: noise taken out, loudness evened out."""

from typing import Any, Protocol

import numpy as np

from voxwire._live.echo import FRAME
from voxwire._microphones import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["Polish", "polish_of"]

_INSTALL = "pip install 'voxwire[aec]'"


class Polish(Protocol):
    """Takes 10 ms at 16 kHz, and gives as much."""

    def process(self, samples: Samples) -> Samples:
        """What the bot is to hear."""
        ...


class _Nothing:
    def process(self, samples: Samples) -> Samples:
        return samples


class _Processing:
    """WebRTC's noise suppression and gain control, of LiveKit's wheel (Apache-2.0)."""

    def __init__(self, *, noise: bool, gain: bool) -> None:
        try:
            from livekit.rtc import AudioFrame
            from livekit.rtc.apm import AudioProcessingModule
        except (ImportError, OSError) as error:
            reason = f"noise suppression and automatic gain need livekit: {_INSTALL} ({error})"
            raise UsageError(ErrorCode.MISSING_EXTRA, reason) from error
        self._frame: Any = AudioFrame
        self._module: Any = AudioProcessingModule(noise_suppression=noise, auto_gain_control=gain)

    def process(self, samples: Samples) -> Samples:
        frame = self._frame(bytearray(samples.tobytes()), CAPTURE_RATE, 1, FRAME)
        self._module.process_stream(frame)
        return np.frombuffer(bytes(frame.data), np.int16)


def polish_of(*, noise_suppression: bool, auto_gain: bool) -> Polish:
    """What does that.

    Raises:
        UsageError: MISSING_EXTRA: it is not installed, or cannot be loaded.
    """
    if not (noise_suppression or auto_gain):
        return _Nothing()
    return _Processing(noise=noise_suppression, gain=auto_gain)
