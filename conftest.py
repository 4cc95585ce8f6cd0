"""The timing group: tests that judge moments of real time, each marked with why it has to.

``make test`` ends with them, alone; ``make timing`` runs nothing else. A machine that stalls fails
them and no other test, so a failure says how long the process was not woken meanwhile.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

STEP_S: Final = 0.005


class StallProbe:
    """Measures the longest stall of this process while it is entered."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall probe", daemon=True)

    def __enter__(self) -> "StallProbe":
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
            self.worst_ms = max(self.worst_ms, (now - before - STEP_S) * 1000)
            before = now


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nobody joins the group without a reason.

    Raises:
        pytest.UsageError: A mark has none.
    """
    for item in items:
        for mark in item.iter_markers("timing"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f'{item.nodeid}: pytest.mark.timing(reason="...")')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measures how quiet the machine is while a test of the group runs."""
    mark = item.get_closest_marker("timing")
    if mark is None:
        return (yield)
    with StallProbe() as probe:
        try:
            return (yield)
        finally:
            item.add_report_section(
                "call",
                "timing",
                f"judges moments: {mark.kwargs['reason']}\n"
                f"longest stall of the machine meanwhile: {probe.worst_ms:.0f} ms",
            )
