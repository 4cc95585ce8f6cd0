"""Tasks and timers of one session, or of all: none dies unseen, and none outlives its owner."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from voxwire_protocol.clocks import Clock, Timer

__all__ = ["GuardedClock", "Tasks", "Work"]

_CANCELLED_S: Final = 0.25
"""What work that is cancelled has to let go of what it holds."""

T = TypeVar("T")


class Tasks:
    """The tasks of a session.

    Args:
        failed: Told what one of them raised.

    Attributes:
        over: True once nothing is begun any more.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.over = False
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Begin a task; None when nothing is begun any more."""
        if self.over:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def cancel(self) -> list["asyncio.Task[None]"]:
        """Begin nothing more, and cancel all that there are; those."""
        self.over = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks


class GuardedClock:
    """The clock of a session, which ends when a timer's work raises.

    Args:
        clock: The clock behind it.
        failed: Told what was raised.
        late: Told how late each timer was, milliseconds; nearly all of them pace audio blocks.
    """

    def __init__(
        self,
        clock: Clock,
        failed: Callable[[BaseException], None],
        *,
        late: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._failed = failed
        self._late = late

    def now_ms(self) -> float:
        """Monotonic time, milliseconds."""
        return self._clock.now_ms()

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called after ``delay_ms``."""
        due_ms = self._clock.now_ms() + max(0.0, delay_ms)

        def guarded() -> None:
            try:
                if self._late is not None:
                    self._late(max(0.0, self._clock.now_ms() - due_ms))
                work()
            except Exception as error:
                self._failed(error)

        return self._clock.call_later(delay_ms, guarded)


class Work:
    """What is done for sessions beside them: to its end, whoever asked for it has gone.

    Args:
        failed: Told what some of it raised.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin some."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def finish(self, within_s: float) -> None:
        """Wait until nothing of it remains; what takes longer is cancelled, and waited for."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=within_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_CANCELLED_S)
