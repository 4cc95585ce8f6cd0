"""What stands still is named; what waits is not."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voxwire_server.admin import watchdog
from voxwire_server.admin.watchdog import Watchdog

STALL_S = 0.8
PROGRAM = f"""
import asyncio, subprocess, sys
from voxwire_server.admin.watchdog import Watchdog

async def main():
    places = []
    dog = Watchdog(lambda _: None, places.append)
    dog.start()
    await asyncio.sleep(0.2)
    asyncio.get_running_loop().call_soon(
        subprocess.run, [sys.executable, "-c", "import time; time.sleep({STALL_S})"]
    )
    await asyncio.sleep(0.3)
    dog.stop()
    print(places)

asyncio.run(main())
"""


async def places_of(work: Callable[[], object]) -> list[str]:
    """Where the loop stood still while that was done."""
    places: list[str] = []
    dog = Watchdog(lambda _: None, places.append)
    dog.start()
    await asyncio.sleep(0.2)  # real time: silence
    work()
    await asyncio.sleep(0.3)  # real time: silence
    dog.stop()
    return places


async def named_of(work: Callable[[], object]) -> list[str]:
    """The same, of one of ten times: while the machine stands still itself, nobody is named."""
    for _ in range(10):
        if places := await places_of(work):
            return places
    return []


def wait_for_a_program() -> None:
    sleep = f"import time; time.sleep({STALL_S})"
    subprocess.run([sys.executable, "-c", sleep], capture_output=True, check=True)


async def test_a_bot_that_waits_for_a_program_is_named() -> None:
    [place] = await named_of(wait_for_a_program)
    assert place.startswith("test_watchdog.py:")
    assert place.endswith(" in wait_for_a_program")


async def test_a_loop_that_has_nothing_to_do_does_not_stand_still() -> None:
    assert await places_of(lambda: None) == []


def test_a_stall_of_a_library_is_not_blamed_on_the_script(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text(PROGRAM)
    said = "[]"
    for _ in range(10):  # as above
        said = subprocess.run(
            [sys.executable, "entry.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        if said.strip() != "[]":
            break
    assert "entry.py" not in said
    assert "subprocess.py:" in said


@pytest.fixture
def greedy() -> Iterator[None]:
    """No other thread has a turn while one computes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(before)


def compute() -> None:
    until_s = time.process_time() + STALL_S
    while time.process_time() < until_s:
        pass


@pytest.mark.usefixtures("greedy")
async def test_one_that_leaves_no_thread_a_turn_is_counted() -> None:
    assert await named_of(compute) == ["unknown"]


async def test_a_loop_that_others_keep_from_the_processor_is_nobody_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began_s = time.monotonic()
    kept_ms = lambda _: (time.monotonic() - began_s) * 1000  # noqa: E731
    monkeypatch.setattr(watchdog, "waited_ms", kept_ms)
    assert await places_of(wait_for_a_program) == []


async def test_what_blocks_a_loop_that_waits_for_a_processor_at_times_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began_s = time.monotonic()
    monkeypatch.setattr(watchdog, "waited_ms", lambda _: (time.monotonic() - began_s) * 500)
    [place] = await named_of(wait_for_a_program)
    assert place.endswith(" in wait_for_a_program")
