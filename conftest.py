"""What all tests share.

The timing group: tests that judge moments of real time, each marked with why it has to. ``make
test`` ends with them, alone; ``make timing`` runs nothing else. A machine that stalls fails them
and no other test, so a failure says how long the process was not woken meanwhile.

The garbage collector looks at what was imported once, and not again: that is an eighth to a
quarter of the tests' processor time.

Hypothesis judges no moments either: an example may take as long as the machine wants.
"""

import gc
import os
from collections.abc import Iterator

import hypothesis
import pytest

from scripts.stalls import Stalls

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # stock Pipecat's onnxruntime would call Microsoft
os.environ.setdefault("VOXWIRE_MAX_LAG_MS", "0")  # a busy machine refuses no session of a test
os.environ.setdefault("VOXWIRE_TURN_CHECK_S", "0")  # tests count what goes to a TURN server
gc.disable()  # until everything is imported
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


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
    with Stalls() as probe:
        try:
            return (yield)
        finally:
            item.add_report_section(
                "call",
                "timing",
                f"judges moments: {mark.kwargs['reason']}\n"
                f"longest stall of this process meanwhile: {probe.worst_ms:.0f} ms",
            )
