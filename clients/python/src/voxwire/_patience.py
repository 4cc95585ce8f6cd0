"""How long a client waits for an acknowledgement before it dials a second socket. Pure."""

from typing import Final

__all__ = ["Patience"]

UNACKNOWLEDGED_MS: Final = 1000
"""A message that is not acknowledged for this long makes the client dial a second socket."""

MAX_PATIENCE_MS: Final = 8000
"""Longest such wait; it doubles as long as a second socket does not help."""


class Patience:
    """The patience of one session with the socket that is in use."""

    def __init__(self) -> None:
        """Creates it with nothing waited for."""
        self._limit_ms = UNACKNOWLEDGED_MS
        self._acknowledged = self._progress_ms = 0  # a long queue may take its time

    def is_over(self, now_ms: int, *, since_ms: int, acknowledged: int, rtt_us: int | None) -> bool:
        """True when something waits and nothing has been acknowledged for too long.

        Args:
            now_ms: Monotonic clock, milliseconds.
            since_ms: Since when it waits on this socket.
            acknowledged: How many messages the server has acknowledged.
            rtt_us: The round trip, microseconds, where it is known.
        """
        if acknowledged != self._acknowledged:
            self._acknowledged, self._progress_ms = acknowledged, now_ms
        limit_ms = max(self._limit_ms, 3 * (rtt_us or 0) // 1000)
        return now_ms - max(since_ms, self._progress_ms) > limit_ms

    def grow(self) -> None:
        """Waits longer before the next second socket: one that is slow may be no better."""
        self._limit_ms = min(2 * self._limit_ms, MAX_PATIENCE_MS)

    def reset(self) -> None:
        """The socket was lost: the next one is waited for as the first was."""
        self._limit_ms = UNACKNOWLEDGED_MS
