"""Starts the server with the offline bot; when the port is taken, says by whom."""

import os
import re
import shutil
import socket
import sys
from pathlib import Path

from steps import BIN, ROOT, capture

HOST = "127.0.0.1"


def listening_inodes(port: int) -> set[str]:
    """Socket inodes that listen on the port (Linux)."""
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for row in Path(table).read_text("ascii").splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(fields[9])
    return found


def holder(port: int) -> str:
    """Who listens on the port: `pid 123 (name: command line)`, or what is known instead."""
    wanted = {f"socket:[{inode}]" for inode in listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = {os.readlink(entry) for entry in (process / "fd").iterdir()}
            if wanted & held:
                name = (process / "comm").read_text().strip()
                words = (process / "cmdline").read_bytes().split(b"\0")
                command = b" ".join(words).decode(errors="replace").strip()
                return f"pid {process.name} ({name}): {command[:120]}"
        except OSError:
            continue  # another user's, or gone meanwhile
    if lsof := shutil.which("lsof"):
        _, output = capture([lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"])
        if match := re.search(r"p(\d+)\nc(.+)", output):
            return f"pid {match[1]} ({match[2]})"
    return "a process of another user"


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def main() -> int:
    """Becomes the server."""
    text = os.environ.get("PORT", "7860")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        print(f"run: PORT={text} is not a port number", file=sys.stderr)
        return 2
    port = int(text)
    if not is_free(port):
        print(
            f"run: port {port} is taken by {holder(port)}\n"
            f"run: stop it, or choose another port: make run PORT={port + 1}",
            file=sys.stderr,
        )
        return 1
    make_talk = "make talk" if port == 7860 else f"make talk PORT={port}"
    print(f"run: starting on http://{HOST}:{port} (Ctrl-C stops it). Open that in a browser, or:")
    talk = f".venv/bin/voxwire talk ws://{HOST}:{port} --text hello"
    print(f"       {make_talk}\n       {talk}", flush=True)
    server = BIN / "voxwire-server"
    os.chdir(ROOT)
    os.execv(server, [str(server), "run", "--host", HOST, "--port", str(port)])


if __name__ == "__main__":
    sys.exit(main())
