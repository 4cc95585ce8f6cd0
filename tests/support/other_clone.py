"""The tree as it is, in another folder: as somebody else has it, whose files have other rights."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["other_clone"]

ROOT: Final = Path(__file__).resolve().parents[2]


def other_clone(folder: Path) -> Path:
    """Copy what git knows, with node_modules and the environment, but nothing that was built.

    Args:
        folder: Where it is made.

    Returns:
        Its root.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
            os.chmod(folder / name, 0o600)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copytree(
        ROOT / "node_modules",
        folder / "node_modules",
        symlinks=True,
        copy_function=_linked,
        ignore=shutil.ignore_patterns(".voxwire-*", ".cache", ".vite*"),
    )
    return folder


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target)
