"""Network namespaces for tests: made under names of this process, and always taken away again."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]


def why_not() -> str:
    """Why namespaces cannot be made here; empty when they can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "ip is missing: apt-get install iproute2"
    name = f"vx{os.getpid()}try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"no network namespace here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Network:
    """Namespaces, what joins them and the processes in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"vx{os.getpid()}"
        self._names: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files: list[IO[bytes]] = []

    def name(self, place: str) -> str:
        """The namespace of a place."""
        return self._prefix + place

    def ip(self, place: str, *arguments: str) -> str:
        """Run ``ip`` in a place."""
        return _ip("-n", self.name(place), *arguments)

    def add(self, *places: str) -> None:
        """Make places with a loopback interface that pass nothing on."""
        for place in places:
            _ip("netns", "add", self.name(place))
            self._names.append(self.name(place))
            self.ip(place, "link", "set", "lo", "up")
            forward = ["sysctl", "-qw", "net.ipv4.ip_forward=0"]
            subprocess.run(["ip", "netns", "exec", self.name(place), *forward], check=True)

    def end(self, place: str, other: str) -> str:
        """The interface in a place whose cable leads to another one."""
        return f"{place[:6]}-{other[:6]}"

    def join(self, one: str, one_address: str, other: str, other_address: str) -> None:
        """Lay a cable between two places; addresses with their prefix length."""
        ends = [self.end(one, other), self.end(other, one)]
        _ip(
            *("link", "add", ends[0], "netns", self.name(one), "type", "veth"),
            *("peer", "name", ends[1], "netns", self.name(other)),
        )
        for place, end, address in ((one, ends[0], one_address), (other, ends[1], other_address)):
            self.ip(place, "addr", "add", address, "dev", end)
            self.ip(place, "link", "set", end, "up")

    def start(self, place: str, *command: str | Path, log: str) -> subprocess.Popen[bytes]:
        """Start a program in a place; it is killed with the network. Its output goes to a file."""
        return self.start_here(*self._in(place, command), log=log)

    def start_here(self, *command: str | Path, log: str) -> subprocess.Popen[bytes]:
        """The same outside of all places."""
        file = (self.folder / log).open("wb")
        self._files.append(file)
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        self._processes.append(process)
        return process

    def run(self, place: str, *command: str | Path, timeout_s: float) -> str:
        """Run a program in a place to its end; its standard output."""
        done = self.call(place, *command, timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def call(
        self, place: str, *command: str | Path, timeout_s: float
    ) -> "subprocess.CompletedProcess[str]":
        """The same of a program that may fail."""
        return subprocess.run(
            self._in(place, command),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def wait_for(self, log: str, text: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait until a program has said so."""
        deadline = time.monotonic() + 60
        while text not in self.log(log):
            assert process.poll() is None or text in self.log(log), self.log(log)[-4000:]
            assert time.monotonic() < deadline, self.log(log)[-4000:]
            time.sleep(0.05)

    def log(self, name: str) -> str:
        """What a program has written so far."""
        return (self.folder / name).read_text("utf-8", "replace")

    def _in(self, place: str, command: tuple[str | Path, ...]) -> list[str]:
        return ["ip", "netns", "exec", self.name(place), *map(str, command)]

    def close(self) -> None:
        """End the processes and remove the namespaces, whatever has happened."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(10)
        for file in self._files:
            file.close()
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A network that is gone when the block ends."""
    made = Network(folder)
    try:
        yield made
    finally:
        made.close()
