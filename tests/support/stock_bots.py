"""Pipecat's runner with `tests/interop/stock_bot.py`, in a process of its own."""

import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.programs import environment
from tests.support.waiting import DEADLINE_S

__all__ = ["StockBotProcess", "running_stock_bot", "stock_bot"]

_BOT: Final = Path(__file__).resolve().parents[1] / "interop/stock_bot.py"
_LISTENS: Final = re.compile(rb"Uvicorn running on")
_TAIL_CHARS: Final = 6000
_TRIES: Final = 3
_END_S: Final = 2.0


@dataclass(frozen=True)
class StockBotProcess:
    """A runner that listens. It belongs to no event loop: a fixture of many tests may hold it.

    Attributes:
        url: Where its routes are, ``http://localhost:PORT``.
        process: The runner's process.
        log_path: What it has written.
    """

    url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        """What it has written so far; the end of it."""
        return self.log_path.read_text(errors="replace")[-_TAIL_CHARS:]

    def kill(self) -> None:
        """Ends it at once, as a machine that fails does."""
        self.process.kill()


@contextlib.contextmanager
def running_stock_bot(
    transport: str = "", *, arguments: tuple[str, ...] = (), script: Path = _BOT
) -> Iterator[StockBotProcess]:
    """Runs the bot until the block ends; its log is shown when the block fails.

    Args:
        transport: ``webrtc`` or ``websocket``: all that it serves; empty = both.
        arguments: More of the runner's, such as ``("--ws-auth", "token")``.
        script: A bot file of the runner.
    """
    chosen = ("-t", transport) if transport else ()
    with tempfile.TemporaryDirectory() as folder:
        bot = _started(script, (*chosen, *arguments), Path(folder))
        try:
            yield bot
        except BaseException:
            print(bot.log, file=sys.stderr)
            raise
        finally:
            _end(bot.process)


@contextlib.asynccontextmanager
async def stock_bot(
    transport: str = "", *, arguments: tuple[str, ...] = (), script: Path = _BOT
) -> AsyncIterator[StockBotProcess]:
    """The same for one test, whose event loop stands still until the bot listens."""
    with running_stock_bot(transport, arguments=arguments, script=script) as bot:
        yield bot


def _started(script: Path, arguments: tuple[str, ...], folder: Path) -> StockBotProcess:
    """A runner on a free port: it takes no socket, so another program may be faster."""
    for number in range(_TRIES):
        port = _free_port()
        given = ("--port", str(port), *arguments)
        bot = _start(script, given, folder / f"{number}.log", port)
        try:
            if _listens(bot):
                return bot
        except BaseException:
            _end(bot.process)
            raise
    raise AssertionError(f"the stock bot did not start:\n{bot.log}")


def _start(script: Path, arguments: tuple[str, ...], log_path: Path, port: int) -> StockBotProcess:
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            cwd=log_path.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    # By its name: the runner says that its WebSocket is wss:// for any other host.
    return StockBotProcess(f"http://localhost:{port}", process, log_path)


def _listens(bot: StockBotProcess) -> bool:
    """Waits until it listens; False = it has ended.

    Raises:
        TimeoutError: It does neither.
    """
    deadline_s = time.monotonic() + DEADLINE_S
    while bot.process.poll() is None:
        if _LISTENS.search(bot.log_path.read_bytes()):
            return True
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the stock bot does not start:\n{bot.log}")
        time.sleep(0.05)  # real time: poll
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """As a supervisor does; it would wait for sessions that are open, so not for long."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
