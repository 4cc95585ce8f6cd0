"""Waiting for what should happen, for as long as a busy machine may need."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

import voxwire

__all__ = ["DEADLINE_S", "LONG", "PATIENT", "descriptors_at_most", "until"]

DEADLINE_S: Final = 60.0
PATIENT: Final = {"voice_gap_ms": 60_000, "dead_after_ms": 120_000}
"""Settings of a server that waits for its listener however long the machine keeps him."""

LONG: Final = voxwire.Timeouts(connect_ms=DEADLINE_S * 1000, wait_ms=DEADLINE_S * 1000)
"""For a client that connects on a busy machine."""

_LOOK_S: Final = 0.01


async def until(true: Callable[[], object], *, timeout_s: float = DEADLINE_S) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It never did.
    """
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(_LOOK_S)


async def descriptors_at_most(number: int) -> None:
    """Wait until this process holds no more descriptors than that."""
    await until(lambda: len(os.listdir("/proc/self/fd")) <= number)
