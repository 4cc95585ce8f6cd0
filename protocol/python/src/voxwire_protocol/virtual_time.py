"""Virtual time: an asyncio loop whose clock jumps to the next timer whenever nothing else can run.

``asyncio.sleep``, ``asyncio.timeout`` and timers obey it like :class:`VirtualTime` itself does, so
what takes an hour takes a moment, in the same order every time. Threads that the loop knows of
(``run_in_executor``, ``asyncio.to_thread``) are waited for in real time, with the virtual clock
standing. For tests: sockets and threads of anybody else know nothing of it, so what depends on them
must not be judged by it.
"""

import asyncio
import functools
import inspect
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, TypeVar

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock, Timer

__all__ = ["NothingLeftError", "VirtualTime", "in_virtual_time", "running_clock"]

T = TypeVar("T")

_THREAD_WAIT_S: Final = 30.0
_OTHER_WAIT_S: Final = 1.0
_START_NS: Final = 1000 * 1_000_000_000
_SHOWN_TASKS: Final = 10


class NothingLeftError(RuntimeError):
    """The program waits, and there is nothing that could ever wake it. The text says what waits."""


class _Selector(selectors.DefaultSelector):
    """Never waits for time: lets the virtual clock jump instead."""

    def __init__(self, loop: "_Loop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._loop.threads:
            events = super().select(_THREAD_WAIT_S)
            if not events:
                self._loop.give_up(f"a thread of the loop has not ended in {_THREAD_WAIT_S:g} s")
        elif self._loop.has_settled():
            return events
        elif timeout is None:
            events = super().select(_OTHER_WAIT_S)  # a thread that the loop does not know of
            if not events:
                self._loop.give_up("everything waits, and no timer is left to wake it")
        else:
            self._loop.jump(timeout)
        return events


class _Loop(asyncio.SelectorEventLoop):
    """Counts time in nanoseconds, so that whole milliseconds stay whole however many pass."""

    def __init__(self, owner: "VirtualTime") -> None:
        self.owner = owner
        self.now_ns = _START_NS
        self.threads = 0
        self.settling: list[asyncio.Future[None]] = []
        self.failures: list[BaseException] = []
        super().__init__(_Selector(self))
        self.set_exception_handler(_Loop._note)

    @staticmethod
    def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keeps what a timer's or another callback's work raised."""
        error = context.get("exception")
        if error is not None and "handle" in context and isinstance(loop, _Loop):
            loop.failures.append(error)
        else:
            loop.default_exception_handler(context)

    def jump(self, delay_s: float) -> None:
        self.now_ns += max(1, round(delay_s * 1_000_000_000))

    def time(self) -> float:
        return self.now_ns / 1_000_000_000

    def has_settled(self) -> bool:
        """Wakes those who wait until nothing is due; True when there is one."""
        waiting = [future for future in self.settling if not future.done()]
        self.settling.clear()
        for future in waiting:
            future.set_result(None)
        return bool(waiting)

    def give_up(self, reason: str) -> None:
        tasks = sorted(f"{task.get_name()} ({_where(task)})" for task in asyncio.all_tasks(self))
        more = [f"and {len(tasks) - _SHOWN_TASKS} more"] if len(tasks) > _SHOWN_TASKS else []
        raise NothingLeftError("; ".join([reason, *tasks[:_SHOWN_TASKS], *more]))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self.threads += 1  # its threads are joined in one that the loop would not know of
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self.threads -= 1

    def _thread_ended(self, _: Any) -> None:
        self.threads -= 1


def _where(task: asyncio.Task[Any]) -> str:
    """The line that a task waits at."""
    stack = task.get_stack(limit=1)
    if not stack:
        return "nowhere"
    frame = stack[0]
    name = frame.f_code.co_filename.rpartition("/")[2]
    return f"{frame.f_code.co_qualname}, {name}:{frame.f_lineno}"


class VirtualTime:
    """A :class:`~voxwire_protocol.clocks.Clock` and the loop that it drives.

    ``VirtualTime().run(main())``; inside, ``await time.advance(250)`` lets 250 ms pass and
    everything happen that is due by then. As a context manager it runs one thing after the other
    (the rules of a state machine), tasks going on in between::

        with VirtualTime() as time:
            time.run(first())
            time.run(second())
    """

    def __init__(self) -> None:
        self._made: _Loop | None = None
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)
        self._kept = False

    @property
    def _loop(self) -> "_Loop":
        if self._made is None:
            self._made = _Loop(self)
        return self._made

    def __enter__(self) -> "VirtualTime":
        """Keep the loop for several runs."""
        self._kept = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel the tasks that are left."""
        self.close()

    def close(self) -> None:
        """Cancel the tasks that are left and close the loop; may be called again."""
        if self._made is not None and not self._made.is_closed():
            with self._runner:  # makes the loop its own, where nothing ran yet
                pass

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` to its end in virtual time.

        Once, and tasks that are left are cancelled; as often as wanted inside ``with``.

        Raises:
            NothingLeftError: It waits for something that can never come.
            BaseException: What ``main`` raises; else what a timer's work has raised meanwhile.
        """
        try:
            result = self._runner.run(main)
        except BaseException as error:
            for earlier in self._loop.failures:
                error.add_note(f"before that, a timer's work raised {earlier!r}")
            raise
        finally:
            failures, self._loop.failures = self._loop.failures, []
            if not self._kept:
                self.close()
        if failures:
            raise failures[0]
        return result

    def now_ms(self) -> float:
        """Virtual time, milliseconds."""
        return (_START_NS if self._made is None else self._made.now_ns) / 1_000_000

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called after ``delay_ms``."""
        return self._loop.call_later(max(0.0, delay_ms) / 1000, work)

    async def advance(self, delay_ms: float) -> None:
        """Let time pass; whatever is due by then has happened. Cancel-safe."""
        await asyncio.sleep(delay_ms / 1000)
        await self.settle()

    async def settle(self) -> None:
        """Let everything run that is due now, threads of the loop included. Cancel-safe.

        Time does not pass, unless somebody else's sleep ends it: a task that never waits
        (``sleep(0)`` for ever) keeps this waiting, too.
        """
        settled = self._loop.create_future()
        self._loop.settling.append(settled)
        await settled

    async def until(self, awaitable: Awaitable[T], *, limit_ms: float = 120_000) -> T:
        """Let time pass until that has come, and return it. Cancel-safe.

        Raises:
            TimeoutError: It has not, after ``limit_ms``.
        """
        async with asyncio.timeout(limit_ms / 1000):
            return await awaitable


def running_clock() -> Clock:
    """The virtual time that this runs in, or the machine's clock.

    For test kits: a program is given its clock.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return SYSTEM_CLOCK
    return loop.owner if isinstance(loop, _Loop) else SYSTEM_CLOCK


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time; its argument ``time``, if it has one, is the clock.

    Other arguments stay fixtures, or what a decorator above it gives::

        @in_virtual_time
        async def test_waits(time: VirtualTime) -> None:
            await time.advance(60_000)
    """
    signature = inspect.signature(test)
    others = [p for p in signature.parameters.values() if p.name != "time"]
    shown = signature.replace(parameters=others)

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        time = VirtualTime()
        given = shown.bind(*args, **kwargs).arguments
        if len(others) < len(signature.parameters):
            given["time"] = time
        time.run(test(**given))

    run.__signature__ = shown  # type: ignore[attr-defined]
    return run
