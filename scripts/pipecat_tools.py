"""Makes `.venv-pipecat` for `make test`: Pipecat's own command line and runner.

It cannot share .venv, as it wants an older `rich` than our command line has. So it is an
environment of its own that sees .venv behind its own packages: `pipecat` and all that is heavy is
there already, and what is downloaded are 3 MB.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from steps import PYTHON, ROOT, Line, StepError, capture, tail

TOOLS = ROOT / ".venv-pipecat"
TOOLS_PYTHON = TOOLS / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PINS = ROOT / "requirements-pipecat.txt"

Pip = Callable[..., list[str | Path]]


def stamp_text() -> str:
    """Changes whenever the environment has to be made anew."""
    digest = hashlib.sha256(f"{PYTHON} {sys.version}".encode())
    digest.update(PINS.read_bytes() + Path(__file__).read_bytes())
    return digest.hexdigest()


def install(pip: Pip, wheels: Path) -> bool:
    """Brings the environment up to date.

    Args:
        pip: Makes a pip command line of .venv's.
        wheels: The cache of wheels; nothing is downloaded that is there.

    Returns:
        Whether it is there.

    Raises:
        StepError: It could not be made, and this is CI.
    """
    stamp = TOOLS / ".voxwire"
    if TOOLS_PYTHON.exists() and stamp.exists() and stamp.read_text("utf-8") == stamp_text():
        return True
    line = Line(f"install Pipecat's own tools into {TOOLS.name}, 20 MB (3 MB to download)")
    reason = make() or fill(pip, wheels)
    if not reason:
        stamp.write_text(stamp_text(), "utf-8")
        line.done("done")
        return True
    if os.environ.get("CI"):
        raise StepError(reason)
    line.done("not there")
    print(f"setup: left out: tests with `pipecat init` and Pipecat's runner: {reason}", flush=True)
    return False


def make() -> str:
    """Creates it, empty, in sight of .venv. Returns what went wrong."""
    code, output = capture([sys.executable, "-m", "venv", "--clear", "--without-pip", TOOLS])
    if code != 0:
        return tail(output)
    places, ask = [], "import sysconfig; print(sysconfig.get_path('purelib'))"
    for python in (TOOLS_PYTHON, PYTHON):
        code, place = capture([python, "-c", ask])
        if code != 0:
            return tail(place)
        places.append(place.strip())
    own, ours = places
    line = f"import site; site.addsitedir({ours!r})\n"  # what is editable in .venv is seen, too
    (Path(own) / "voxwire-behind.pth").write_text(line, "utf-8")
    return ""


def fill(pip: Pip, wheels: Path) -> str:
    """Installs what is pinned, from the cache; first into the cache. Returns what went wrong."""
    wheels.mkdir(parents=True, exist_ok=True)
    there = ["--no-index", "--find-links", wheels, "--no-deps", "-r", PINS]
    into = pip("--python", TOOLS_PYTHON, "install", "--ignore-installed", *there)
    if capture(into)[0] == 0:
        return ""
    code, output = capture(pip("download", "--no-deps", "-d", wheels, "-r", PINS))
    if code != 0:
        return f"it could not be downloaded:\n{tail(output)}"
    code, output = capture(into)
    return "" if code == 0 else tail(output)
