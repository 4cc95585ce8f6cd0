"""What stands in ``examples/sip-trunk``, without building it."""

import re
import shutil
import subprocess

import pytest

from tests.support.sip_trunk import FOLDER

MAIN = (FOLDER / "main.go").read_text("utf-8")
README = (FOLDER / "README.md").read_text("utf-8")
UNIT = (FOLDER / "voxwire-sip-trunk.service").read_text("utf-8")
FLAGS = set(re.findall(r'flag\.\w+\((?:&[\w.]+, )?"([a-z-]+)"', MAIN))
VARIABLES = set(re.findall(r'os\.Getenv\("(\w+)"\)', MAIN))


def test_the_gateway_is_250_lines_at_most() -> None:
    assert [path.name for path in FOLDER.glob("**/*.go")] == ["main.go"]
    assert len(MAIN.splitlines()) <= 250


def test_it_is_formatted_as_go_is() -> None:
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("gofmt is missing: it comes with Go")
    told = subprocess.run([gofmt, "-l", FOLDER], capture_output=True, text=True, check=True)
    assert told.stdout == ""


def test_its_modules_are_pinned_and_nothing_of_a_machine_is_in_them() -> None:
    modules = (FOLDER / "go.mod").read_text("utf-8")
    sums = (FOLDER / "go.sum").read_text("utf-8")
    wanted = re.findall(r"^\t?(?:require )?(\S+\.\S+/\S+) (v\S+)", modules, re.MULTILINE)
    assert len(wanted) > 5
    for name, version in wanted:
        assert f"{name} {version}/go.mod h1:" in sums
    assert not re.search(r"replace|toolchain|exclude|\s/\w|://|\.\./", modules)


def test_what_can_be_set_is_in_the_readme_and_nothing_else() -> None:
    table = README[README.index("## Settings") : README.index("## What it does")]
    assert set(re.findall(r"`-([a-z-]+)`", table)) == FLAGS
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == VARIABLES
    assert set(re.findall(r" -([a-z-]+) ", UNIT)) <= FLAGS
    assert set(re.findall(r"[A-Z]+_[A-Z_]+", UNIT)) >= VARIABLES
