"""Fixtures of the client's tests."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path; peer.py is theirs


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """A test that leaves a task behind fails."""
    before = asyncio.all_tasks()
    yield
    for _ in range(100):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.02)  # real time: poll
    raise AssertionError(f"tasks left behind: {[task.get_coro() for task in left]}")
