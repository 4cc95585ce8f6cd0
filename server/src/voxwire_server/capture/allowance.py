"""How much audio a user may send: against wall time, whatever path brings it. Pure.

``now_ms`` is monotonic milliseconds. The limits are the table "Audio" of
``protocol/spec/limits.md``.
"""

from typing import Final

from voxwire_protocol.capture import KEPT_MS

__all__ = [
    "AUDIO_CREDIT_FACTOR",
    "AUDIO_CREDIT_KEPT_MS",
    "AUDIO_CREDIT_MAX_MS",
    "AUDIO_CREDIT_START_MS",
    "AudioAllowance",
    "AudioCredit",
]

AUDIO_CREDIT_FACTOR: Final = 1.25
"""How much faster than real time audio may come."""
AUDIO_CREDIT_START_MS: Final = 1000
"""Audio that may come at once, milliseconds."""
AUDIO_CREDIT_KEPT_MS: Final = KEPT_MS
"""Audio more that may come at once with the first path, milliseconds: what the user said while the
client connected."""
AUDIO_CREDIT_MAX_MS: Final = 5000
"""Audio that may come at once after as long a pause (a wire that stalled), milliseconds."""

_OVERRUN_EVERY_MS: Final = 1000


class AudioCredit:
    """Audio against wall time: 1.25 times real time and a second at once, from the first block."""

    __slots__ = ("_at_ms", "_left_ms")

    def __init__(self) -> None:
        self._left_ms = float(AUDIO_CREDIT_START_MS)
        self._at_ms: float | None = None

    def allow(self, duration_ms: float) -> None:
        """Let so much more come at once."""
        self._left_ms = min(float(AUDIO_CREDIT_MAX_MS), self._left_ms + duration_ms)

    def take(self, duration_ms: float, now_ms: float) -> bool:
        """Spend credit for a block; False = it came too fast, nothing is spent."""
        if self._at_ms is not None:
            gained = max(0.0, now_ms - self._at_ms) * AUDIO_CREDIT_FACTOR
            self._left_ms = min(float(AUDIO_CREDIT_MAX_MS), self._left_ms + gained)
        self._at_ms = now_ms
        if duration_ms > self._left_ms:
            return False
        self._left_ms -= duration_ms
        return True


class AudioAllowance:
    """What of one user's audio is taken. A reconnect does not begin it anew.

    Args:
        sample_rate: Of the audio, Hz.

    Attributes:
        dropped_ms: Audio that came and was lost, milliseconds.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self.dropped_ms = 0.0
        self._rate = sample_rate
        self._credit = AudioCredit()
        self._kept_expected = False
        self._overrun_at_ms: float | None = None

    def expect_kept_audio(self) -> None:
        """The first path of a client that keeps its audio is ready; counts once a session."""
        if not self._kept_expected:
            self._kept_expected = True
            self._credit.allow(AUDIO_CREDIT_KEPT_MS)

    def take(self, num_bytes: int, now_ms: float) -> bool:
        """True when a block of int16 mono PCM came no faster than it may; counted otherwise."""
        duration_ms = num_bytes * 500 / self._rate
        if self._credit.take(duration_ms, now_ms):
            return True
        self.dropped_ms += duration_ms
        return False

    def lost(self, duration_ms: float) -> None:
        """Count audio that was taken and lost behind here."""
        self.dropped_ms += duration_ms

    def overrun_due(self, now_ms: float) -> bool:
        """True once a second: the client should be told that its audio comes too fast."""
        if self._overrun_at_ms is not None and now_ms - self._overrun_at_ms < _OVERRUN_EVERY_MS:
            return False
        self._overrun_at_ms = now_ms
        return True
