"""How many files of the server one thing passes: no more than was counted when this was written."""

import subprocess
import sys
from pathlib import Path

from tests.walks.__main__ import BLOCK, PATH, walks
from tests.walks.trace import Walk

ROOT = Path(__file__).parents[2]

VISITED = {
    "a Hello, until its Welcome": 96,
    PATH: 36,
    BLOCK: 16,
    "a word, synthesiser to wire": 40,
    "a tool call, model to client to model": 68,
    "a dropped socket, until its path is back": 58,
}
"""Files that run on the way, also those that are only asked: what a busy machine has run meanwhile
is among them, so there is room for a few more than a quiet one counts. What a client may send of
files stands in each Welcome: two more, when its socket is back."""

BLOCK_CHAIN = 8
PATH_CHAIN = 4


async def test_no_walk_is_longer_than_it_was() -> None:
    found = await walks()
    counted = {name: len(walk.files) for name, walk in found.items()}
    assert counted.keys() == VISITED.keys()
    assert {n: c for n, c in counted.items() if c > VISITED[n]} == {}, found
    check_chain(found[BLOCK], "routes/control.py", "pipeline/input.py", BLOCK_CHAIN)
    check_chain(found[PATH], "session/router.py", "media/websocket.py", PATH_CHAIN)


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
