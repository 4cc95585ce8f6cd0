"""Where Silero, the voice detector of Pipecat's bots, hears a voice."""

from typing import Final

import numpy as np

from voxwire.playout import Samples
from voxwire_server.pipeline.vad.model import WINDOW_SAMPLES, Stream, shared_silero

WINDOW: Final = WINDOW_SAMPLES[16_000]
WINDOW_MS: Final = 32

VOICE: Final = 0.7
"""Pipecat's threshold."""

_START_WINDOWS: Final = 6
"""Pipecat's 200 ms."""


def confidences(samples: Samples) -> np.ndarray:
    """How sure it is of a voice in each window of 32 ms, 0 to 1; 16 kHz."""
    stream, found = Stream(16_000), list[float]()
    for start in range(0, len(samples) - WINDOW + 1, WINDOW):
        stream.load(samples[start : start + WINDOW].astype("<i2").tobytes())
        (confidence,) = shared_silero().score([stream])
        stream.scored(confidence, quiet=confidence < VOICE)
        found.append(confidence)
    return np.array(found)


def num_voices(samples: Samples) -> int:
    """How often a user would be taken to begin to speak."""
    run = count = 0
    for confidence in confidences(samples):
        run = run + 1 if confidence >= VOICE else 0
        count += run == _START_WINDOWS
    return count
