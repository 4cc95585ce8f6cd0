"""What a thread would have of the processor if it were alone on the machine."""

import time
from pathlib import Path
from typing import Final

__all__ = ["demand_ms", "waited_ms"]

_FILE: Final = Path("/proc/thread-self/schedstat")
_TASKS: Final = Path("/proc/self/task")
_NS_A_MS: Final = 1_000_000


def demand_ms() -> float:
    """How long the thread that calls has worked, or waited for a processor to work on, so far.

    A loop that others keep from the processor has as little time left as one that computes: on a
    crowded machine its own processor time stays low while every voice stutters. Where the system
    does not say how long it waited (not Linux, or without ``schedstat``), work alone counts.

    Returns:
        Milliseconds since the thread began.
    """
    try:
        worked_ns, waited_ns, *_ = map(int, _FILE.read_bytes().split())
    except (OSError, ValueError):
        return time.thread_time() * 1000
    return (worked_ns + waited_ns) / _NS_A_MS


def waited_ms(native_id: int) -> float:
    """How long a thread of this process has waited for a processor so far; 0 = nobody says.

    Args:
        native_id: As ``threading.get_native_id``.

    Returns:
        Milliseconds since the thread began.
    """
    try:
        _, waited_ns, *_ = map(int, (_TASKS / str(native_id) / "schedstat").read_bytes().split())
    except (OSError, ValueError):
        return 0.0
    return waited_ns / _NS_A_MS
