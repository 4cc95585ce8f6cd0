"""Where the user's speech ended, in PCM. Pure: no clock reads; int16 little-endian mono."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxwire_server.pcm import QUIET, louder
from voxwire_server.ports import VoiceEnd

__all__ = ["VoiceTail"]

_KEPT_MS: Final = 2000
_FLOOR_MS: Final = 100
_BELOW_PEAK: Final = 0.005
"""-46 dB: speech that has fallen so far below its peak has ended."""

_MAX_APART_MS: Final = 600
_NOISY: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Block:
    pcm: bytes
    end: int
    arrived_ms: float
    index: int | None


class VoiceTail:
    """Keeps the last seconds of the user's audio, to find where speech ended once a VAD says so.

    Args:
        sample_rate: Of the audio, Hz.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self._rate = sample_rate
        self._blocks: deque[_Block] = deque()
        self._end = 0

    def add(self, pcm: bytes, now_ms: float, *, index: int | None = None) -> None:
        """Take a block that arrived.

        Args:
            pcm: The samples; kept, not copied.
            now_ms: When it came, monotonic milliseconds.
            index: The client's number of its first sample, where there is one.
        """
        self._end += len(pcm) // 2
        self._blocks.append(_Block(pcm, self._end, now_ms, index))
        while self._end - self._blocks[0].end > _KEPT_MS * self._rate // 1000:
            self._blocks.popleft()

    def end(self, vad_ms: float, now_ms: float) -> VoiceEnd | None:
        """Find the last sample of speech that has ended.

        Args:
            vad_ms: When it ended by the VAD's account.
            now_ms: When the VAD decided that it has.

        Returns:
            Its place; None where the audio does not show it: noise goes on all the time, or what
            it shows is far from what the VAD says.
        """
        if not self._blocks:
            return None
        samples = np.frombuffer(b"".join(block.pcm for block in self._blocks), np.int16)
        peak = _peak(samples)
        floor = _peak(samples[-_FLOOR_MS * self._rate // 1000 :])
        if floor > peak * _NOISY:
            return None
        loud = louder(samples, max(QUIET, 2 * floor, peak * _BELOW_PEAK))
        if not len(loud):
            return None
        position = self._end - len(samples) + int(loud[-1]) + 1
        later = [block for block in self._blocks if block.end >= position]
        # the block that was under way for the shortest time tells when samples were captured
        shift_ms = min(block.arrived_ms - block.end * 1000 / self._rate for block in later)
        at_ms = min(position * 1000 / self._rate + shift_ms, now_ms)
        if abs(at_ms - vad_ms) > _MAX_APART_MS:
            return None
        holder = later[0]
        capture = None
        if holder.index is not None:
            first = holder.end - len(holder.pcm) // 2
            capture = (holder.index + position - first) * 1000 / self._rate
        return VoiceEnd(at_ms, capture)


def _peak(samples: NDArray[np.int16]) -> int:
    return max(int(samples.max()), -int(samples.min())) if len(samples) else 0
