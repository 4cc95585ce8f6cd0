"""What Pipecat's own services do when a provider fails, as a table in Markdown.

    python -m tests.support.providers.table ["openai llm" ...]

All cells run side by side, about two minutes. Nothing is judged here.
"""

import asyncio
import sys

from loguru import logger
from pipecat.frames.frames import InterruptionFrame

from tests.support.providers.faults import Fault
from tests.support.providers.kinds import KINDS, Kind
from tests.support.providers.stage import Stage, staged

__all__ = ["HEAD", "row"]

WATCH_S = 45.0
"""How long a failure is watched."""

HEALS_S = 15.0
"""From when the provider is well again until it is asked again: longer than a backoff."""

HEAD = (
    "| service | fault | since | started s | on_error s | first error frame s | category | usable "
    "| errors | answered s | frames behind held s | freed by interruption | after it is well "
    "| cancel s | left |\n|" + "---|" * 15
)


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f}"


async def _answered(kind: Kind, stage: Stage, began_s: float, wait_s: float) -> float | None:
    """How long a whole answer took to what was asked; None = it did not come."""
    found = await stage.until(lambda: kind.answered(stage, began_s), wait_s)
    return stage.now_s - began_s if found else None


async def row(kind: Kind, fault: Fault, *, early: bool) -> str:
    """One line of the table.

    Args:
        kind: The service.
        fault: How its provider fails.
        early: From before the pipeline starts, else from when it has started.
    """
    async with kind.peer() as peer:
        if early:
            peer.fault = fault
        async with staged(kind.service(peer)) as stage:
            await stage.until(lambda: stage.started_s is not None, WATCH_S)
            peer.fault = fault
            asked_s = stage.now_s if not early else 0.0
            began_s = stage.now_s
            await kind.ask(stage)
            held_s, answered_s = await asyncio.gather(
                stage.passes(WATCH_S), _answered(kind, stage, began_s, WATCH_S)
            )
            failures = [each for each in stage.failures if each.at_s >= asked_s]
            told_s = [at_s for at_s in stage.told_s if at_s >= asked_s]
            await stage.send(InterruptionFrame())
            freed = await stage.passes(5.0) is not None
            usable = stage.service.is_usable
            peer.fault = Fault.NONE
            await asyncio.sleep(HEALS_S)  # real time: slow
            again_s = stage.now_s
            await kind.ask(stage)
            healed_s = await _answered(kind, stage, again_s, 10.0)
        await asyncio.sleep(1.0)  # real time: slow
        left = f"{peer.busy} served, {peer.open} open"
    first = failures[0] if failures else None
    cells = [
        *(kind.name, fault.value, "start" if early else "started", _s(stage.started_s)),
        _s(told_s[0] - asked_s if told_s else None),
        _s(first.at_s - asked_s if first else None),
        first.category if first else "–",
        *("yes" if usable else "no", str(len(failures)), _s(answered_s), _s(held_s)),
        "yes" if freed else "no",
        f"answers in {_s(healed_s)} s" if healed_s is not None else "silent",
        *(_s(stage.ended_s), left),
    ]
    return "| " + " | ".join(cells) + " |"


async def main(names: list[str]) -> None:
    """Print the table."""
    kinds = [kind for kind in KINDS if not names or kind.name in names]
    faults = [fault for fault in Fault if fault is not Fault.NONE]
    cells = [
        row(kind, fault, early=early)
        for kind in kinds
        for fault in faults
        for early in ((True, False) if kind.connects else (False,))
    ]
    print(HEAD)
    for line in await asyncio.gather(*cells, return_exceptions=True):
        print(line if isinstance(line, str) else f"| {line!r} |", flush=True)


if __name__ == "__main__":
    logger.remove()
    asyncio.run(main(sys.argv[1:]))
