"""Where a path with audio of its own takes over from what the client had kept. Pure."""

from collections import deque
from typing import Final

from voxwire_protocol.capture import SEAM_MS

__all__ = ["CaptureJoin"]

_MAX_WAIT_MS: Final = 1000
_RTP_CLOCK: Final = 48_000
_LOOKAHEAD_TICKS: Final = 312
"""Decoded sound is this much behind its RTP timestamp: libopus looks 6.5 ms ahead."""


class CaptureJoin:
    """Holds a path's own audio back until what was kept of before has come.

    Args:
        sample_rate: Of the audio, Hz.
        now_ms: When the path became ready, monotonic milliseconds.
    """

    def __init__(self, *, sample_rate: int, now_ms: float) -> None:
        self._rate = sample_rate
        self._until_ms = now_ms + _MAX_WAIT_MS
        self._held: deque[tuple[int, bytes]] = deque()
        self._open = False
        self._first: int | None = None  # RTP timestamp that the path's own audio begins with
        self._after_ms = 0.0  # before that its own audio may be what had been kept

    @property
    def waiting(self) -> bool:
        """True until what was kept has come, or has been waited for long enough."""
        return not self._open

    def live(self, pcm: bytes, rtp_timestamp: int, now_ms: float) -> list[bytes]:
        """Take audio of the path.

        Args:
            pcm: int16 little-endian mono.
            rtp_timestamp: Of its first sample, 48 kHz.
            now_ms: Now.

        Returns:
            What of the path's audio is next; nothing while it is held.
        """
        if not self._open:
            self._held.append((rtp_timestamp, pcm))
            if now_ms < self._until_ms:
                return []
            self._open = True
            return self._release()
        return [pcm] if now_ms >= self._after_ms and (pcm := self._cut(pcm, rtp_timestamp)) else []

    def kept_ends(self, rtp_timestamp: int | None, now_ms: float) -> list[bytes]:
        """What was kept has come.

        Args:
            rtp_timestamp: Where the path's own audio goes on; None = not known: what was under way
                is left out, rather than heard twice.
            now_ms: Now.

        Returns:
            What of the path's audio is next.
        """
        if self._open:
            return []
        self._open = True
        if rtp_timestamp is None:
            self._held.clear()
            self._after_ms = now_ms + SEAM_MS
            return []
        self._first = (rtp_timestamp + _LOOKAHEAD_TICKS) & 0xFFFF_FFFF
        return self._release()

    def _release(self) -> list[bytes]:
        held, self._held = self._held, deque()
        return [cut for timestamp, pcm in held if (cut := self._cut(pcm, timestamp))]

    def _cut(self, pcm: bytes, rtp_timestamp: int) -> bytes:
        """What of a block does not stand before the first sample that counts."""
        if self._first is None:
            return pcm
        ahead = (self._first - rtp_timestamp) & 0xFFFF_FFFF
        if ahead == 0 or ahead >= 1 << 31:
            self._first = None
            return pcm
        samples = ahead * self._rate // _RTP_CLOCK
        if samples * 2 < len(pcm):
            self._first = None
        return pcm[samples * 2 :]
