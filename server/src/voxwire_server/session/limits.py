"""How long a session may last, and how long it may lie idle.

Pure: ``now_ms`` is monotonic milliseconds.
"""

from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire

__all__ = ["Over", "SessionLimits"]

_WARN_MS: Final = 3000
_DURATION: Final = "the session has reached its longest duration"
_DURATION_NEAR: Final = "the session is near its longest duration"
_IDLE_NEAR: Final = "nobody speaks; the session ends soon unless someone speaks or types"


@dataclass(frozen=True, slots=True)
class Over:
    """The session is over."""

    reason: wire.EndReason
    error: wire.Error | None = None


class SessionLimits:
    """Watches the two limits of one session.

    Args:
        now_ms: When the session began.
        max_duration_s: Longest duration that the server allows, seconds; 0 = no limit.
        idle_s: How long nobody may speak or type, seconds; 0 = no limit.
    """

    def __init__(self, now_ms: float, *, max_duration_s: int, idle_s: int) -> None:
        self._began_ms = now_ms
        self._duration_ms = max_duration_s * 1000
        self._idle_ms = idle_s * 1000
        self._active_ms = now_ms
        self._told = False
        self._idle_told = False

    @property
    def duration_ms(self) -> int:
        """Longest duration; 0 = no limit."""
        return self._duration_ms

    def allow_s(self, max_duration_s: int | None) -> None:
        """A token's longest duration, seconds; the lower of it and the server's counts."""
        if max_duration_s:
            given_ms = max_duration_s * 1000
            self._duration_ms = min(self._duration_ms or given_ms, given_ms)

    def active(self, now_ms: float) -> None:
        """Someone speaks or types, or an answer is on its way."""
        self._active_ms = now_ms
        self._idle_told = False

    def watch(self, now_ms: float) -> Over | wire.GoAway | None:
        """What is due: a warning (once), the end (never before its warning), or nothing."""
        return self._watch_duration(now_ms) or self._watch_idle(now_ms)

    def _watch_duration(self, now_ms: float) -> Over | wire.GoAway | None:
        left_ms = self._began_ms + self._duration_ms - now_ms
        if not self._duration_ms or left_ms > max(_WARN_MS, self._duration_ms // 10):
            return None
        if not self._told:
            self._told = True
            return wire.GoAway(reason=_DURATION_NEAR, time_left_ms=max(0, int(left_ms)))
        if left_ms > 0:
            return None
        error = wire.Error(
            code=wire.ErrorCode.ERROR_CODE_DURATION_LIMIT,
            reason=_DURATION,
            action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
            fatal=True,
        )
        return Over(wire.EndReason.END_REASON_ERROR, error)

    def _watch_idle(self, now_ms: float) -> Over | wire.GoAway | None:
        left_ms = self._active_ms + self._idle_ms - now_ms
        warn_ms = min(max(_WARN_MS, self._idle_ms // 10), self._idle_ms / 2)
        if not self._idle_ms or left_ms > warn_ms:
            return None
        if not self._idle_told:
            self._idle_told = True
            return wire.GoAway(reason=_IDLE_NEAR, time_left_ms=max(0, int(left_ms)))
        return Over(wire.EndReason.END_REASON_IDLE) if left_ms <= 0 else None
