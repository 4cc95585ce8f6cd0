"""Blocking calls beside the event loop, each in a daemon thread of its own.

Not ``asyncio.to_thread``: a function that hangs (a pipe that nobody writes to) would keep the
program from ending.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

__all__ = ["DaemonExecutor", "in_thread", "leave_to_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def _start(name: str, function: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function()
        except BaseException as error:
            plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if plain else RuntimeError(type(error).__name__))
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


class _DaemonThreads(Executor):
    """A thread for each call. The loop knows of it, and so does its virtual time."""

    def __init__(self, name: str) -> None:
        self._name = name

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return _start(self._name, partial(fn, *args, **kwargs))


class DaemonExecutor(ThreadPoolExecutor):
    """The same as a loop's default executor, which has to be of this kind.

    The name look-ups of asyncio run there: `asyncio.run` does not wait for one that hangs.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs a function in a thread of its own."""
        return _start("voxwire-default", partial(fn, *args, **kwargs))


async def in_thread(function: Callable[[], T], *, name: str = "voxwire-audio") -> T:
    """Runs a function in a thread of its own and returns what it does.

    Cancel-safe: the thread is left to itself then.

    Raises:
        Exception: What the function raises; RuntimeError with its type's name for StopIteration
            and for what is no Exception.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_DaemonThreads(name), function)


def leave_to_thread(function: Callable[[], Any]) -> None:
    """Runs a function that may block, and does not wait for it."""
    threading.Thread(target=function, name="voxwire-audio", daemon=True).start()
