"""What `make dist` makes: the same twice, complete, and with nothing of this machine."""

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.support.other_clone import other_clone
from tests.support.tarballs import needs_node

pytestmark = [needs_node, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
TWICE_S = 300
NPM = ("client", "protocol", "react")
PYTHON = ("voxwire", "voxwire_protocol", "voxwire_server")


@pytest.fixture
def check_script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """scripts/check.py."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("check")


@pytest.fixture
def dist_script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """scripts/dist.py."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("dist")


def make_dist(root: Path, folder: Path, **environment: str) -> Path:
    """Run the script of a clone."""
    made = subprocess.run(
        [sys.executable, root / "scripts/dist.py", folder],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TWICE_S,
        check=False,
        umask=0o077 if root != ROOT else 0o022,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return other_clone(tmp_path_factory.mktemp("elsewhere") / "a-clone")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dist(ROOT, tmp_path_factory.mktemp("dist"))


def sums(folder: Path) -> dict[str, str]:
    """The checksums by file."""
    lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_another_clone_makes_the_same_bytes(made: Path, clone: Path, tmp_path: Path) -> None:
    """In another place, of files with other times and rights, built from nothing."""
    epoch = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    other = make_dist(clone, tmp_path / "dist", SOURCE_DATE_EPOCH=epoch)
    assert sums(other) == sums(made)
    later = make_dist(clone, tmp_path / "later", SOURCE_DATE_EPOCH=str(int(epoch) + 86_400))
    assert sums(later) != sums(made)


def test_the_sums_are_those_of_all_files(made: Path) -> None:
    files = {file.name for file in made.iterdir()} - {"SHA256SUMS"}
    assert set(sums(made)) == files
    assert len(files) == len(NPM) + 2 * len(PYTHON) + 2
    for name, digest in sums(made).items():
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_a_source_distribution_has_what_its_wheel_has(made: Path) -> None:
    for package in PYTHON:
        [wheel], [source] = made.glob(f"{package}-*.whl"), made.glob(f"{package}-*.tar.gz")
        with zipfile.ZipFile(wheel) as archive:
            inside = {n for n in archive.namelist() if ".dist-info/" not in n}
        with tarfile.open(source) as archive:
            names = {name.partition("/")[2].removeprefix("src/") for name in archive.getnames()}
        assert inside <= names, package
        assert {"LICENSE", "README.md", "PKG-INFO", "pyproject.toml"} <= names


def test_the_sbom_names_every_package_with_its_version_and_licence(made: Path) -> None:
    [file] = made.glob("*.cdx.json")
    text = file.read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace("purl", "pur"))
    bom = json.loads(text)
    versions: dict[str, set[str]] = {}
    for each in bom["components"]:
        assert each["licenses"], each["name"]
        versions.setdefault(each["purl"].partition("@")[0], set()).add(each["version"])
    ours = {f"pkg:pypi/{name.replace('_', '-')}" for name in PYTHON}
    ours |= {f"pkg:npm/%40voxwire/{name}" for name in NPM}
    named = {each["purl"].rpartition("@")[0] for each in bom["components"]}
    assert ours | {"pkg:npm/react-dom", "pkg:pypi/pipecat-ai"} <= named
    pins = re.findall(
        r"^([\w.-]+)==([^;\s]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    for name, version in pins:
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}"
        other = [v for n, v in pins if n == name and v != version]
        assert versions.get(purl, {version}) <= {version, *other}, name
    refs = {each["bom-ref"] for each in bom["components"]} | {"voxwire"}
    depends = {each["ref"]: set(each.get("dependsOn", ())) for each in bom["dependencies"]}
    assert set(depends) == refs
    assert set().union(*depends.values()) == refs - {"voxwire"}  # nothing hangs in the air


def test_the_notices_of_the_console_are_of_what_its_bundle_has(clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "console"
    make_dist(clone, tmp_path / "dist")
    built = subprocess.run(
        [
            *(clone / "node_modules/.bin/vite", "build", clone / "clients/js/apps/console"),
            *("--sourcemap", "--outDir", out, "--logLevel", "error"),
        ],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=TWICE_S,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    maps = [json.loads(file.read_text()) for file in out.rglob("*.js.map")]
    sources = [source for each in maps for source in each["sources"]]
    inside = {
        match[1]
        for source in sources
        if (match := re.search(r".*node_modules/((?:@[^/]+/)?[^/]+)/", source))
    }
    text = (out / "third-party-notices.txt").read_text("utf-8")
    named = set(re.findall(r"^(\S+): \S+.*\n\n", text, re.MULTILINE))
    assert inside == named
    for name in ("voxwire_server/console/third-party-notices.txt",):
        with zipfile.ZipFile(next((tmp_path / "dist").glob("voxwire_server-*.whl"))) as archive:
            assert archive.read(name).decode() == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("see https://pypi.corp.example/simple", "mirror host pypi.corp.example"),
        ("pypi.corp.example:8443", "mirror host pypi.corp.example"),
        ("https://my-pypi.corp.example and pypi.corp.example-labs", ""),
        ("npm has http://mirror/x.tgz", "mirror host mirror"),
        ("a mirror of what is said", ""),
        ("http://localhost:7860 or http://127.0.0.1 or http://[::1]/", ""),
    ],
)
def test_a_mirror_is_found_by_its_whole_name(check_script: Any, text: str, kind: str) -> None:
    indexes = (
        "https://me:secret@pypi.corp.example:8443/simple\nhttp://mirror:4873/ http://[::1]:80/"
        " http://localhost:3141/simple http://127.0.0.1:4873"
    )
    patterns = check_script.leak_patterns(indexes)
    found = [each for each, pattern in patterns.items() if re.search(pattern, text)]
    assert found == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("root", "text", "is_found"),
    [
        ("/voxwire", "GET /voxwire/status", False),
        ("/src", "/src/index.ts", False),
        ("/builds/voxwire", "/builds/voxwire/server", True),
        ("/builds/voxwire", "/builds/voxwire-docs", False),
    ],
)
def test_a_clone_is_found_by_its_path_unless_anything_may_be_called_so(
    check_script: Any, monkeypatch: pytest.MonkeyPatch, root: str, text: str, is_found: bool
) -> None:
    monkeypatch.setattr(check_script, "ROOT", Path(root))
    patterns = check_script.leak_patterns("")
    assert any(re.search(pattern, text) for pattern in patterns.values()) == is_found


def test_nothing_of_this_machine_is_in_it(made: Path, dist_script: Any, tmp_path: Path) -> None:
    assert dist_script.leaks_in(sorted(made.iterdir())) == []
    planted = tmp_path / "planted-1-py3-none-any.whl"
    host = "regis" + "try.npmjs.org"
    with zipfile.ZipFile(planted, "w") as archive:
        archive.writestr("a.json", f"https://{host}/x.tgz")
        archive.writestr("b.txt", f"built in {ROOT}/server")
    kinds = {found.split(": ")[2] for found in dist_script.leaks_in([planted])}
    assert {"package registry address", "path of this clone"} <= kinds
