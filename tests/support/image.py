"""The image of the server: built by Debian's buildah on a base by mmdebstrap, and run hardened.

There is no container engine here: a container is a process that sees the image's files read-only,
as the image's user, with no capability and a tmpfs on /tmp. The network is the machine's.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["Image", "build_image", "why_no_image"]

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "localhost/voxwire-server"
BASE: Final = "localhost/base"
SUITES: Final = {(3, 11): "bookworm", (3, 13): "trixie"}
"""Debian's releases by the Python that they have."""
BUILD_S: Final = 600

RUN: Final = """
set -eu
root=$1 user=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev,noexec tmpfs "$root/tmp"
mount -t proc -o ro proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+setuid,+setgid,+sys_chroot \\
    /usr/sbin/chroot --userspec="$user" --groups= "$root" "$@"
"""
"""Arguments: the image's files, its user, the command. What is left of the bounding set is what
chroot itself needs; it is gone with the change of the user."""


def why_no_image() -> str:
    """Why none can be built; empty when it can."""
    if os.geteuid() != 0:
        return "buildah --isolation chroot needs root"
    for program in ("buildah", "mmdebstrap", "unshare", "setpriv", "chroot"):
        if shutil.which(program) is None:
            return f"{program} is missing (make system as root on Debian installs it)"
    if sys.version_info[:2] not in SUITES:
        return f"no Debian has Python {sys.version_info[0]}.{sys.version_info[1]}"
    return ""


class Image:
    """An image, and what is run of it.

    Attributes:
        files: The root of its files.
        config: Its configuration, as docker knows it.
    """

    def __init__(self, files: Path, config: dict[str, Any]) -> None:
        self.files = files
        self.config = config

    def start(
        self, *arguments: str, entrypoint: Sequence[str] | None = None, **settings: str
    ) -> "subprocess.Popen[str]":
        """Start a container.

        Args:
            arguments: In place of the image's.
            entrypoint: In place of the image's.
            settings: Further variables of its environment.
        """
        command = [*(self.config["Entrypoint"] if entrypoint is None else entrypoint)]
        command += arguments or (self.config["Cmd"] if entrypoint is None else ())
        return subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                RUN,
                "sh",
                self.files,
                self.config["User"],
                *command,
            ],
            env={**dict(line.split("=", 1) for line in self.config["Env"]), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self, *arguments: str, entrypoint: Sequence[str] | None = None, **settings: str
    ) -> tuple[int, str]:
        """Run a container to its end; returns its exit code and what it printed."""
        process = self.start(*arguments, entrypoint=entrypoint, **settings)
        with process:
            try:
                output, _ = process.communicate(timeout=120)
            finally:
                process.kill()
        return process.returncode, output


def build_image(folder: Path) -> tuple[Image | None, str]:
    """Build it from the tree as it is, without a network but for the base.

    Args:
        folder: For the base, what is built from, and the store of buildah; 3 GB.

    Returns:
        The image; None, and why, if Debian's packages for the base cannot be had.
    """
    base = folder / "base.tar"
    include = "--include=python3,ca-certificates"
    suite = SUITES[sys.version_info[:2]]
    made = _run("mmdebstrap", "--variant=minbase", "--mode=root", include, suite, base)
    if made.returncode != 0:
        return None, made.stderr.strip().splitlines()[-1]
    context = folder / "context"
    laid = _run(sys.executable, ROOT / "scripts/image.py", "--context-only", context)
    assert laid.returncode == 0, laid.stdout + laid.stderr
    store = _Store(folder)
    scratch = store.checked("from", "scratch")
    store.checked("add", scratch, base, "/")
    store.checked("commit", "--rm", scratch, BASE)
    store.checked(
        *("build", "--isolation", "chroot", "--format", "docker", "--pull-never"),
        *("--build-arg", f"BASE={BASE}", "-t", NAME, context),
        apart=True,
    )
    config = json.loads(store.checked("inspect", "--type", "image", NAME))["Docker"]["config"]
    files = store.checked("mount", store.checked("from", "--pull-never", NAME))
    return Image(Path(files), config), ""


class _Store:
    """Buildah, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self._options = ("--storage-driver", "vfs", "--root", folder / "store")
        self._run = ("--runroot", folder / "run")

    def checked(self, *command: str | Path, apart: bool = False) -> str:
        """Run one of its commands; ``apart`` = without any network."""
        without = ("unshare", "--net") if apart else ()
        ended = _run(*without, "buildah", *self._options, *self._run, *command)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout.strip()


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
