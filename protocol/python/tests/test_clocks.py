"""The machine's clock: monotonic, fine, and the running loop's timers, whichever loop that is."""

import asyncio
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import pytest

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock, SystemClock

LOOPS = ["asyncio"]
try:
    import uvloop

    LOOPS.append("uvloop")
except ImportError:  # the server brings it, and not everywhere
    pass


def run(loop: str, main: Coroutine[Any, Any, None]) -> None:
    factory = None if loop == "asyncio" else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def test_it_is_the_monotonic_clock_in_milliseconds() -> None:
    clock: Clock = SYSTEM_CLOCK
    before = time.monotonic()
    now_ms = clock.now_ms()
    assert before * 1000 <= now_ms <= time.monotonic() * 1000  # real time: order


@pytest.mark.parametrize("loop", LOOPS)
def test_it_is_finer_than_a_loop_that_counts_milliseconds(loop: str) -> None:
    """uvloop's own time stands still within a turn and counts whole milliseconds."""

    async def main() -> None:
        seen = {SystemClock().now_ms() for _ in range(100)}
        assert len(seen) > 2

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_timers_come_once_and_never_early(loop: str) -> None:
    delays_ms = (12.7, 0.0, 1.4, 5.55, -1.0)

    async def main() -> None:
        clock = SystemClock()
        came: dict[float, float] = {}
        all_came = asyncio.Event()

        def note(delay_ms: float, due_ms: float) -> None:
            assert delay_ms not in came
            came[delay_ms] = clock.now_ms() - due_ms
            if len(came) == len(delays_ms):
                all_came.set()

        for delay_ms in delays_ms:
            due_ms = clock.now_ms() + delay_ms
            clock.call_later(delay_ms, partial(note, delay_ms, due_ms))
        await all_came.wait()
        assert min(came.values()) >= -0.05, came  # an asyncio loop's own tolerance

    for _ in range(20):
        run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_timer_can_be_cancelled_once_and_again(loop: str) -> None:
    async def main() -> None:
        came: list[int] = []
        clock = SystemClock()
        timer = clock.call_later(1, lambda: came.append(1))
        timer.cancel()
        timer.cancel()
        gone = clock.call_later(0, lambda: came.append(2))
        await asyncio.sleep(0.01)  # real time: silence
        gone.cancel()
        assert came == [2]

    run(loop, main())


def test_there_are_no_timers_without_a_loop() -> None:
    with pytest.raises(RuntimeError):
        SYSTEM_CLOCK.call_later(1, lambda: None)
