"""Functions that a program passed in: what they raise ends nothing but themselves."""

import asyncio
from typing import Final

__all__ = ["RAISED", "is_cancelled"]

RAISED: Final = (Exception, asyncio.CancelledError)
"""What a plain function may raise: one that asks a cancelled future raises CancelledError, which
would end the task of the session that called it."""


def is_cancelled() -> bool:
    """Where CancelledError was caught: whether this task is cancelled, and not what it awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
