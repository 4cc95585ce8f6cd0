"""What setup gets from Debian: all that a suite has, whatever else it lacks."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
APT = """#!/bin/sh
echo "$@" >> "$APT_LOG"
for each in "$@"; do
    if [ "$each" = buildah ]; then echo "E: Unable to locate package buildah"; exit 100; fi
done
"""


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """scripts/debian.py for root, on a machine whose apt-get knows all packages but buildah."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    apt = tmp_path / "apt-get"
    apt.write_text(APT)
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("APT_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    return importlib.import_module("debian")


def test_a_package_that_the_suite_lacks_keeps_no_other_away(
    debian: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.install_debian_tools({"jq": "jq", "buildah": "buildah", "nft": "nftables"})
    installed = "install -y --no-install-recommends"
    together = f"{installed} buildah jq nftables"
    alone = [f"{installed} {name}" for name in ("buildah", "jq", "nftables")]
    assert (tmp_path / "log").read_text().splitlines() == [together, "update", together, *alone]
    said = capsys.readouterr().out
    assert "setup: buildah could not be installed, so its tests are skipped" in said
    assert "Unable to locate package buildah" in said
    assert "2 of 3" in said


def test_packages_that_are_all_there_are_installed_together(
    debian: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.install_debian_tools({"jq": "jq", "nft": "nftables"})
    [line] = (tmp_path / "log").read_text().splitlines()
    assert line.endswith("jq nftables")
    assert "could not" not in capsys.readouterr().out
