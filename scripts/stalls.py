"""How quiet the machine is: how late a process that does nothing else is woken."""

import threading
import time
from typing import Final

__all__ = ["Stalls"]

STEP_S: Final = 0.005
NOTED_MS: Final = 50.0


class Stalls:
    """Measures, while it is entered, how late this process was woken at worst.

    Attributes:
        worst_ms: The longest stall so far, milliseconds.
    """

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self._noted: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall probe", daemon=True)

    def __enter__(self) -> "Stalls":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._stop.is_set():
            time.sleep(STEP_S)
            now = time.monotonic()
            late_ms = (now - before - STEP_S) * 1000
            self.worst_ms = max(self.worst_ms, late_ms)
            if late_ms >= NOTED_MS:
                self._noted.append((now, late_ms))
            before = now

    def worst_since(self, moment: float) -> float:
        """The longest stall since a moment of ``time.monotonic()``, milliseconds; 0 = none that
        is noted (`NOTED_MS`).
        """
        return max((late_ms for at, late_ms in self._noted if at >= moment), default=0.0)
