"""Installs what a lock file names from npm, out of npm's own cache where that has it."""

import hashlib
import json
import os
from pathlib import Path

from steps import ROOT, Line, StepError, stream, tail

CONSUMERS = ROOT / "clients" / "js" / "test" / "consumers"
"""Apps that use the packages as their users do; with a lock file of its own."""


STOCK = ROOT / "clients" / "js" / "test" / "stock"
"""Pipecat's own clients, for pages that talk to our server; with a lock file of its own, too."""


def digest_of(folder: Path) -> str:
    """Changes whenever something else has to be installed."""
    names = ("package.json", "package-lock.json")
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


def is_installed(folder: Path) -> bool:
    """Whether everything that the lock file names is there."""
    stamp = folder / "node_modules" / ".voxwire-npm"
    return stamp.exists() and stamp.read_text("utf-8") == digest_of(folder)


def install(folder: Path, *, what: str, without: str) -> bool:
    """Installs what the lock file of `folder` names, unless it is there.

    Args:
        folder: Where package.json and package-lock.json are.
        what: What it is, and how much, for the line of progress.
        without: What is left out when it cannot be had.

    Returns:
        Whether it is there.

    Raises:
        StepError: npm failed, and this is CI.
    """
    if is_installed(folder):
        return True
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))
    total = len(lock["packages"])
    line = Line(f"install {what}")
    seen = 0

    def on_line(text: str) -> None:
        nonlocal seen
        seen += text.startswith(("npm http fetch", "npm http cache"))
        line.update(f"{min(seen, total)} of {total} packages")

    options = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=http"]
    code, output = stream(["npm", "ci", "--prefix", folder, *options], on_line)
    if code != 0:
        errors = [text for text in output.splitlines() if text.startswith("npm error")][:8]
        reason = f"npm could not install:\n{tail(chr(10).join(errors))}"
        if os.environ.get("CI"):
            raise StepError(reason)
        print(f"\nsetup: left out: {without}: {reason}", flush=True)
        return False
    (folder / "node_modules" / ".voxwire-npm").write_text(digest_of(folder), "utf-8")
    line.done("done")
    return True
