"""The gateway of ``examples/sip-trunk``: built once, run on loopback, counted from outside."""

import asyncio
import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.support.waiting import until

__all__ = ["ACCOUNT", "FOLDER", "TOKEN", "Gateway", "built", "free_port", "gateway"]

FOLDER: Final = Path(__file__).parents[2] / "examples" / "sip-trunk"
ACCOUNT: Final = ("desk", "wire-7")
TOKEN: Final = "the gateway's own token"
_BUILD_S: Final = 900.0
"""On a busy machine with an empty cache."""
_OPTIONS: Final = (
    "OPTIONS sip:gateway SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{port}\r\n"
    "From: <sip:test@127.0.0.1>;tag=1\r\nTo: <sip:gateway@127.0.0.1>\r\nCall-ID: {port}\r\n"
    "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


@cache
def built() -> Path:
    """The program, from the modules of the cache; else from where Go gets them.

    The test is skipped where there is no Go, or where a module is not to be had.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is missing: apt-get install golang, or go.dev/dl (1.24 or newer)")
    folder = Path(tempfile.mkdtemp(prefix="sip-trunk-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "sip-trunk"
    command = [go, "build", "-mod=readonly", "-trimpath", "-o", program, "."]
    offline = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-buildvcs=false"}
    said = ""
    for environment in (offline, {**os.environ, "GOFLAGS": "-buildvcs=false"}):
        outcome = subprocess.run(
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=_BUILD_S
        )
        if outcome.returncode == 0:
            return program
        said = outcome.stderr.strip()
        if "module lookup disabled" not in said:
            break
    if "dial tcp" in said or "module lookup disabled" in said or "no such host" in said:
        pytest.skip(f"a Go module is neither cached nor to be had: {said.splitlines()[-1]}")
    raise AssertionError(said)


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of loopback that nobody has."""
    with socket.socket(socket.AF_INET, kind) as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@dataclass
class Gateway:
    """One that runs.

    Attributes:
        port: Of SIP.
        process: The program.
        log: Lines that it has written.
    """

    port: int
    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list[str])

    @property
    def sockets(self) -> list[str]:
        """The sockets that it holds, as the kernel names them."""
        found: list[str] = []
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                name = os.readlink(each)
                found += [name] if name.startswith("socket:") else []
        return sorted(found)

    async def idle(self, *, timeout_s: float = 60.0) -> None:
        """Wait until it has no socket but the one that it listens on."""
        await until(lambda: len(self.sockets) == 1, timeout_s=timeout_s)

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().rstrip())

    async def _listens(self) -> None:
        """Wait until it answers."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.bind(("127.0.0.1", 0))
            question = _OPTIONS.format(port=asking.getsockname()[1]).encode()
            loop = asyncio.get_running_loop()
            while self.process.returncode is None:
                asking.sendto(question, ("127.0.0.1", self.port))
                with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                    async with asyncio.timeout(0.3):
                        await loop.sock_recv(asking, 4096)
                        return
        raise AssertionError(self.log)


@contextlib.asynccontextmanager
async def gateway(public_url: str, *options: str, **environment: str) -> AsyncIterator[Gateway]:
    """Run it until the block ends.

    Args:
        public_url: Of the server.
        *options: Of its command line.
        **environment: What is set besides, or otherwise; empty = it is not set.
    """
    port = free_port()
    known = {
        "VOXWIRE_PUBLIC_URL": public_url,
        "VOXWIRE_PHONE_TWILIO_TOKEN": TOKEN,
        "SIP_DIGEST": ":".join(ACCOUNT),
    }
    given = {name: value for name, value in {**known, **environment}.items() if value}
    process = await asyncio.create_subprocess_exec(
        *(built(), "-port", str(port), *options),
        env={"PATH": os.environ["PATH"], **given},
        stderr=asyncio.subprocess.PIPE,
    )
    running = Gateway(port, process)
    reading = asyncio.ensure_future(running._read())
    try:
        await running._listens()
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading
        print("\n".join(running.log))
