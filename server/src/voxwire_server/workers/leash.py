"""A program that does not outlive the one that started it."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["leash"]

_PR_SET_PDEATHSIG: Final = 1
"""``prctl(2)``."""


def leash() -> Callable[[], None] | None:
    """What a child runs before its program: it is told to end (SIGTERM) when its parent is no more.

    None = this system cannot do it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was quicker
            os.kill(os.getpid(), signal.SIGTERM)

    return tie
