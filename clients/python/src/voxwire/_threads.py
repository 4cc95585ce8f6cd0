"""Blocking calls beside the event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["in_thread", "leave_to_thread"]

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Runs a function in a thread of its own and returns what it does. Cancel-safe.

    Not ``asyncio.to_thread``: a function that hangs (a pipe that nobody writes to) would keep the
    program from ending. Cancelled, the thread is left to itself.

    Raises:
        Exception: What the function raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = function()
        except Exception as error:
            failure = RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="voxwire-audio", daemon=True).start()
    return await future


def leave_to_thread(function: Callable[[], object]) -> None:
    """Runs a function that may block, and does not wait for it."""
    threading.Thread(target=function, name="voxwire-audio", daemon=True).start()
