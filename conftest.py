"""Tests marked `timing` get a second and a third try, but only on a machine that stalled.

Such a test judges moments (a word fires while it sounds). A thread that only sleeps measures
meanwhile how late it is woken. A failure counts at once unless that shows a stall; a retry is
printed with its measure, so that what fails on a quiet machine is never hidden.
"""

import threading
import time
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

STALL_MS: Final = 40
"""A wake-up that is later than this is a stall."""

STEP_S: Final = 0.005
TRIES: Final = 3


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs a test that is marked `timing`; every other one runs as usual."""
    if item.get_closest_marker("timing") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, TRIES + 1):
        if attempt > 1:
            item._initrequest()  # type: ignore[attr-defined]  # fresh fixtures
        with StallProbe() as probe:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        failed = [report for report in reports if report.failed]
        if not failed or probe.worst_ms <= STALL_MS or attempt == TRIES:
            break
        note_retry(item, f"the machine stalled for {probe.worst_ms:.0f} ms", failed)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def note_retry(item: pytest.Item, reason: str, failed: list[pytest.TestReport]) -> None:
    """Prints what is tried again, and what it failed of."""
    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        lines = failed[0].longreprtext.splitlines()
        shown = [line for line in lines if line.startswith("E ")][:3]
        terminal.write_line("\n".join([f"RETRY {item.nodeid}: {reason}", *shown]))
