"""What can be said of Opus without a codec."""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CLOCK_RATE", "SAMPLE_RATES", "Pcm", "packet_samples"]

Pcm = npt.NDArray[np.int16]
"""int16 mono samples, native byte order."""

SAMPLE_RATES: Final = (8000, 12000, 16000, 24000, 48000)
"""Rates that Opus codes, Hz."""

CLOCK_RATE: Final = 48_000
"""Ticks a second in which Opus counts, whatever it codes."""

_MAX_PACKET_MS: Final = 120


def packet_samples(packet: bytes) -> int:
    """How much audio an Opus packet holds, in ticks of 1/48000 s; 0 when it is malformed.

    RFC 6716 §3.1 (duration of a frame) and §3.2 (frames in a packet).
    """
    if not packet:
        return 0
    toc = packet[0]
    config = toc >> 3
    if config >= 16:
        frame = 120 << (config & 3)
    elif config >= 12:
        frame = 480 << (config & 1)
    else:
        frame = (480, 960, 1920, 2880)[config & 3]
    code = toc & 3
    if code == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        count = 1 if code == 0 else 2
    samples = frame * count
    return samples if samples <= CLOCK_RATE * _MAX_PACKET_MS // 1000 else 0
