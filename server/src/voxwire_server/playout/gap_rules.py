"""The bot's voice without a listener, as rules: the table of ``protocol/spec/session.md``.

Pure: no clock reads, no I/O; times are monotonic milliseconds. ``playout.gap`` drives it.
"""

from enum import StrEnum
from typing import Final

__all__ = ["RULES", "GapEvent", "VoiceState", "after", "over_at_ms"]


class VoiceState(StrEnum):
    """What the bot's voice does; named as in the specification."""

    PLAYING = "PLAYING"
    """A listener hears it, or nobody is missing yet."""
    WAITING = "WAITING"
    """Its listener is out of reach and may come back."""
    SUSPENDED = "SUSPENDED"
    """Its listener is there and cannot play."""
    CUT = "CUT"
    """It waited for too long: what was placed and not heard is void."""


class GapEvent(StrEnum):
    """What happens to it; named as the table's columns."""

    PATH_LOST = "path lost"
    PATH_OPENED = "path opened"
    GAP_OVER = "voice_gap_ms over"
    SUSPENDED = "suspended"
    PLAYS_AGAIN = "plays again"
    SUSPENDED_OVER = "suspended_ms over"
    SPEAKS = "bot speaks"


_S: Final = VoiceState
_E: Final = GapEvent

RULES: Final[dict[tuple[VoiceState, GapEvent], VoiceState | None]] = {
    (_S.PLAYING, _E.PATH_LOST): _S.WAITING,
    (_S.PLAYING, _E.PATH_OPENED): _S.PLAYING,
    (_S.PLAYING, _E.GAP_OVER): _S.PLAYING,
    (_S.PLAYING, _E.SUSPENDED): _S.SUSPENDED,
    (_S.PLAYING, _E.PLAYS_AGAIN): _S.PLAYING,
    (_S.PLAYING, _E.SUSPENDED_OVER): _S.PLAYING,
    (_S.PLAYING, _E.SPEAKS): _S.PLAYING,
    (_S.WAITING, _E.PATH_LOST): _S.WAITING,
    (_S.WAITING, _E.PATH_OPENED): _S.PLAYING,
    (_S.WAITING, _E.GAP_OVER): _S.CUT,
    (_S.WAITING, _E.SUSPENDED): _S.SUSPENDED,
    (_S.WAITING, _E.PLAYS_AGAIN): None,
    (_S.WAITING, _E.SUSPENDED_OVER): _S.WAITING,
    (_S.WAITING, _E.SPEAKS): _S.WAITING,
    (_S.SUSPENDED, _E.PATH_LOST): _S.WAITING,
    (_S.SUSPENDED, _E.PATH_OPENED): _S.PLAYING,
    (_S.SUSPENDED, _E.GAP_OVER): _S.SUSPENDED,
    (_S.SUSPENDED, _E.SUSPENDED): _S.SUSPENDED,
    (_S.SUSPENDED, _E.PLAYS_AGAIN): _S.PLAYING,
    (_S.SUSPENDED, _E.SUSPENDED_OVER): _S.CUT,
    (_S.SUSPENDED, _E.SPEAKS): _S.SUSPENDED,
    (_S.CUT, _E.PATH_LOST): _S.CUT,
    (_S.CUT, _E.PATH_OPENED): _S.PLAYING,
    (_S.CUT, _E.GAP_OVER): _S.CUT,
    (_S.CUT, _E.SUSPENDED): _S.CUT,
    (_S.CUT, _E.PLAYS_AGAIN): _S.PLAYING,
    (_S.CUT, _E.SUSPENDED_OVER): _S.CUT,
    (_S.CUT, _E.SPEAKS): _S.WAITING,
}
"""State and event to the next state; None = it cannot happen."""


def after(state: VoiceState, event: GapEvent) -> VoiceState:
    """What the voice does after an event.

    Raises:
        LookupError: The event cannot happen in that state.
    """
    next_state = RULES[state, event]
    if next_state is None:
        raise LookupError(f"{event}: not while {state}")
    return next_state


def over_at_ms(since_ms: float, *, placed_ms: float, limit_ms: int) -> float:
    """When a voice has waited for too long.

    Args:
        since_ms: When its listener was last there, or was last able to play.
        placed_ms: When the oldest of what waits was placed; that waits as long from then on.
        limit_ms: How long it may wait (``voice_gap_ms``, ``suspended_ms``).
    """
    return max(since_ms, placed_ms) + limit_ms
