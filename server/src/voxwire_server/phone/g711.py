"""What a telephone's sound is written in: µ-law and A-law (ITU-T G.711), and plain samples. Pure.

``audioop``, which had the two laws, is gone from Python 3.13; here they are tables, made once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALAW", "L16_8000", "L16_16000", "MULAW", "Encoding"]

_ALL: Final = np.arange(-32_768, 32_768)
_MULAW_SEGMENTS: Final = np.array([0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF])
_ALAW_SEGMENTS: Final = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF])


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to write int16 little-endian mono PCM.

    Attributes:
        name: As vendors spell it, more or less.
        sample_rate: Of the PCM, Hz.
        silence: What a sample without sound is written as.
    """

    name: str
    sample_rate: int
    silence: bytes
    _code_of: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    _sample_of: NDArray[np.int16] | None = field(default=None, repr=False, compare=False)

    def encode(self, pcm: bytes) -> bytes:
        """Write PCM; one byte a sample, or two where it is PCM already."""
        if self._code_of is None:
            return pcm
        return self._code_of[np.frombuffer(pcm, "<u2")].tobytes()

    def decode(self, data: bytes) -> bytes:
        """Read it as PCM; of half a sample at the end nothing."""
        if self._sample_of is None:
            return data[: len(data) // 2 * 2]
        return self._sample_of[np.frombuffer(data, np.uint8)].astype("<i2", copy=False).tobytes()


def _mulaw_codes(samples: NDArray[Any]) -> NDArray[Any]:
    """G.711 §3.2 on 14 bits: bias 33, clipped at the loudest code."""
    magnitude = np.minimum(np.abs(samples >> 2) + 0x21, 0x1FFF)
    segment = np.searchsorted(_MULAW_SEGMENTS, magnitude)
    code = segment << 4 | magnitude >> segment + 1 & 15
    return code ^ np.where(samples < 0, 0x7F, 0xFF)


def _mulaw_samples(codes: NDArray[Any]) -> NDArray[Any]:
    bits = ~codes & 0xFF
    magnitude = (((bits & 15) << 3) + 0x84 << (bits >> 4 & 7)) - 0x84
    return np.where(bits & 0x80, -magnitude, magnitude)


def _alaw_codes(samples: NDArray[Any]) -> NDArray[Any]:
    """G.711 §3.1 on 13 bits; every second bit is inverted."""
    short = samples >> 3
    magnitude = np.where(short < 0, -short - 1, short)
    segment = np.searchsorted(_ALAW_SEGMENTS, magnitude)
    code = segment << 4 | magnitude >> np.maximum(segment, 1) & 15
    return code ^ np.where(short < 0, 0x55, 0xD5)


def _alaw_samples(codes: NDArray[Any]) -> NDArray[Any]:
    bits = codes ^ 0x55
    segment = bits >> 4 & 7
    linear = (bits & 15) << 4
    magnitude = np.where(segment == 0, linear + 8, linear + 0x108 << np.maximum(segment, 1) - 1)
    return np.where(bits & 0x80, magnitude, -magnitude)


def _law(
    name: str,
    codes: Callable[[NDArray[Any]], NDArray[Any]],
    samples: Callable[[NDArray[Any]], NDArray[Any]],
) -> Encoding:
    code_of = np.roll(codes(_ALL), 32_768).astype(np.uint8)  # a sample's two bytes are its place
    sample_of = samples(np.arange(256)).astype(np.int16)
    return Encoding(name, 8000, code_of[:1].tobytes(), code_of, sample_of)


MULAW: Final = _law("mulaw", _mulaw_codes, _mulaw_samples)
ALAW: Final = _law("alaw", _alaw_codes, _alaw_samples)
L16_8000: Final = Encoding("l16", 8000, b"\0\0")
L16_16000: Final = Encoding("l16", 16_000, b"\0\0")
