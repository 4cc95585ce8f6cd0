"""Keeps processors busy until Ctrl-C: `busy.py [N]`, four loops by default.

`python scripts/busy.py & make test TIMING=0` shows that no test needs a quiet machine.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time


def spin() -> None:
    """Use all of a processor that the machine gives; in a session of its own, since some kernels
    share a processor out by session first.
    """
    os.setsid()
    while True:
        pass


def main(arguments: list[str]) -> int:
    """Run the loops."""
    number = int(arguments[0]) if arguments else 4
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
