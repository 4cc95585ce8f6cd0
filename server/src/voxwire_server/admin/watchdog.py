"""What blocks the event loop: noticed by a thread, named by file and line.

A bot that computes, sleeps or asks a database without `await` stops everybody's voice. The loop
says ten times a second that it lives; when it has not for too long, the thread looks at what it is
doing.
"""

import asyncio
import contextlib
import logging
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from voxwire_server.admin.demand import waited_ms

__all__ = ["STALL_MS", "Watchdog", "place_of"]

_log = logging.getLogger("voxwire.watchdog")

STALL_MS: Final = 200
"""A loop that has not turned for so long stands still, milliseconds."""
_BEAT_MS: Final = 100
_LOOK_MS: Final = 50
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
)
_OURS: Final = str(Path(__file__).parents[1])
_MAX_STACK: Final = 8
_LOOP: Final = str(Path(asyncio.__file__).parent)
_TURNS: Final = ("_run_once", "run_forever", "run_until_complete")
_RUNNERS: Final = (str(Path(_LOOP, "runners.py")), str(Path("uvloop", "__init__.py")))
_UNKNOWN: Final = "unknown"


class Watchdog:
    """Watches the event loop that it is started in.

    Args:
        lagged: Is told ten times a second how late the loop woke up, seconds.
        stalled: Is told the file and line at which it stood still, in the loop; ``unknown`` where
            no other thread had a turn.
        stall_ms: After which time it stands still, milliseconds.
    """

    def __init__(
        self,
        lagged: Callable[[float], object],
        stalled: Callable[[str], object],
        *,
        stall_ms: float = STALL_MS,
    ) -> None:
        self._lagged = lagged
        self._stalled = stalled
        self._stall_s = stall_ms / 1000
        self._last_beat = (time.monotonic(), 0.0)
        self._worked_s = time.process_time()
        self._seen_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread_id = self._native_id = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; needs a running event loop. Idempotent."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._thread_id, self._native_id = threading.get_ident(), threading.get_native_id()
        self._last_beat = time.monotonic(), waited_ms(self._native_id)
        self._later()
        self._thread = threading.Thread(target=self._watch, name="voxwire watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _later(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(_BEAT_MS / 1000, self._beat)

    def _beat(self) -> None:
        now_s, worked_s = time.monotonic(), time.process_time()
        beat_s, before_ms = self._last_beat
        waited = waited_ms(self._native_id)
        self._lagged(max(0.0, now_s - beat_s - _BEAT_MS / 1000))
        stood_s = now_s - beat_s - (waited - before_ms) / 1000
        busy = worked_s - self._worked_s > self._stall_s / 2  # else the machine itself stood still
        if stood_s > self._stall_s + _LOOK_MS / 1000 and busy and self._seen_s != beat_s:
            self._stalled(_UNKNOWN)  # the thread had no turn, either
        self._last_beat, self._worked_s = (now_s, waited), worked_s
        self._later()

    def _watch(self) -> None:
        """The thread: a look twenty times a second; one report for each time it stands still."""
        told_s = looked_s = time.monotonic()
        while not self._over.wait(_LOOK_MS / 1000):
            (beat_s, before_ms), now_s = self._last_beat, time.monotonic()
            if self._loop is None or not self._loop.is_running():
                return  # nobody ended it
            stood_s, paused_s = now_s - beat_s, now_s - looked_s
            looked_s = now_s
            # a machine that stood still itself is nobody's fault
            if stood_s < self._stall_s or beat_s == told_s or paused_s > self._stall_s / 2:
                continue
            # nor is it a loop's that others keep from the processor
            if stood_s - (waited_ms(self._native_id) - before_ms) / 1000 < self._stall_s:
                continue
            told_s = self._seen_s = beat_s
            self._report(stood_s)

    def _report(self, stood_s: float) -> None:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - documented
        frame = frames.get(self._thread_id)
        if frame is None or _waits(frame):
            return
        place, stack = place_of(frame)
        _log.warning(
            "the event loop stands still, and with it every call: %s",
            place,
            extra={"stood_ms": round(stood_s * 1000), "stack": stack},
        )
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            if self._loop is not None and not self._over.is_set():
                self._loop.call_soon_threadsafe(self._stalled, place)


def _waits(frame: FrameType) -> bool:
    """True when the loop only waits for something to do: it was woken meanwhile."""
    if frame.f_code.co_name == "select" and frame.f_back is not None:
        return _is_loop(frame.f_back)
    return _is_loop(frame)


def _is_loop(frame: FrameType) -> bool:
    """True for the loop itself, and for what runs it: uvloop has no frames of its own."""
    code = frame.f_code
    if code.co_filename.endswith(_RUNNERS):
        return code.co_name == "run"
    return code.co_filename.startswith(_LOOP) and code.co_name in _TURNS


def _is_callback(frame: FrameType) -> bool:
    """True for what the loop calls everything by."""
    code = frame.f_code
    return code.co_filename.startswith(_LOOP) and code.co_qualname == "Handle._run"


def place_of(frame: FrameType) -> tuple[str, str]:
    """Where a thread is: the innermost line that is no library's, as ``bot.py:12 in look_up``, of
    what the loop has called; else the innermost one.

    Returns:
        That, and the stack from there inwards.
    """
    names: list[str] = []
    each: FrameType | None = frame
    while each is not None and not (names and (_is_callback(each) or _is_loop(each))):
        code = each.f_code
        name = f"{Path(code.co_filename).name}:{each.f_lineno} in {code.co_name}"
        names.append(name)
        if not code.co_filename.startswith((*_LIBRARIES, _OURS, "<")):
            return name, " < ".join(names[:_MAX_STACK])
        each = each.f_back
    return names[0], " < ".join(names[:_MAX_STACK])
