"""The event loop of a session without async, as other threads use it."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from voxwire._verbs import ENDED
from voxwire.session import READER
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["Portal", "SessionLoop"]

_ReadT = TypeVar("_ReadT")

_END: Final[Any] = object()


class Portal(Protocol):
    """The way into a loop that runs, or that runs while it is called: anyio's, for one."""

    def call(self, func: Callable[..., Any], /, *args: Any) -> Any:
        """Calls a function in the loop, and waits for what it gives."""
        ...

    def start_task_soon(self, func: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Has it called, and gives its outcome, which may be there already.

        Raises:
            RuntimeError: The loop is over.
        """
        ...


class SessionLoop:
    """The event loop of one session, in a thread of its own or in virtual time. Thread-safe."""

    def __init__(self, portal: Portal) -> None:
        """Takes the way into it."""
        self._portal = portal
        self._loop: asyncio.AbstractEventLoop = portal.call(asyncio.get_running_loop)

    def run(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function in the loop, and awaits what it returns. Ctrl-C cancels that.

        Raises:
            UsageError: INVALID_STATE: the loop is over, or it is what calls this.
            Exception: What the function raises.
        """
        if self._is_running_here():
            reason = "a function that the session calls must not wait for it: use a thread"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        future = self._start(_run_as, threading.current_thread(), partial(verb, *args, **kwargs))
        if future is None:
            raise _ended()
        try:
            return future.result()
        except CancelledError:
            raise _ended() from None
        except BaseException:
            future.cancel()
            raise

    def look(self, read: Callable[..., _ReadT], *args: Any) -> _ReadT:
        """Calls what waits for nothing: in the loop, or here when that is over or this is it."""
        future = None
        if not self._is_running_here():
            future = self._start(read, *args)
        return read(*args) if future is None else future.result()

    def next(self, events: Any) -> Any:
        """The next of an async iterator; its end is the end here.

        Once the loop is over, what was queued then is still to be had.
        """
        try:
            found = self.run(_one, events)
        except UsageError:
            if self._start(int) is not None:
                raise
            found = copy_context().run(_left, events)
        if found is _END:
            raise StopIteration
        return found

    def _is_running_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _start(self, call: Callable[..., Any], *args: Any) -> Future[Any] | None:
        """Has the loop call something; None = it is over."""
        try:
            return self._portal.start_task_soon(call, *args)
        except RuntimeError:  # which is all that anyio says
            return None


def _ended() -> UsageError:
    return UsageError(ErrorCode.INVALID_STATE, ENDED)


async def _run_as(thread: threading.Thread, call: Callable[[], Any]) -> Any:
    """Calls it; for the session it is that thread that reads."""
    READER.set(thread)
    result = call()
    return await result if inspect.isawaitable(result) else result


async def _one(events: Any) -> Any:
    return await anext(events, _END)


def _left(events: Any) -> Any:
    """What was queued when the loop ended: reading it waits for nothing."""
    reading = _run_as(threading.current_thread(), partial(_one, events))
    try:
        reading.send(None)
    except StopIteration as end:
        return end.value
    reading.close()
    return _END
