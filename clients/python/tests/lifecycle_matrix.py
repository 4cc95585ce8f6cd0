"""Every act in every state under every trouble. ``python lifecycle_matrix.py`` prints it all."""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lifecycle import CONNECT_MS, Bench
from lifecycle_acts import ENDINGS, IN_SESSION, VERBS
from lifecycle_states import CONNECTING, STATES
from lifecycle_troubles import TROUBLES

from voxwire_protocol.virtual_time import VirtualTime

ACTS = ENDINGS | IN_SESSION


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    trouble: str
    state: str
    act: str

    def __str__(self) -> str:
        return f"{self.trouble} / {self.state} / {self.act}"


@dataclass(frozen=True)
class Result:
    """How the program ended, and what of that should not have been."""

    outcome: str
    took_ms: float
    wrong: list[str]
    verbs: dict[str, str]


def cells(trouble: str, one_in: int = 1) -> Iterator[Cell]:
    """Every cell of a trouble, or one in so many: each act in some states, each state some acts."""
    shift = list(TROUBLES).index(trouble)
    for row, state in enumerate(STATES):
        acts = ENDINGS if state in CONNECTING else ACTS
        for column, act in enumerate(acts):
            if state in ("closing", "closed") and act in ("stay", "leave", "raise"):
                continue  # it has left
            if (shift + row + column) % one_in == 0:
                yield Cell(trouble, state, act)


def expected(cell: Cell, *, ready: bool, done: str, cancelled: bool) -> set[str]:
    """How the program may end.

    Args:
        cell: What happens to it.
        ready: It got a session.
        done: How it had ended before the trouble came; empty = it had not.
        cancelled: It was cancelled before it had ended.
    """
    if done:
        return {done}
    trouble = TROUBLES[cell.trouble]
    if cancelled:
        return {"cancelled"}
    away = cell.state in ("reconnecting", "resuming")
    allowed = {trouble.session or "ok", "ok"}
    if not ready:
        allowed = {trouble.connect or "ok"}
        if cell.state in ("hello sent", "path opening") and trouble.far:
            allowed.add("CONNECTION_LOST")
        if cell.state == "path opening":
            allowed |= {"TIMEOUT", trouble.session or "TIMEOUT"}
        if cell.trouble == "machine suspended":
            allowed = {"TIMEOUT"}
    elif cell.act == "raise":
        allowed = {"its own"}
    elif cell.state == "failed":
        allowed = {"BOT_FAILED", "ok"}
    elif away and cell.trouble in ("machine suspended", "server says the end", "bot fails"):
        allowed = {"SESSION_EXPIRED", "ok"}
    return allowed


def is_told(cell: Cell) -> bool:
    """Whether the server has to know, in the end, that the program has left."""
    trouble = TROUBLES[cell.trouble]
    away = cell.state in ("reconnecting", "resuming")
    away = away or (cell.state == "path opening" and cell.trouble == "socket dropped")
    dies = trouble.session == "DEVICE" or cell.trouble == "machine suspended"
    hasty = cell.act in ("cancel", "cancel twice") and cell.state == "path opening"
    return not (
        trouble.far
        or cell.state == "closing"
        or cell.act == "cancel twice"
        or (away and (dies or hasty))
    )


async def play(time: VirtualTime, cell: Cell) -> Result:
    """Plays one cell."""
    trouble = TROUBLES[cell.trouble]
    bench = Bench(time, live=trouble.live, rtc=trouble.rtc)
    await STATES[cell.state](bench)
    done = bench.program.outcome if bench.program and bench.program.task.done() else ""
    bench.told = is_told(cell)
    trouble.happen(bench)
    if bench.program is None:
        bench.begin()
        await asyncio.sleep(0)
    await ACTS[cell.act](bench)
    began_ms = time.now_ms()
    program = bench.program
    assert program is not None
    lasts_ms = CONNECT_MS + 100 if cell.state in CONNECTING else trouble.lasts_ms
    while not program.task.done() and time.now_ms() < began_ms + lasts_ms:
        await time.advance(50)
    wrong = await bench.end()
    ready = bench.session is not None
    allowed = expected(cell, ready=ready, done=done, cancelled=program.cancelled)
    if program.outcome not in allowed:
        wrong.append(f"it ended with {program.outcome}, not {' or '.join(sorted(allowed))}")
    verbs = {name: bench.running[name].outcome for name in VERBS if name in bench.running}
    return Result(program.outcome, program.took_ms or 0, wrong, verbs)


def run(cell: Cell) -> Result:
    """Plays one cell in a time of its own."""
    time = VirtualTime()
    return time.run(play(time, cell))


def table(trouble: str, one_in: int = 1) -> tuple[list[str], list[str], int]:
    """All cells of a trouble: a line for each state, what is wrong, and how many there were."""
    lines: list[str] = []
    failures: list[str] = []
    rows: dict[str, list[str]] = {}
    count = 0
    for cell in cells(trouble, one_in):
        count += 1
        result = run(cell)
        shown = f"{cell.act} → {result.outcome}" + (" FAILED" if result.wrong else "")
        if result.verbs:
            counts = Counter(result.verbs.values())
            shown += " (" + ", ".join(f"{n} {what}" for what, n in counts.most_common()) + ")"
        rows.setdefault(cell.state, []).append(shown)
        failures += [f"{cell}: {it}" for it in result.wrong]
    lines += [f"{trouble:<20} {state:<20} {'; '.join(row)}" for state, row in rows.items()]
    return lines, failures, count


def main() -> None:
    """Prints the matrix, or that of the troubles that are named."""
    logging.disable(logging.CRITICAL)  # bugs of the program are logged
    total, wrong = 0, 0
    for trouble in sys.argv[1:] or TROUBLES:
        lines, failures, count = table(trouble)
        print("\n".join([*lines, *(f"FAILED {it}" for it in failures)]), flush=True)
        total, wrong = total + count, wrong + len(failures)
    print(f"{total} cells, {wrong} faults")


if __name__ == "__main__":
    main()
