"""How many files of the server one thing passes: no more than was counted when this was written."""

import subprocess
import sys
from pathlib import Path

from tests.walks.__main__ import BLOCK, PATH, walks
from tests.walks.trace import Walk

ROOT = Path(__file__).parents[2]

VISITED = {
    "a Hello, until its Welcome": 115,
    PATH: 35,
    BLOCK: 17,
    "a word, synthesiser to wire": 42,
    "a tool call, model to client to model": 68,
    "a dropped socket, until its path is back": 63,
}
"""Files that run on the way, also those that are only asked: what a busy machine has run meanwhile
is among them, so there is room for a few more than a quiet one counts. What a client may send of
files stands in each Welcome: two more, when its socket is back. What a day may cost is looked at
when a session begins (three files) and noted when something is sent (three), who may come is asked
(two), and a Hello passes the places, the pace of starts and the waiting room (four). Where a
session is, and whether another process has it, is asked as well (four), and how much of the user's
voice is on its way through the pipeline is counted from its first block on (one). What happens
in the session is told to its bot as well (one), and what carries a session over a WebSocket of
whatever kind stands in one file instead of in each route's (one)."""

BLOCK_CHAIN = 8
PATH_CHAIN = 4


async def test_no_walk_is_longer_than_it_was() -> None:
    found = await walks()
    assert found.keys() == VISITED.keys()
    for _ in range(2):  # what a busy machine runs meanwhile is never fewer files: the least counts
        if not longer(found):
            break
        found = {name: shorter(found[name], walk) for name, walk in (await walks()).items()}
    assert longer(found) == {}, found
    check_chain(found[BLOCK], "routes/control.py", "pipeline/input.py", BLOCK_CHAIN)
    check_chain(found[PATH], "session/router.py", "media/websocket.py", PATH_CHAIN)


def longer(found: dict[str, Walk]) -> dict[str, int]:
    return {n: len(walk.files) for n, walk in found.items() if len(walk.files) > VISITED[n]}


def shorter(one: Walk, other: Walk) -> Walk:
    return min(one, other, key=lambda walk: len(walk.files))


def check_chain(walk: Walk, first: str, last: str, longest: int) -> None:
    """From one room to another the thing is handed on through few rooms."""
    assert walk.chain[-1] == last
    chain = walk.chain[walk.chain.index(first) :]
    assert len(chain) <= longest, " -> ".join(walk.chain)


def test_they_are_printed() -> None:
    """`python -m tests.walks`, as the documentation of the walks says."""
    command = [sys.executable, "-m", "tests.walks"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert f"{BLOCK}: " in ended.stdout
    assert "chain of " in ended.stdout
