"""The console's build where there is no Node: `make run` goes on without, and a wheel has it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository as far as scripts/javascript.py looks at it, in which nothing is built."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / "clients/js/packages").mkdir(parents=True)
    (tmp_path / "package-lock.json").write_text("{}")
    return tmp_path


def build(checkout: Path, *arguments: str, node: str | None) -> subprocess.CompletedProcess[str]:
    """Run the build with a Node that says it is of this version, or none."""
    programs = checkout / "programs"
    programs.mkdir()
    if node is not None:
        (programs / "node").write_text(f"#!/bin/sh\necho {node}\n")
        (programs / "node").chmod(0o755)
    return subprocess.run(
        [sys.executable, checkout / "scripts/javascript.py", *arguments],
        env={**os.environ, "PATH": f"{programs}:/nowhere" if node is None else f"{programs}:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Node is a shell script")
@pytest.mark.parametrize(("node", "have"), [(None, "no node"), ("v18.19.0", "node 18")])
def test_without_node_an_optional_build_says_what_to_install_and_goes_on(
    checkout: Path, node: str | None, have: str
) -> None:
    ended = build(checkout, "--optional", node=node)
    assert ended.returncode == 0, ended.stderr
    assert f"{have} here" in ended.stdout
    assert "install Node.js >= 20" in ended.stdout
    assert "/ will say what to install" in ended.stdout
    assert not (checkout / "server/src/voxwire_server/console").exists()


def test_without_node_a_build_that_was_asked_for_fails_and_says_why(checkout: Path) -> None:
    ended = build(checkout, node=None)
    assert ended.returncode == 1
    assert "no node here; install Node.js >= 20" in ended.stderr
    assert "Traceback" not in ended.stderr
