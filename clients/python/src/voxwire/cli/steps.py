"""What a user does in a conversation that is written down beforehand."""

from typing import Final, NamedTuple

__all__ = ["DEFAULT_TIMEOUT_S", "Step"]

DEFAULT_TIMEOUT_S: Final = 120.0
"""Longest conversation, beside what the files take."""


class Step(NamedTuple):
    """One thing that the user does.

    Attributes:
        kind: ``in`` (a WAV) or ``text``.
        value: The path, or the text.
        barge_in_ms: Start this long after the bot's next first played word; None = wait for the
            end of the bot's turn.
    """

    kind: str
    value: str
    barge_in_ms: int | None = None
