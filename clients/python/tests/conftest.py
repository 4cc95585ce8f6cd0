"""Fixtures of the client's tests."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path; peer.py is theirs

LEFT_S = 30.0
"""How long the tasks of a test may take to end behind it, on a busy machine."""


@pytest.fixture(autouse=True)
def no_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A client that takes a step that its table of states does not have fails the test."""
    refused: list[str] = []
    monkeypatch.setattr(
        "voxwire._states.ClientStates.refuse",
        lambda states, step: refused.append(f"{step} while {states.status}"),
    )
    yield
    assert not refused


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """A test that leaves a task behind fails."""
    before = asyncio.all_tasks()
    yield
    until_s = asyncio.get_running_loop().time() + LEFT_S
    while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        if asyncio.get_running_loop().time() > until_s:
            raise AssertionError(f"tasks left behind: {[task.get_coro() for task in left]}")
        await asyncio.sleep(0.02)  # real time: poll
