"""Virtual time: an asyncio loop whose clock jumps to the next timer whenever nothing else can run.

``asyncio.sleep``, ``asyncio.timeout`` and timers obey it like :class:`Clock` does, so what takes an
hour takes a moment, in the same order every time. Work in the loop's threads (``run_in_executor``)
is waited for in real time, with the virtual clock standing. For tests: sockets of the machine know
nothing of it, so what talks over them must not be judged by it.
"""

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from voxwire_protocol.clocks import Timer

__all__ = ["NothingLeftError", "VirtualTime", "in_virtual_time"]

T = TypeVar("T")

_THREAD_WAIT_S: Final = 30.0
_OTHER_WAIT_S: Final = 1.0
_START_S: Final = 1000.0


class NothingLeftError(RuntimeError):
    """The program waits, and there is nothing that could ever wake it."""


class _Selector(selectors.DefaultSelector):
    """Never waits for time: lets the virtual clock jump instead."""

    def __init__(self, jump: Callable[[float], None], threads: Callable[[], int]) -> None:
        super().__init__()
        self._jump = jump
        self._threads = threads

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._threads():
            events = super().select(_THREAD_WAIT_S)
            if not events:
                raise NothingLeftError("a thread of the loop has not ended within 30 s")
        elif timeout is None:
            events = super().select(_OTHER_WAIT_S)  # a thread that the loop does not know of
            if not events:
                raise NothingLeftError("everything waits, and no timer is left to wake it")
        else:
            self._jump(timeout)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = _START_S
        self.threads = 0
        super().__init__(_Selector(self._jump, lambda: self.threads))

    def _jump(self, delay_s: float) -> None:
        self.now_s += delay_s

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: Any) -> None:
        self.threads -= 1


class VirtualTime:
    """A :class:`~voxwire_protocol.clocks.Clock` and the loop that it drives.

    ``VirtualTime().run(main())``; inside, ``await time.advance(250)`` lets 250 ms pass and
    everything happen that is due by then.
    """

    def __init__(self) -> None:
        self._loop = _Loop()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` to its end in virtual time, once; tasks that are left are cancelled.

        Raises:
            NothingLeftError: It waits for something that can never come.
        """
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            return runner.run(main)

    def now_ms(self) -> float:
        """Virtual time, milliseconds."""
        return self._loop.now_s * 1000

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called after ``delay_ms``."""
        return self._loop.call_later(max(0.0, delay_ms) / 1000, work)

    async def advance(self, delay_ms: float) -> None:
        """Let time pass."""
        await asyncio.sleep(delay_ms / 1000)

    async def settle(self, turns: int = 20) -> None:
        """Let everything run that is due now, without time passing."""
        for _ in range(turns):
            await asyncio.sleep(0)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time; its argument ``time``, if it has one, is the clock.

    Other arguments stay fixtures, or what a decorator above it gives::

        @in_virtual_time
        async def test_waits(time: VirtualTime) -> None:
            await time.advance(60_000)
    """
    signature = inspect.signature(test)
    others = [p for p in signature.parameters.values() if p.name != "time"]

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        time = VirtualTime()
        if len(others) < len(signature.parameters):
            kwargs["time"] = time
        time.run(test(*args, **kwargs))

    run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
    return run
