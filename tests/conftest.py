"""Fixtures of the tests that span packages."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.clients import TRANSPORTS
from tests.support.espeak import close_shared_espeak
from tests.support.seen import record_if_asked
from tests.support.tarballs import FreshApp, fresh_app
from tests.support.waiting import be_patient

LEFT_S = 30.0
"""How long the tasks of a test may take to end behind it, on a busy machine."""


def pytest_configure() -> None:
    from loguru import logger

    record_if_asked()
    os.environ.setdefault("VOXWIRE_DRAIN_MS", "0")  # nobody waits for a server that a test ends
    logger.remove()
    logging.getLogger("aioice").setLevel(logging.WARNING)
    be_patient()


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


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Every test that asks for it runs on both media paths."""
    return str(request.param)


@pytest.fixture(scope="session")
def npm_app(tmp_path_factory: pytest.TempPathFactory) -> FreshApp:
    """An app with our npm packages from their tarballs; for tests that are marked `needs_node`."""
    return fresh_app(tmp_path_factory.mktemp("npm"))


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """A test that leaves a task behind fails; the user's voice is closed for it."""
    before = asyncio.all_tasks()
    yield
    await close_shared_espeak()
    until_s = asyncio.get_running_loop().time() + LEFT_S
    while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
        if asyncio.get_running_loop().time() > until_s:
            raise AssertionError(f"tasks left behind: {[t.get_coro() for t in left]}")
        await asyncio.sleep(0.02)  # real time: poll
