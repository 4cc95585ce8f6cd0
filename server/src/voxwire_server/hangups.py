"""SIGHUP: what is in files is read or begun anew, whoever wants that of how many."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["has_terminal", "on_hangup"]


def has_terminal() -> bool:
    """True for a program that somebody runs in a terminal: closing that ends it, by SIGHUP."""
    return any(os.isatty(number) for number in (0, 1, 2))


def on_hangup(note: Callable[[], object]) -> None:
    """Have something done on SIGHUP, after what was to be done before.

    Nothing happens where there is no such signal, and outside the main thread.

    Args:
        note: Called as a signal's handler, so in the middle of anything: it may make a note, and no
            more.
    """
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGHUP)

    def hung_up(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
        note()

    signal.signal(signal.SIGHUP, hung_up)
