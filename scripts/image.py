"""Makes an image of voxwire-server: `image.py [--base IMAGE] [--context-only] [FOLDER]`.

Lays wheels, pip and the Dockerfile into out/image, and builds there with what is here: buildah,
podman or docker. The wheels are for the Python of .venv, and so the base image has to be.
"""

import argparse
import shutil
import sys
from pathlib import Path

from install import cache, check_models, download_models
from javascript import build
from pack import pack_wheels, shown
from steps import OUT, PYTHON, ROOT, Line, StepError, capture, stream, tail

CONTEXT = OUT / "image"
EXTRAS = "offline,webrtc,cluster"
LEFT_OUT = ("llvmlite", "numba", "resampy")
"""Pipecat requires them for one resampler that nothing uses; 212 MB."""
BUILDERS = {
    "buildah": ["build", "--format", "docker"],  # of OCI's format a HEALTHCHECK is no part
    "podman": ["build", "--format", "docker"],
    "docker": ["build"],
}


def lay_context(folder: Path, *, extras: str) -> None:
    """Lays everything that the build reads into a folder, which is emptied first.

    Raises:
        StepError: A package could be neither built nor had.
    """
    if sys.platform != "linux":
        raise StepError("an image has wheels for Linux: make it there")
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    [server] = (w for w in pack_wheels(wheels) if w.name.startswith("voxwire_server-"))
    for client in wheels.glob("voxwire-*.whl"):
        client.unlink()
    download_models(cache("wheels"))
    _collect(wheels, f"{server}[{extras}]")
    check_models(wheels)
    for name in LEFT_OUT:
        for wheel in wheels.glob(f"{name}-*.whl"):
            wheel.unlink()
    shutil.copytree(_pip(), folder / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", "THIRD_PARTY_NOTICES.md"):
        shutil.copy(ROOT / name, folder)


def _collect(wheels: Path, wanted: str) -> None:
    """Adds the wheels of what is required, from setup's cache or from where pip looks."""
    line = Line("collect the wheels of the image")
    command = [PYTHON, "-m", "pip", "wheel", "--disable-pip-version-check", "-w", wheels]
    sources = ["--find-links", wheels, "--find-links", cache("wheels")]
    pinned = ["-c", ROOT / "constraints.txt", wanted]
    output = ""
    for index in (["--no-index"], []):
        code, output = stream(
            [*command, *index, *sources, *pinned], lambda _: line.update("working")
        )
        if code == 0:
            megabytes = sum(wheel.stat().st_size for wheel in wheels.iterdir()) / 1e6
            line.done(f"{megabytes:.0f} MB")
            return
    raise StepError(f"the wheels could not be collected:\n{tail(output)}")


def _pip() -> Path:
    code, output = capture([PYTHON, "-c", "import pip; print(pip.__path__[0])"])
    if code != 0:
        raise StepError(f"there is no pip in .venv:\n{tail(output)}")
    return Path(output.strip())


def builder() -> str | None:
    """The program here that builds images; None = there is none."""
    return next((name for name in BUILDERS if shutil.which(name)), None)


def main(arguments: list[str]) -> int:
    """Lays the context, and builds unless that was all."""
    parser = argparse.ArgumentParser(description="Make an image of voxwire-server.")
    parser.add_argument("--context-only", action="store_true", help="lay it, do not build")
    parser.add_argument("--base", default="", help="an image with Python (python:3.x-slim)")
    parser.add_argument("--extras", default=EXTRAS, help="of the server (%(default)s)")
    parser.add_argument("--tag", default="voxwire-server", help="(%(default)s)")
    parser.add_argument("folder", nargs="?", type=Path, default=CONTEXT, help="what is built from")
    options = parser.parse_args(arguments)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = options.base or f"docker.io/library/python:{version}-slim"
    folder = options.folder.resolve()
    try:
        build()
        lay_context(folder, extras=options.extras)
    except StepError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    if options.context_only:
        print(f"image: {shown(folder)} is ready")
        return 0
    if (program := builder()) is None:
        print(f"image: {shown(folder)} is ready; none of {', '.join(BUILDERS)} is here")
        return 1
    command = [program, *BUILDERS[program], "--build-arg", f"BASE={base}", "-t", options.tag]
    line = Line(f"build {options.tag} from {base} ({program})")
    code, output = stream([*command, folder], lambda _: line.update("working"))
    if code != 0:
        print(f"\nimage: {program} could not build:\n{tail(output)}", file=sys.stderr)
        return 1
    line.done("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
