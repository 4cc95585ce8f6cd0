"""What comes of a run."""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["KINDS", "Failure", "Result", "TurnResult"]

KINDS: Final = (
    *("timeout", "judge_no", "judge_continue", "no_content", "text_mismatch", "text_present"),
    *("missing_function_call", "function_args_mismatch", "unexpected_event"),
    *("send_after_timeout", "bot_ended", "connect_failed", "error"),
)
"""How an expectation may fail, by Pipecat's names."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that was not met, or a run that came to nothing.

    Attributes:
        event: The event that was expected; empty for the whole run.
        kind: One of `KINDS`.
        reason: What happened instead.
        turn: Its number from 0; -1 = before the first.
        line: Of the expectation in the file; 0 = none.
    """

    event: str
    kind: str
    reason: str
    turn: int = -1
    line: int = 0

    def __str__(self) -> str:
        """One line."""
        where = f"turn {self.turn + 1}: " if self.turn >= 0 else ""
        at = f" (line {self.line})" if self.line else ""
        return f"{where}{self.event + ': ' if self.event else ''}{self.reason}{at}"


@dataclass(slots=True)
class TurnResult:
    """What came of a turn.

    Attributes:
        sends: What the user did; empty = nothing.
        status: ``passed``, ``failed`` or ``not_run``: the run ended before.
        duration_ms: From when the turn before was over to when it was.
        matched_ms: When each expectation was met, milliseconds after the user's turn was sent.
    """

    sends: str
    status: str = "not_run"
    duration_ms: int = 0
    matched_ms: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Result:
    """What came of a scenario.

    Attributes:
        name: Of the scenario.
        path: Of its file.
        failures: In order; empty = it passed, if it was run.
        turns: One of each.
        duration_ms: Of all of it.
        trace: What happened, a line each.
        not_run: Why it was not run; None = it was.
    """

    name: str
    path: str
    failures: list[Failure] = field(default_factory=list[Failure])
    turns: list[TurnResult] = field(default_factory=list[TurnResult])
    duration_ms: int = 0
    trace: list[str] = field(default_factory=list[str])
    not_run: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it was run and nothing failed."""
        return self.not_run is None and not self.failures
