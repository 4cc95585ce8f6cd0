"""A fresh folder in which our npm packages are installed from the tarballs of `make build`."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.readmes import fences

__all__ = ["FreshApp", "fresh_app", "needs_node"]

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = ROOT / "node_modules"
FOREIGN: Final = ("@bufbuild/protobuf", "react", "react-dom", "scheduler", "ws", "zod")
"""What ours and a README's programs need: from this clone, so that no registry is asked."""

needs_node = pytest.mark.skipif(
    shutil.which("npm") is None or not (MODULES / ".bin/tsc").exists(),
    reason="there is no Node.js, or npm's packages are not installed: make setup",
)


@dataclass(frozen=True)
class FreshApp:
    """An app's folder beside a clone of which there is only ``dist/``."""

    folder: Path

    def run(self, *command: str | Path, timeout_s: int = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command there, without any registry."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={
                **os.environ,
                "npm_config_offline": "true",
                "npm_config_audit": "false",
                "npm_config_fund": "false",
                "npm_config_ignore_scripts": "true",
                "npm_config_update_notifier": "false",
            },
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def checked(self, *command: str | Path) -> str:
        """Run a command that must end well; returns what it printed."""
        ended = self.run(*command)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout


def npm_command() -> str:
    """The command of README.md that installs the tarballs."""
    [fence] = [f for f in fences() if f.path == "README.md" and f.text.startswith("npm install")]
    return fence.text


def fresh_app(parent: Path) -> FreshApp:
    """Pack, and install what was packed as README.md says, in ``parent/app``."""
    packed = subprocess.run(
        [sys.executable, ROOT / "scripts/pack.py", "--npm", parent / "voxwire/dist"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert packed.returncode == 0, packed.stderr
    app = FreshApp(parent / "app")
    app.folder.mkdir()
    (app.folder / "package.json").write_text('{"private": true, "type": "module"}')
    app.checked("npm", "install", "--install-links", *(MODULES / name for name in FOREIGN))
    app.checked("bash", "-ec", npm_command())
    return app
