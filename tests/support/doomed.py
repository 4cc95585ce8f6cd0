"""Client processes that do not live to say goodbye.

``doomed.py`` imports once; every line on stdin, ``{"url": ..., "plan": [[CARRIER, WHAT], ...]}``,
forks a process that opens those sessions. It prints ``{"pid": N}`` when they are where they are
meant to be; whoever asked for it kills it. WHAT: ``speaking`` (the bot is in mid-sentence),
``tool`` (a tool runs here), ``connecting`` (at once, wherever that is), ``idle``.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import voxwire

__all__ = ["Doomed", "doomed"]

CONNECTING_S = 0.12


async def hang() -> None:
    """A tool that never ends."""
    await asyncio.Event().wait()


async def _open(url: str, carrier: str, what: str, stack: contextlib.AsyncExitStack) -> None:
    connection = voxwire.connect(
        url,
        transport=carrier,
        tools=[voxwire.tool(hang)],
        timeouts=voxwire.Timeouts(connect_ms=30_000),
    )
    session = await stack.enter_async_context(connection)
    if what == "speaking":
        await session.send_text("say 12")
        await session.wait_for(voxwire.BotWord, timeout_ms=60_000)
    elif what == "tool":
        await session.send_text("call hang {}")
        await session.wait_for(voxwire.ToolCallStarted, timeout_ms=60_000)


async def _hold(url: str, plan: list[list[str]]) -> None:
    stack = contextlib.AsyncExitStack()  # never left: that would say goodbye
    opening = [asyncio.create_task(_open(url, *each, stack)) for each in plan]
    wait_s = CONNECTING_S if all(what == "connecting" for _, what in plan) else None
    done, _ = await asyncio.wait(opening, timeout=wait_s)
    for task in done:
        task.result()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Fork until stdin ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while line := sys.stdin.buffer.raw.readline():  # type: ignore[attr-defined]
        order: dict[str, Any] = json.loads(line)
        if os.fork() == 0:
            try:
                asyncio.run(_hold(order["url"], order["plan"]))
            except BaseException as error:
                print(json.dumps({"error": repr(error)}), flush=True)
            finally:
                os._exit(1)


class Doomed:
    """Makes and ends such processes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asking = asyncio.Lock()
        self.alive: set[int] = set()

    async def hold(self, url: str, plan: list[tuple[str, str]]) -> int:
        """A process that holds these sessions; its id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._asking, asyncio.timeout(60):
            self._process.stdin.write(json.dumps({"url": url, "plan": plan}).encode() + b"\n")
            said = json.loads(await self._process.stdout.readline())
        assert "pid" in said, said
        pid = int(said["pid"])
        self.alive.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """SIGKILL: its kernel closes what it had open."""
        self.alive.discard(pid)
        os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to every one that lives, frozen or not."""
        for pid in list(self.alive):
            self.kill(pid)

    def freeze(self, pid: int) -> None:
        """SIGSTOP: nothing comes from it any more, and nobody says so."""
        os.kill(pid, signal.SIGSTOP)


@asynccontextmanager
async def doomed() -> AsyncIterator[Doomed]:
    """The maker of such processes; those that live at the end of the block are killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.doomed",
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Doomed(process)
    try:
        yield made
    finally:
        made.kill_all()
        if process.stdin is not None:
            process.stdin.close()
        process.kill()
        await process.wait()
        await asyncio.sleep(0)  # asyncio closes a pipe in the turn after the process ended


if __name__ == "__main__":
    main()
