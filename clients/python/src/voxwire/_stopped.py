"""CancelledError out of a program's own function, where nobody has cancelled the task that called.

A function that awaits a task of its own which was cancelled raises it. That is a failure of the
function: taken for a cancellation it would end what called it without a word.
"""

import asyncio

__all__ = ["is_cancelled"]


def is_cancelled() -> bool:
    """True when the running task has been cancelled: a CancelledError is its own then."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
