"""Traces which files of the server run between two moments of this process."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary

__all__ = ["Walk", "traced"]

_ROOT: Final = "/voxwire_server/"
_PORT: Final = frozenset(
    {
        "emit",
        "emit_envelope",
        "emit_error",
        "emit_state",
        "end",
        "guarded",
        "late",
        "now_ms",
        "spawn",
    }
)
"""What every part may ask of its session: a walk goes round them (ports.SessionPort)."""

_PORT_FILES: Final = frozenset({"session/session.py", "session/tasks.py"})
"""Where that is done."""

_BEATS: Final = frozenset({"admin/watchdog.py", "serving.py", "session/leases.py"})
"""Come by clocks of their own, in the middle of anything: what they ask is on nobody's way."""

_SETTLED: Final = frozenset({"logs.py", "outgoing.py"})


@dataclass
class Walk:
    """The files that were walked through.

    Attributes:
        files: In the order in which they were entered first, below the package's folder: also
            those that are only asked something on the way.
        stays: How often the walk went into another file.
        chain: The rooms through which the thing itself was handed on: the files on the call stack
            when it arrived, and on the stacks that created the tasks of that within the walk, the
            outermost first. A task that was there before is where the chain begins. Empty where
            no arrival was named.
    """

    files: list[str] = field(default_factory=list)
    stays: int = 0
    chain: list[str] = field(default_factory=list)


def _path(code: CodeType) -> str:
    """The file of the server that some code is of; empty = of none that counts."""
    _, found, path = code.co_filename.rpartition(_ROOT)
    if not found or path in _SETTLED:
        return ""
    return path


def _goes_round(path: str, code: CodeType) -> bool:
    return path in _BEATS or (path in _PORT_FILES and code.co_name in _PORT)


class _Tasks:
    """Remembers the chain to each task that is created meanwhile."""

    def __init__(self) -> None:
        self._chains: WeakKeyDictionary[asyncio.Task[Any], list[str]] = WeakKeyDictionary()

    def create(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> "asyncio.Task[Any]":
        """The factory of tasks."""
        task = asyncio.Task(work, loop=loop, **options)
        self._chains[task] = self.chain(sys._getframe(1))
        return task

    def chain(self, frame: FrameType | None) -> list[str]:
        """The files through which ``frame`` was reached, the outermost first."""
        stack: list[str] = []
        while frame is not None:
            path = _path(frame.f_code)
            if path and not _goes_round(path, frame.f_code):
                stack.append(path)
            frame = frame.f_back
        task = _current_task()
        before = self._chains.get(task, []) if task is not None else []
        return list(dict.fromkeys([*before, *reversed(stack)]))


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class _Tracer:
    def __init__(self, walk: Walk, tasks: _Tasks, arrival: str) -> None:
        self._walk = walk
        self._tasks = tasks
        self._arrival = arrival
        self._at = ""
        self._round: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and self._arrives(code):
            self._walk.chain = self._tasks.chain(frame)
        if self._round is not None:
            if event == "return" and frame is self._round:
                self._round = None
            return
        if event != "call":
            return
        path = _path(code)
        if not path:
            return
        if _goes_round(path, code):
            self._round = frame
            return
        if code.co_name.startswith("<"):  # a comprehension or lambda stays where it is
            return
        if path != self._at:
            self._at = path
            self._walk.stays += 1
            if path not in self._walk.files:
                self._walk.files.append(path)

    def _arrives(self, code: CodeType) -> bool:
        here = self._arrival and not self._walk.chain and code.co_qualname == self._arrival
        return bool(here) and _ROOT in code.co_filename


@contextmanager
def traced(arrival: str = "") -> Iterator[Walk]:
    """Trace this thread until the block ends.

    Args:
        arrival: The function, as ``Class.method``, in which what walks has arrived: the chain to
            its first call is noted.
    """
    walk, tasks = Walk(), _Tasks()
    loop = asyncio.get_running_loop()
    before, factory = sys.getprofile(), loop.get_task_factory()
    loop.set_task_factory(tasks.create)
    sys.setprofile(_Tracer(walk, tasks, arrival))
    try:
        yield walk
    finally:
        sys.setprofile(before)
        loop.set_task_factory(factory)
