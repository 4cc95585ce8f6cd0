"""A timeout for what is answered by somebody else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["turning"]

_SLICES: Final = 10
"""So often at least the loop turns before an answer is too late: one over a connection that is to
be made takes about as many turns, and each is long in a process that is busy."""


@asynccontextmanager
async def turning(within_s: float) -> AsyncGenerator[None]:
    """A timeout for time in which the loop turns: one that stands still, with the answer at hand,
    says nothing of who is asked.

    Raises:
        TimeoutError: The block has not ended within so many seconds.
    """
    loop, left = asyncio.get_running_loop(), _SLICES

    def slice_over() -> None:
        nonlocal left, timer
        left -= 1
        if left:
            timer = loop.call_later(within_s / _SLICES, slice_over)
        else:
            limit.reschedule(loop.time())

    timer = loop.call_later(within_s / _SLICES, slice_over)
    try:
        async with asyncio.timeout(None) as limit:
            yield
    finally:
        timer.cancel()
