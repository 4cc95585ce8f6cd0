"""Waiting for what should happen, for as long as a busy machine may need."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import websockets

import voxwire

__all__ = [
    "DEADLINE_S",
    "LONG",
    "PATIENT",
    "be_patient",
    "descriptors_at_most",
    "once_more",
    "until",
]

DEADLINE_S: Final = 60.0
PATIENT: Final = {"voice_gap_ms": 60_000, "dead_after_ms": 120_000}
"""Settings of a server that waits for its listener however long the machine keeps him."""

LONG: Final = voxwire.Timeouts(connect_ms=DEADLINE_S * 1000, wait_ms=DEADLINE_S * 1000)
"""For a client that connects on a busy machine."""

_LOOK_S: Final = 0.01
_TRIES: Final = 4
_ANSWER_S: Final = 15.0


def be_patient() -> None:
    """Whoever in this process is given no timeout waits for a busy machine, not the 5 or 10 s that
    clients wait by default.
    """
    patience: list[tuple[Callable[..., Any], dict[str, float]]] = [
        (voxwire.Timeouts.__init__, dict.fromkeys(("connect_ms", "wait_ms"), DEADLINE_S * 1000)),
        (httpx.AsyncClient.__init__, {"timeout": DEADLINE_S}),
        (httpx.Client.__init__, {"timeout": DEADLINE_S}),
        (websockets.connect.__init__, {"open_timeout": DEADLINE_S}),
    ]
    for made, longer in patience:
        defaults: dict[str, Any] = getattr(made, "__kwdefaults__")  # noqa: B009 - of functions only
        assert longer.keys() <= defaults.keys()
        defaults.update(longer)


async def until(true: Callable[[], object], *, timeout_s: float = DEADLINE_S) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It never did.
    """
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(_LOOK_S)


async def once_more(speak: Callable[[], Awaitable[object]], true: Callable[[], object]) -> None:
    """Speak until something holds, up to four times: of what is said once, a machine that stands
    still loses some, or all.

    Raises:
        TimeoutError: It never did.
    """
    for tries in range(_TRIES, 0, -1):
        await speak()
        try:
            return await until(true, timeout_s=_ANSWER_S if tries > 1 else DEADLINE_S)
        except TimeoutError:
            if tries == 1:
                raise


async def descriptors_at_most(number: int) -> None:
    """Wait until this process holds no more descriptors than that."""
    await until(lambda: len(os.listdir("/proc/self/fd")) <= number)
