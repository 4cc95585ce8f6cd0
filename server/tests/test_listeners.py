"""The operator's address: one that cannot be is said before anything starts."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.clicks import make_bot
from voxwire_server import serve, serve_async
from voxwire_server.config import Settings
from voxwire_server.listeners import bind
from voxwire_server.preflight import preflight
from voxwire_server.testing import running_server

KEY = "k" * 40


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_an_operators_address_that_is_taken_is_an_error_of_whoever_serves(
    taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwire_server.serving.log_as", lambda _: None)  # the tests' own stays
    settings = Settings(port=0, admin_key=KEY, admin_address=taken)
    with pytest.raises(OSError, match=f"{taken}: Address already in use"):
        await serve_async(make_bot(), settings)
    with pytest.raises(OSError, match="VOXWIRE_ADMIN_ADDRESS"):
        serve(make_bot(), settings)


def test_the_command_line_says_so_in_one_line(taken: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    result = subprocess.run(
        [sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0"],
        env={**kept, "VOXWIRE_ADMIN_KEY": KEY, "VOXWIRE_ADMIN_ADDRESS": taken},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"voxwire-server: VOXWIRE_ADMIN_ADDRESS: cannot listen on {taken}: Address already in use\n"
    )


def test_a_port_beyond_the_last_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="65535"):
        Settings(admin_address="127.0.0.1:70000")


async def test_preflight_looks_at_it(taken: str) -> None:
    wrong = await preflight(Settings(port=0, admin_key=KEY, admin_address=taken))
    [port] = [each for each in wrong if each.state == "failed"]
    assert (port.name, taken in port.detail) == ("port", True)
    unused = await preflight(Settings(port=0, admin_address=taken))
    [port] = [each for each in unused if each.state == "warning"]
    assert "VOXWIRE_ADMIN_KEY" in port.detail


async def test_a_unix_socket_is_the_groups_and_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with running_server(make_bot(), host=f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_one_that_listens_and_takes_nobody_is_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other, ExitStack() as queue:
        other.bind(str(path))
        other.listen(0)
        for _ in range(2):
            waiting = queue.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            waiting.connect_ex(str(path))
        with pytest.raises(OSError, match="somebody listens there"):
            bind(Settings(host=f"unix:{path}"))
    assert path.is_socket()
