"""How long the user waited for an answer. Pure: times are arguments, milliseconds."""

from voxwire_protocol import wire

__all__ = ["TurnTimer"]


class TurnTimer:
    """Follows one turn after the other: speech ended, answer placed, answer heard."""

    def __init__(self) -> None:
        self._speech_end_ms: float | None = None
        self._placed_ms: float | None = None

    def speech_started(self) -> None:
        """The user speaks (again): what was measured does not count."""
        self._speech_end_ms = self._placed_ms = None

    def speech_ended(self, at_ms: float) -> None:
        """The user's voice ended at ``at_ms``, the detector's own delay subtracted."""
        self._speech_end_ms = at_ms
        self._placed_ms = None

    def bot_placed(self, now_ms: float) -> None:
        """The first audio of an utterance was handed to the path."""
        if self._speech_end_ms is not None and self._placed_ms is None:
            self._placed_ms = now_ms

    def bot_heard(self, now_ms: float, turn_id: str) -> wire.TurnMetrics | None:
        """The first audio of an utterance is heard.

        Returns:
            What to tell the client, once a turn; None for everything else.
        """
        if self._speech_end_ms is None or self._placed_ms is None:
            return None
        metrics = wire.TurnMetrics(
            turn_id=turn_id,
            response_ms=max(0, round(self._placed_ms - self._speech_end_ms)),
            playout_delay_ms=max(0, round(now_ms - self._placed_ms)),
        )
        self._speech_end_ms = self._placed_ms = None
        return metrics
