"""Keeps processors busy until Ctrl-C: `busy.py [N]`, four loops by default.

`python scripts/busy.py & make test TIMING=0` shows that no test needs a quiet machine.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
"""Whether the kernel shares processors out by session before it does so by process."""


def spin() -> None:
    """Use all of a processor that the machine gives, in a session of its own."""
    os.setsid()
    while True:
        pass


@contextlib.contextmanager
def by_process() -> Iterator[None]:
    """The kernel shares processors out by process meanwhile, as most servers do, where that can be
    asked for: then four loops at nice 0 weigh as much as four tests, in whatever session.
    """
    try:
        before = AUTOGROUP.read_text()
        AUTOGROUP.write_text("0")
    except OSError:
        print("busy: processors are shared out as this kernel does by itself", flush=True)
        yield
        return
    try:
        yield
    finally:
        AUTOGROUP.write_text(before)


def main(arguments: list[str]) -> int:
    """Run the loops."""
    with by_process():
        return keep_busy(int(arguments[0]) if arguments else 4)


def keep_busy(number: int) -> int:
    """Run so many loops until Ctrl-C."""
    loops = [multiprocessing.Process(target=spin, daemon=True) for _ in range(number)]
    for loop in loops:
        loop.start()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(ending, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
