"""A machine of its own with systemd, in a place of a test's network.

It sees this machine's files, and what it changes is in memory and gone with it. Its processes, its
mounts, its name and its units are its own.
"""

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.namespaces import ROOT, Network

__all__ = ["Machine", "why_no_machine"]

BOOT: Final = ROOT / "tests/support/vm_boot.sh"
ENTER: Final = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--root", "--wd")
SPACES: Final = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child")
BOOTS_WITHIN_S: Final = 90.0
PATHS: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

IN_A_GROUP: Final = """
set -eu
mount -t cgroup2 none "$1"
mkdir "$1/$2"
echo $$ > "$1/$2/cgroup.procs"
exec unshare SPACES sh "$3" "$4" "$2"
""".replace("SPACES", " ".join(SPACES))
"""Arguments: where to mount the control groups, the name of ours, the script, its folder."""

LEAVE_THE_GROUP: Final = """
mount -t cgroup2 none "$1"
for _ in $(seq 100); do  # its processes are on their way out
    find "$1/$2" -depth -type d -exec rmdir {} ';' 2>&1
    [ -d "$1/$2" ] || exit 0
    sleep 0.1
done
"""


def why_no_machine(*programs: str) -> str:
    """Why there can be none with these programs; empty when there can."""
    for program in ("unshare", "nsenter", "systemctl", *programs):
        if shutil.which(program) is None:
            return f"{program} is missing (make system as root on Debian installs it)"
    return "" if Path("/lib/systemd/systemd").exists() else "systemd is missing"


class Machine:
    """One that has booted.

    Args:
        net: Where it is, in the place ``place``.
        place: A place that has been added; its cables may be laid later.
    """

    def __init__(self, net: Network, place: str) -> None:
        self._net, self._group = net, net.name(place)
        self._mounts = net.folder / f"{place}-cgroup"
        folder = net.folder / place
        for made in (self._mounts, folder):
            made.mkdir()
        outer = net.start(
            place,
            *("unshare", "--mount", "sh", "-c", IN_A_GROUP, "boot"),
            *(self._mounts, self._group, BOOT, folder),
            log=f"{place}.log",
        )
        self._first = self._wait_for_first(outer, f"{place}.log")

    def _wait_for_first(self, outer: "subprocess.Popen[bytes]", log: str) -> str:
        """Wait until it has booted; its PID 1 as this machine counts."""
        deadline = time.monotonic() + BOOTS_WITHIN_S
        first = ""
        state = ""
        while state not in ("running", "degraded"):
            assert outer.poll() is None, self._net.log(log)
            assert time.monotonic() < deadline, f"{state} {self._net.log(log)}"
            time.sleep(0.1)
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            first = children.read_text().strip()
            if first and Path(f"/proc/{first}/comm").read_text().strip() == "systemd":
                command = ["nsenter", "-t", first, *ENTER, "systemctl", "is-system-running"]
                asked = subprocess.run(command, capture_output=True, text=True, check=False)
                state = asked.stdout.strip()
        return first

    def sh(
        self, script: str, *, timeout_s: float, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as root, ``bash -e`` in root's home."""
        return subprocess.run(
            [*self._enter(environment), "bash", "-euo", "pipefail", "-c", f"cd /root\n{script}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def must(self, script: str, *, timeout_s: float = 60) -> str:
        """Run a script that has to succeed; what it prints."""
        done = self.sh(script, timeout_s=timeout_s)
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def put(self, path: str, content: bytes, *, mode: str = "0644") -> None:
        """Write a file there; a relative path is one in root's home."""
        script = f"cd; install -D -m {mode} /dev/stdin '{path}'"
        subprocess.run([*self._enter({}), "sh", "-c", script], input=content, check=True)

    def journal(self, unit: str) -> str:
        """What a unit has written."""
        return self.must(f"journalctl --no-pager -o cat -u {unit}")

    def _enter(self, environment: Mapping[str, str]) -> list[str]:
        values = {"PATH": PATHS, "HOME": "/root", "LANG": "C.UTF-8", **environment}
        said = [f"{name}={value}" for name, value in values.items()]
        return ["nsenter", "-t", self._first, *ENTER, "env", "-i", *said]

    def close(self) -> None:
        """Take its control groups away, when the network has ended its processes."""
        command = ["unshare", "--mount", "sh", "-c", LEAVE_THE_GROUP, "leave"]
        subprocess.run(
            [*command, str(self._mounts), self._group], capture_output=True, check=False, timeout=30
        )
