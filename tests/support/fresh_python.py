"""An environment as a stranger makes it: a new one, and pip on the folders of this clone."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

__all__ = ["fresh_python"]

ROOT: Final = Path(__file__).resolve().parents[2]
NO_SOURCE: Final = re.compile(
    r"No matching distribution|Retrying \(Retry\(|Temporary failure|Could not fetch URL"
)
TIMEOUT_S: Final = 300


def fresh_python(folder: Path, command: str) -> Path:
    """Makes an environment with nothing in it, and installs into it.

    Packages come from the cache that `make setup` left, else from where pip looks; what neither has
    skips the test.

    Args:
        folder: Where it is made.
        command: What a README says, to be run in the root of a clone.

    Returns:
        Its Python.
    """
    made = _run((sys.executable, "-m", "venv", str(folder)), {})
    assert made.returncode == 0, made.stderr
    said = ""
    for environment in _sources(folder):
        installed = _run(("bash", "-ec", command), environment)
        if installed.returncode == 0:
            return folder / "bin/python"
        said = f"{installed.stdout}{installed.stderr}"
        assert NO_SOURCE.search(said), said
    pytest.skip(f"packages are neither cached nor to be had: {said.strip().splitlines()[-1]}")


def _sources(folder: Path) -> Iterator[dict[str, str]]:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    wheels = f"{base}/voxwire/wheels"
    links = f"{os.environ.get('PIP_FIND_LINKS', '')} {wheels if Path(wheels).is_dir() else ''}"
    common = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": links.strip(),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    yield {**common, "PIP_NO_INDEX": "1"}
    yield {**common, "PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "10"}


def _run(command: tuple[str, ...], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        command, cwd=ROOT, env={**kept, **more}, capture_output=True, text=True, timeout=TIMEOUT_S
    )
