"""A scripted scenario, as it is read from its file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = [
    "CALL_EVENTS",
    "REPLY_EVENTS",
    "Call",
    "Expectation",
    "Scenario",
    "SendAfter",
    "Turn",
]

CALL_EVENTS: Final = ("function_call", "function_call_stopped")
"""Events that ``calls:`` is about."""

REPLY_EVENTS: Final = ("response", "llm_response", "tts_response")
"""Events with text that the bot made."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that is expected.

    Attributes:
        name: Of the tool; None = any.
        args: Members that its arguments must have; others do not matter. None = any.
    """

    name: str | None = None
    args: dict[str, Any] | None = None

    def __str__(self) -> str:
        """As a call is written."""
        shown = ", ".join(f"{name}={value!r}" for name, value in (self.args or {}).items())
        return f"{self.name or 'any function'}" + (f"({shown})" if shown else "")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One event that a turn waits for; the attributes are the keys of the file.

    Attributes:
        line: Where it stands in the file, from 1.
    """

    event: str
    within_ms: int | None = None
    text_contains: str | None = None
    text_excludes: str | None = None
    calls: tuple[Call, ...] = ()
    eval: str | None = None
    check_from: str = "previous"
    absent: bool = False
    line: int = 0

    @property
    def aggregates(self) -> bool:
        """Whether text is gathered over several events, in place of looking at one."""
        if self.event in REPLY_EVENTS:
            return self.text_contains is not None or self.eval is not None
        return (
            self.event == "user_transcription"
            and self.text_contains is not None
            and self.eval is None
        )


@dataclass(frozen=True, slots=True)
class SendAfter:
    """When a turn is sent: so long after an event, or after the turn before (None)."""

    event: str | None
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user does, and what is to come of it.

    Attributes:
        user: What the user says or types; None = nothing.
        expect: In order.
        parts: Texts and pauses (milliseconds), when the user pauses.
        audio: A recording to play in place of speaking `user`.
        dtmf: Keys to press.
        send_after: When; None = as soon as the bot is quiet.
        line: Where it stands in the file, from 1.
    """

    user: str | None = None
    expect: tuple[Expectation, ...] = ()
    parts: tuple[str | int, ...] | None = None
    audio: Path | None = None
    dtmf: str | None = None
    send_after: SendAfter | None = None
    line: int = 0

    @property
    def sends(self) -> str:
        """What is sent, in words; empty = nothing."""
        return self.user or self.dtmf or ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One conversation and how it is judged.

    Attributes:
        name: ``file name/scenario name``.
        path: The file.
        turns: In order.
        user_audio: Whether the user's turns are spoken.
        speech: With what, as the file says.
        bot_audio: Whether the bot speaks.
        judge: Of ``eval:``, as the file says.
        stop_on_failure: Whether the first turn that fails ends it.
        not_run: Why it cannot be run by this client; None = it can.
        notes: What of the file is read otherwise than Pipecat would, one sentence each.
    """

    name: str
    path: Path
    turns: tuple[Turn, ...] = ()
    user_audio: bool = False
    speech: dict[str, Any] | None = None
    bot_audio: bool = False
    judge: dict[str, Any] = field(default_factory=dict[str, Any])
    stop_on_failure: bool = True
    not_run: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether an expectation needs a judge."""
        return any(expected.eval is not None for turn in self.turns for expected in turn.expect)
