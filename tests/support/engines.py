"""Redis servers of a test's own: on a Unix socket, with nothing on disk."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MISSING", "Engine", "engine"]

MISSING = "" if shutil.which("redis-server") else "redis-server is missing (Debian's package)"
_STARTS_S = 10.0


class Engine:
    """A Redis server that a test started.

    Attributes:
        url: Of its Unix socket.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self._path = folder / "redis.sock"
        self._command = [
            *("redis-server", "--port", "0", "--unixsocket", str(self._path), "--save", ""),
            *("--appendonly", "no", "--dir", str(folder), "--loglevel", "warning", *settings),
        ]
        self.url = f"unix://{self._path}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        self._path.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until_s = time.monotonic() + _STARTS_S
        while not self._answers():
            if time.monotonic() > until_s or self._process.poll() is not None:
                raise RuntimeError("redis-server does not start")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self._path))
                sock.sendall(b"PING\r\n")
                return bool(sock.recv(64))
            except OSError:
                return False

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it; idempotent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def engine(*settings: str) -> Iterator[Engine]:
    """A Redis server that runs.

    Args:
        settings: Further ones, as on its command line.
    """
    with tempfile.TemporaryDirectory(prefix="vw-redis-") as folder:
        made = Engine(Path(folder), *settings)
        made.start()
        try:
            yield made
        finally:
            made.kill()
