"""Servers for bots that are files, one for each: they run until the tests are over."""

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import IO, Final

from voxwire_protocol.errors import ErrorCode, TransportError, UsageError

__all__ = ["BotFiles"]

START_S: Final = 60.0
END_S: Final = 10.0
SHOWN: Final = 2000
"""Characters of a server's log that an error shows."""

_ADDRESS: Final = re.compile(r"(ws://127\.0\.0\.1:\d+)")
_RUN: Final = "import sys; from voxwire_server.cli import main; sys.exit(main())"


@dataclass
class _Server:
    url: str
    process: subprocess.Popen[str]
    log: IO[bytes]


@dataclass
class BotFiles:
    """``voxwire-server run FILE`` for each bot that is asked for, on a port of the system's."""

    _servers: dict[str, _Server] = field(default_factory=dict[str, _Server])

    def url_of(self, bot: str) -> str:
        """Where a bot is served; started when it is asked for first.

        Args:
            bot: Path of its file, or the name of a built-in one.

        Raises:
            UsageError: MISSING_EXTRA: there is no server here.
            TransportError: It does not start; the reason has the end of its log.
        """
        if bot not in self._servers:
            self._servers[bot] = _start(bot)
        return self._servers[bot].url

    def close(self) -> None:
        """Ends them; may be called again."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            server.process.terminate()
        for server in servers.values():
            _end(server.process)
            server.log.close()


def _start(bot: str) -> _Server:
    if find_spec("voxwire_server") is None:
        reason = f"nothing here runs {bot}: pip install voxwire-server, or give the URL of a server"
        raise UsageError(ErrorCode.MISSING_EXTRA, reason)
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, "run", bot, "--host", "127.0.0.1", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, found), daemon=True).start()
    try:
        url = found.get(timeout=START_S)
    except queue.Empty:
        url = ""
    if not url:
        _end(process)
        log.seek(0)
        said = log.read().decode("utf-8", "replace")[-SHOWN:].strip()
        log.close()
        raise TransportError(ErrorCode.UNREACHABLE, f"{bot} was not served: {said}")
    return _Server(url, process, log)


def _read(process: "subprocess.Popen[str]", found: "queue.SimpleQueue[str]") -> None:
    """Reads what a server prints to its end: it must not wait for a reader."""
    assert process.stdout is not None
    for line in process.stdout:
        if address := _ADDRESS.search(line):
            found.put(address[1])
    found.put("")


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
