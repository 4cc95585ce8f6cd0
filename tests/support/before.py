"""The release before several processes could be one service, from wheels of its commit."""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

__all__ = ["BEFORE", "packages_before"]

ROOT: Final = Path(__file__).resolve().parents[2]
BEFORE: Final = "bdf3c8cfe3120bb015772ba5ac75efa29aca5300"
"""The last commit that knows of no engine."""
_PACK: Final = """
import sys
from pathlib import Path
sys.path.insert(0, "scripts")
import pack
pack.pack_wheels(Path(sys.argv[1]))
"""
_TIMEOUT_S: Final = 120


def packages_before(folder: Path) -> Path:
    """Make its wheels, by its own script and without any index, and unpack them.

    Skips the test where that commit is not in the clone's history, or hatchling is missing.

    Args:
        folder: Where it is done.

    Returns:
        What to name in ``PYTHONPATH``: the three packages; what they need is this environment's.
    """
    if shutil.which("git") is None or find_spec("hatchling") is None:
        pytest.skip("git or hatchling is missing")
    tree, archive, wheels = folder / "tree", folder / "tree.tar", folder / "wheels"
    archived = _run("git", "archive", "--format=tar", "-o", archive, BEFORE, cwd=ROOT)
    if archived.returncode:
        pytest.skip(f"the history of this clone does not reach back to {BEFORE[:8]}")
    with tarfile.open(archive) as tar:
        tar.extractall(tree, filter="data")
    (tree / ".venv").symlink_to(sys.prefix)
    packed = _run(sys.executable, "-c", _PACK, wheels, cwd=tree)
    assert packed.returncode == 0, packed.stderr
    made = folder / "packages"
    offline = ("--no-index", "--no-deps", "--disable-pip-version-check")
    installed = _run(
        *(sys.executable, "-m", "pip", "install", "-q", *offline, "--target", made),
        *sorted(wheels.glob("*.whl")),
        cwd=folder,
    )
    assert installed.returncode == 0, installed.stderr
    return made


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VOXWIRE_VENV")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
