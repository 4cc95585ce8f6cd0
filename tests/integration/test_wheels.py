"""The three wheels: built, installed without the repository, and what is in them."""

import configparser
import os
import re
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.readmes import fences

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "voxwire_protocol": ROOT / "protocol/python",
    "voxwire_server": ROOT / "server",
    "voxwire": ROOT / "clients/python",
}
BESIDE = {"voxwire": ["_voxwire_pytest.py"]}
"""Modules that stand beside a package."""
FOREIGN = ("pipecat", "fastapi", "aiortc", "av", "rich", "voxwire_server", "starlette", "pydantic")
NO_SOURCE = re.compile(r"Retrying \(Retry\(|Could not fetch URL|Temporary failure|No matching")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command away from the repository: nothing of it can be imported by accident."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels by package, built from the tree as it is."""
    out = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", out]
    if find_spec("hatchling") is not None:  # `make setup` installs it: then no index is asked
        command += ["--no-build-isolation", "--no-index"]
    built = run(*command, *PACKAGES.values(), cwd=out)
    if built.returncode != 0 and NO_SOURCE.search(built.stderr):
        pytest.skip("hatchling is neither installed nor to be had")
    assert built.returncode == 0, built.stderr
    found = {wheel.name.split("-")[0]: wheel for wheel in out.glob("*.whl")}
    assert set(found) == set(PACKAGES)
    return found


@pytest.fixture(scope="module")
def python(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with ``voxwire`` and what it needs, nothing else."""
    where = tmp_path_factory.mktemp("clean")
    venv.create(where, with_pip=False, symlinks=True)
    python = where / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # pip's own configuration says where packages come from; `make setup` left a cache of them
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "-q"]
    sources = ["--find-links", str(wheels["voxwire"].parent), "--find-links", str(_cache())]
    pinned = ["-c", str(ROOT / "constraints.txt"), "--retries", "1", "--timeout", "10"]
    result = run(*install, "--no-index", *sources, *pinned, "voxwire", cwd=where)
    if result.returncode != 0:
        result = run(*install, *sources, *pinned, "voxwire", cwd=where)
    if result.returncode != 0 and NO_SOURCE.search(result.stderr):
        pytest.skip(f"voxwire's dependencies are neither cached nor to be had: {result.stderr}")
    assert result.returncode == 0, result.stderr
    return python


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(base) / "voxwire" / "wheels"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def names(wheel: Path) -> set[str]:
    """What is in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def text(wheel: Path, name: str) -> str:
    """A file of a wheel's ``.dist-info``."""
    with zipfile.ZipFile(wheel) as archive:
        [path] = [n for n in archive.namelist() if n.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def scripts(wheel: Path, group: str = "console_scripts") -> dict[str, str]:
    """A wheel's command-line programs, or what else it has for others to find."""
    parser = configparser.ConfigParser()
    parser.read_string(text(wheel, "entry_points.txt"))
    return dict(parser[group])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_has_its_licence_its_types_and_no_tests(
    wheels: dict[str, Path], package: str
) -> None:
    content = names(wheels[package])
    assert f"{package}/py.typed" in content
    assert any(".dist-info/" in n and n.endswith("LICENSE") for n in content), sorted(content)
    foreign = [n for n in content if not n.startswith((f"{package}/", f"{package}-"))]
    assert foreign == BESIDE.get(package, [])
    assert not [n for n in content if "/tests/" in n or n.endswith(".pyc")]


def test_the_server_wheel_has_the_offline_bot_with_its_data(wheels: dict[str, Path]) -> None:
    data = ROOT / "server/src/voxwire_server/bots/offline/data"
    expected = {f"voxwire_server/bots/offline/data/{file.name}" for file in data.glob("*.json")}
    assert expected
    assert expected <= names(wheels["voxwire_server"])


def test_the_server_wheel_has_the_console(wheels: dict[str, Path]) -> None:
    built = ROOT / "server/src/voxwire_server/console"
    if not (built / "index.html").exists():
        pytest.skip("the console is not built: scripts/javascript.py")
    expected = {
        f"voxwire_server/console/{file.relative_to(built).as_posix()}"
        for file in built.rglob("*")
        if file.is_file()
    }
    content = names(wheels["voxwire_server"])
    assert expected == {name for name in content if name.startswith("voxwire_server/console/")}
    with zipfile.ZipFile(wheels["voxwire_server"]) as archive:
        page = archive.read("voxwire_server/console/index.html").decode()
    named = set(re.findall(r'(?:src|href)="\./([^"]+)"', page))
    assert named, page
    assert {f"voxwire_server/console/{name}" for name in named} <= content


def test_the_command_of_the_readme_installs_the_three_wheels(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    [fence] = [f for f in fences() if f.text.startswith("pip install ../voxwire/dist")]
    (tmp_path / "voxwire").mkdir()
    (tmp_path / "voxwire/dist").symlink_to(wheels["voxwire"].parent)
    (tmp_path / "app").mkdir()
    command = fence.text.replace("pip ", f"'{sys.executable}' -m pip ", 1)
    # no need to install them: what is asked for is there, by these names and with these extras
    flags = "export PIP_DRY_RUN=1 PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_FORCE_REINSTALL=1\n"
    result = run("bash", "-ec", flags + command, cwd=tmp_path / "app")
    assert result.returncode == 0, result.stderr
    assert "does not provide the extra" not in result.stderr
    [would] = re.findall("^Would install (.*)$", result.stdout, re.MULTILINE)
    named = sorted(re.sub(r"-[\d.]+$", "", name).replace("-", "_") for name in would.split())
    assert named == sorted(PACKAGES)


def test_the_programs_are_there(wheels: dict[str, Path]) -> None:
    assert scripts(wheels["voxwire_server"]) == {"voxwire-server": "voxwire_server.cli:main"}
    assert scripts(wheels["voxwire"]) == {"voxwire": "voxwire.cli:main"}
    assert scripts(wheels["voxwire"], "pytest11") == {"voxwire": "_voxwire_pytest"}


def test_the_client_needs_at_most_six_packages(wheels: dict[str, Path]) -> None:
    metadata = HeaderParser().parsestr(text(wheels["voxwire"], "METADATA"))
    required = metadata.get_all("Requires-Dist") or []
    direct = [item for item in required if "extra ==" not in item]
    print(f"voxwire needs {direct}")
    assert len(direct) <= 6


def test_the_wheels_are_small(wheels: dict[str, Path]) -> None:
    sizes = {name: wheels[name].stat().st_size / 1000 for name in ("voxwire", "voxwire_protocol")}
    print(", ".join(f"{name}: {size:.0f} kB" for name, size in sizes.items()))
    assert sum(sizes.values()) < 750


def test_importing_the_client_brings_in_no_heavy_package(python: Path, tmp_path: Path) -> None:
    code = (
        "import sys, voxwire; "
        f"print([m for m in {FOREIGN!r} if m in sys.modules], voxwire.__file__)"
    )
    result = run(python, "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("[] ")
    assert str(ROOT) not in result.stdout


def test_the_client_starts_without_the_repository(python: Path, tmp_path: Path) -> None:
    voxwire = python.with_name("voxwire")
    version = run(voxwire, "--version", cwd=tmp_path)
    assert version.returncode == 0, version.stderr
    assert re.search(r"\d+\.\d+", version.stdout)
    usage = run(voxwire, "talk", "--help", cwd=tmp_path)
    assert usage.returncode == 0, usage.stderr
    assert "--transport" in usage.stdout
    unreachable = run(voxwire, "talk", "ws://127.0.0.1:9", "--text", "hello", cwd=tmp_path)
    assert unreachable.returncode != 0
    assert len(unreachable.stderr.strip().splitlines()) == 1, unreachable.stderr


def test_the_installed_size_is_said(python: Path) -> None:
    [packages] = python.parents[1].glob("lib/python*/site-packages")
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    print(f"voxwire and what it needs: {size / 1e6:.0f} MB installed")
    for entry in sorted(packages.glob("*/")):
        own = sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
        if own > 1e6:
            print(f"  {entry.name}: {own / 1e6:.1f} MB")
    assert size < 150e6
