"""What the id of a context says of whoever speaks in it. Pure."""

from typing import Final

__all__ = ["LIVE_PREFIX", "is_live"]

LIVE_PREFIX: Final = "live-"
"""What the id of a speech-to-speech model's turn begins with."""


def is_live(context_id: str | None) -> bool:
    """Whether a context is a turn of a speech-to-speech model: its words must be estimated."""
    return context_id is not None and context_id.startswith(LIVE_PREFIX)
