"""``voxwire-server health``: it asks where the server listens, and says no in one line."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from voxwire_server.cli import main
from voxwire_server.config import Settings
from voxwire_server.health import HealthError, ask


class Answers(http.server.BaseHTTPRequestHandler):
    """200 to /livez, 503 to anything else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def address_string(self) -> str:
        return "somebody"  # a Unix socket has no address

    def log_message(self, format: str, *args: Any) -> None: ...


class UnixServer(socketserver.UnixStreamServer):
    """The same on a Unix socket."""


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_asks_this_machine_where_the_server_listens(host: str) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    with serving(server):
        settings = Settings(host=host, port=server.server_port)
        ask(settings)
        with pytest.raises(HealthError, match="answers /readyz with 503"):
            ask(settings, "/readyz")


def test_it_asks_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serving(UnixServer(str(path), Answers)):
        ask(Settings(host=f"unix:{path}"))
    with pytest.raises(HealthError, match="no answer from unix:"):
        ask(Settings(host=f"unix:{path}"))


def test_the_command_says_it_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    monkeypatch.setenv("VOXWIRE_PORT", str(server.server_port))
    with serving(server):
        assert main(["health"]) == 0
    assert main(["health"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{server.server_port}" in line
    monkeypatch.setenv("VOXWIRE_PORT", "many")
    assert main(["health"]) == 1


def test_one_that_never_answers_is_given_up() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(port=silent.getsockname()[1])
        with pytest.raises(HealthError, match="timed out"):
            ask(settings, timeout_ms=50)
