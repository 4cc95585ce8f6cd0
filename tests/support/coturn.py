"""The real coturn on 127.0.0.1: UDP, TCP and TLS, with the secret of the test."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.front import Certificates

__all__ = ["MISSING", "Coturn", "coturn", "free_ports"]

MISSING = (
    ""
    if shutil.which("turnserver")
    else "coturn is missing: apt-get install coturn (as root, make test does it)"
)


class Coturn(NamedTuple):
    """Where it listens, on 127.0.0.1."""

    port: int
    tls_port: int

    @property
    def stun(self) -> str:
        """Its URL for STUN."""
        return f"stun:127.0.0.1:{self.port}"

    @property
    def turn(self) -> tuple[str, str, str]:
        """Its URLs for TURN over UDP, TCP and TLS."""
        at = f"127.0.0.1:{self.port}"
        return f"turn:{at}", f"turn:{at}?transport=tcp", f"turns:127.0.0.1:{self.tls_port}"


def free_ports() -> Coturn:
    """Two ports where nobody listens."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for _ in range(2):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
    return Coturn(*ports)


@contextlib.contextmanager
def coturn(
    folder: Path, *, certificates: Certificates, secret: str = "", more: str = ""
) -> Iterator[Coturn]:
    """Run it until the block ends.

    Args:
        folder: For its files.
        certificates: What it shows over TLS.
        secret: Its ``static-auth-secret``; empty = `more` says who may use it.
        more: Further lines of its configuration.
    """
    at = free_ports()
    (folder / "turnserver.conf").write_text(
        f"""listening-ip=127.0.0.1
relay-ip=127.0.0.1
listening-port={at.port}
tls-listening-port={at.tls_port}
cert={certificates.chain}
pkey={certificates.key}
{f"use-auth-secret{chr(10)}static-auth-secret={secret}" if secret else "lt-cred-mech"}
realm=test
no-cli
no-dtls
log-file=stdout
pidfile={folder}/turnserver.pid
userdb={folder}/turndb
{more}
""",
        "utf-8",
    )
    log = folder / "coturn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["turnserver", "-c", str(folder / "turnserver.conf")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while not _listens(at.port) or not _listens(at.tls_port):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-4000:]
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-4000:]
            time.sleep(0.05)
        yield at
    finally:
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
