"""`make test-pythons`, and what is said of Pythons and Nodes: tried, found, missing, too new."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTS = ("protocol/python", "server", "clients/python")
TRIED = ["3.11", "3.12", "3.13"]

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the stand-ins for Python are shell scripts"
)

PYTHON = """#!/bin/sh
case "$1" in
-c) echo "{version} {kind}" ;;
-u) echo "setup: {said}"; [ {status} = 0 ] || exit {status}
    mkdir -p {root}/$VOXWIRE_VENV/bin && cp {root}/pytest.sh {root}/$VOXWIRE_VENV/bin/python ;;
esac
"""
PYTEST = """#!/bin/sh
for word; do case "$word" in --junitxml=*) report=${word#*=} ;; esac; done
echo "$@" >> arguments.txt
echo '<testsuites><testsuite tests="5" errors="0" failures="0" skipped="1"/></testsuites>' > $report
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository as far as scripts/test_pythons.py looks at it."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / DISTS[0]).mkdir(parents=True)
    shutil.copy(ROOT / DISTS[0] / "pyproject.toml", tmp_path / DISTS[0])
    program(tmp_path / "pytest.sh", PYTEST)
    return tmp_path


def pyenv(
    checkout: Path, version: str, *, kind: str = "cpython 0", said: str = "ready", status: int = 0
) -> Path:
    """Have pyenv hold a Python that says it is of this version."""
    path = checkout / "pyenv/versions" / version / "bin/python3"
    parts = version.replace(".", " ")
    fields = {"version": parts, "kind": kind, "said": said, "status": status, "root": checkout}
    program(path, PYTHON.format(**fields))
    return path


def run(checkout: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "scripts/test_pythons.py", *names],
        env={**os.environ, "PYENV_ROOT": str(checkout / "pyenv"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_python_runs_the_three_suites_in_an_environment_of_its_own(checkout: Path) -> None:
    pyenv(checkout, "3.98.0")
    pyenv(checkout, "3.99.1")
    ended = run(checkout, "3.98", "3.99")
    assert ended.returncode == 0, ended.stderr
    *_, last = ended.stdout.splitlines()
    assert last == "24 passed, 0 failed, 6 skipped"
    assert re.search(r"Python 3\.98\.0 .* 12 passed, 0 failed, 3 skipped", ended.stdout)
    assert re.search(r"Python 3\.99\.1 .* 12 passed, 0 failed, 3 skipped", ended.stdout)
    assert (checkout / ".venv-3.98/bin/python").exists()
    assert (checkout / ".venv-3.99/bin/python").exists()
    ran = (checkout / "arguments.txt").read_text()
    for suite in ("protocol/python/tests", "server/tests", "clients/python/tests"):
        assert ran.count(f" {suite}\n") == 2
    assert ran.count("-m not timing") == 6


def test_a_python_that_cannot_be_set_up_is_a_failure_and_the_others_run(checkout: Path) -> None:
    pyenv(checkout, "3.98.0", said="no wheel of audio for it", status=1)
    pyenv(checkout, "3.99.1")
    ended = run(checkout, "3.98", "3.99")
    assert ended.returncode == 1
    assert "Python 3.98 could not be set up:\n    setup: no wheel of audio for it" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "12 passed, 1 failed, 3 skipped"


def test_the_newest_of_each_minor_version_is_taken_and_only_what_can_run_us(checkout: Path) -> None:
    pyenv(checkout, "3.98.9")
    pyenv(checkout, "3.98.10")
    pyenv(checkout, "3.10.13")
    pyenv(checkout, "3.97.0", kind="pypy 0")
    pyenv(checkout, "3.96.0", kind="cpython 1")  # without the lock
    program(checkout / "pyenv/versions/3.95.0/bin/python3", "#!/bin/sh\nexit 127\n")
    ended = run(checkout, "3.98")
    assert ended.returncode == 0, ended.stderr
    newest = checkout / "pyenv/versions/3.98.10/bin/python3"
    assert f"test-pythons: 3.98 ({newest})\n" in ended.stdout
    for name in ("3.10", "3.95", "3.96", "3.97"):
        refused = run(checkout, name)
        assert refused.returncode == 2, name
        assert f"no Python {name} here" in refused.stderr


def test_the_summary_names_what_was_tried_once_and_is_not_here(checkout: Path) -> None:
    pyenv(checkout, "3.99.1")
    ended = run(checkout, "3.99")
    found = [f"python3.{sys.version_info.minor}", *(path.name for path in Path("/bin").iterdir())]
    for name in (name for name in TRIED if f"python{name}" not in found):
        assert re.search(rf"^Python {name} +not here: not tried$", ended.stdout, re.MULTILINE)


def test_what_the_packages_say_of_python_is_one_thing() -> None:
    for dist in DISTS:
        project = tomllib.loads((ROOT / dist / "pyproject.toml").read_text("utf-8"))["project"]
        prefix = "Programming Language :: Python :: 3."
        named = [c for c in project["classifiers"] if c.startswith(prefix)]
        assert [name.rsplit(" ", 1)[1] for name in named] == TRIED, dist
        assert project["requires-python"] == f">={TRIED[0]}", dist
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(name in readme for name in TRIED)


def asked(code: str) -> str:
    """What the scripts' modules answer."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_said_of_node_is_what_test_nodes_tries() -> None:
    majors = asked("import test_nodes; print(*test_nodes.NODES)").split()
    first = [f"{', '.join(majors[:-1])} {word} {majors[-1]}" for word in ("or", "and")]
    assert f"Node.js {first[0]}" in (ROOT / "README.md").read_text("utf-8")
    readme = (ROOT / "clients/js/packages/client/README.md").read_text("utf-8")
    assert f"Tried on Node {first[1]}." in readme
    for package in (".", "clients/js/packages/protocol", "clients/js/packages/client"):
        engines = json.loads((ROOT / package / "package.json").read_text("utf-8"))["engines"]
        assert engines == {"node": f">={majors[0]}"}, package


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("(3, 11)", ""),
        ("(3, 13)", ""),
        ("(3, 14)", f"Python 3.14 is newer than what Voxwire was tried on ({', '.join(TRIED)})"),
    ],
)
def test_a_python_newer_than_tried_is_said_in_one_line(version: str, said: str) -> None:
    assert asked(f"import install; print(install.untested({version}))") == f"{said}\n"
