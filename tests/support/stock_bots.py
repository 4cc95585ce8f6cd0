"""Pipecat's runner with `tests/interop/stock_bot.py`, in a process of its own."""

import asyncio
import contextlib
import re
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.programs import environment
from tests.support.waiting import DEADLINE_S

__all__ = ["StockBotProcess", "stock_bot"]

_BOT: Final = Path(__file__).resolve().parents[1] / "interop/stock_bot.py"
_LISTENS: Final = re.compile(rb"Uvicorn running on")
_TAIL_CHARS: Final = 6000
_TRIES: Final = 3


@dataclass(frozen=True)
class StockBotProcess:
    """A runner that listens.

    Attributes:
        url: Where its routes are, ``http://localhost:PORT``.
        process: The runner's process.
        log_path: What it has written.
    """

    url: str
    process: asyncio.subprocess.Process
    log_path: Path

    @property
    def log(self) -> str:
        """What it has written so far; the end of it."""
        return self.log_path.read_text(errors="replace")[-_TAIL_CHARS:]

    def kill(self) -> None:
        """Ends it at once, as a machine that fails does."""
        self.process.kill()


@contextlib.asynccontextmanager
async def stock_bot(
    transport: str = "", *, arguments: tuple[str, ...] = (), script: Path = _BOT
) -> AsyncIterator[StockBotProcess]:
    """Runs the bot until the block ends; its log is shown when the block fails.

    Args:
        transport: ``webrtc`` or ``websocket``: all that it serves; empty = both.
        arguments: More of the runner's, such as ``("--ws-auth", "token")``.
        script: A bot file of the runner.
    """
    chosen = ("-t", transport) if transport else ()
    with tempfile.TemporaryDirectory() as folder:
        bot = await _started(script, (*chosen, *arguments), Path(folder))
        try:
            yield bot
        except BaseException:
            print(bot.log, file=sys.stderr)
            raise
        finally:
            await _end(bot.process)


async def _started(script: Path, arguments: tuple[str, ...], folder: Path) -> StockBotProcess:
    """A runner on a free port: it takes no socket, so another program may be faster."""
    for number in range(_TRIES):
        port = _free_port()
        bot = await _start(
            script, ("--port", str(port), *arguments), folder / f"{number}.log", port
        )
        try:
            if await _listens(bot):
                return bot
        except BaseException:
            await _end(bot.process)
            raise
    raise AssertionError(f"the stock bot did not start:\n{bot.log}")


async def _start(
    script: Path, arguments: tuple[str, ...], log_path: Path, port: int
) -> StockBotProcess:
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), *arguments),
            cwd=log_path.parent,
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    # By its name: the runner says that its WebSocket is wss:// for any other host.
    return StockBotProcess(f"http://localhost:{port}", process, log_path)


async def _listens(bot: StockBotProcess) -> bool:
    """Waits until it listens; False = it has ended."""
    async with asyncio.timeout(DEADLINE_S):
        while bot.process.returncode is None:
            if _LISTENS.search(bot.log_path.read_bytes()):
                return True
            await asyncio.sleep(0.05)  # real time: poll
    return False


async def _end(process: asyncio.subprocess.Process) -> None:
    """As Ctrl-C does; a session that is open would be waited for, so not for long."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(2):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
