"""Keys as tones in the voice: two sines each (ITU-T Q.23), as long as Q.24 asks and more. Pure."""

from typing import Final

import numpy as np

__all__ = ["KEYS", "tones"]

_ROWS: Final = (697, 770, 852, 941)
_COLUMNS: Final = (1209, 1336, 1477, 1633)
_PAD: Final = ("123A", "456B", "789C", "*0#D")
KEYS: Final = {
    key: (_ROWS[row], _COLUMNS[column])
    for row, keys in enumerate(_PAD)
    for column, key in enumerate(keys)
}
"""The frequencies of each key, Hz."""
_TONE_MS: Final = 100
_PAUSE_MS: Final = 80
_LEVEL: Final = 7000
"""Of each sine: -13 dBFS, the two together -7 dBFS at their peak."""
_RAMP_MS: Final = 2


def tones(digits: str, sample_rate: int) -> bytes:
    """The sound of keys, one after the other, each followed by a pause.

    Args:
        digits: Of ``0``-``9``, ``*``, ``#``, ``A``-``D``.
        sample_rate: Hz.

    Returns:
        int16 little-endian mono PCM.

    Raises:
        KeyError: One is no key.
    """
    seconds = np.arange(sample_rate * _TONE_MS // 1000) / sample_rate
    ramp = np.minimum(1, np.minimum(seconds, seconds[::-1]) * 1000 / _RAMP_MS)
    pause = np.zeros(sample_rate * _PAUSE_MS // 1000)
    parts: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for digit in digits:
        low, high = KEYS[digit]
        sines = np.sin(2 * np.pi * low * seconds) + np.sin(2 * np.pi * high * seconds)
        parts += [_LEVEL * ramp * sines, pause]
    return np.concatenate(parts).astype("<i2").tobytes() if parts else b""
