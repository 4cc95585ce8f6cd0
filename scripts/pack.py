"""Makes what people install: `pack.py [--npm] [FOLDER]`, into dist/ when no folder is named.

Three npm tarballs that install together (`npm install` names all three: none is on a registry), and
three wheels likewise. With --npm the tarballs alone; the packages are built first if need be.
"""

import gzip
import io
import sys
import tarfile
from pathlib import Path

from javascript import JS, build
from steps import PYTHON, ROOT, StepError, capture, tail

DIST = ROOT / "dist"
NPM_PACKAGES = ("protocol", "client", "react")
DISTRIBUTIONS = ("protocol/python", "server", "clients/python")


def pack_npm(folder: Path) -> list[Path]:
    """Packs the built JavaScript packages as they would be published; returns the tarballs.

    Raises:
        StepError: npm failed.
    """
    _empty(folder, "voxwire-*.tgz")
    names = [str(JS / "packages" / name) for name in NPM_PACKAGES]
    command = ["npm", "pack", "--ignore-scripts", "--pack-destination", folder, *names]
    made = _made("npm pack", command, folder, "*.tgz", len(NPM_PACKAGES))
    for tarball in made:
        _level(tarball)
    return made


def pack_wheels(folder: Path) -> list[Path]:
    """Makes the wheels with .venv's hatchling, without any index; returns them.

    Raises:
        StepError: pip failed.
    """
    _empty(folder, "voxwire*.whl")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    sources = [str(ROOT / name) for name in DISTRIBUTIONS]
    command = [PYTHON, "-m", "pip", "wheel", "-q", *offline, "-w", folder, *sources]
    return _made("pip wheel", command, folder, "*.whl", len(DISTRIBUTIONS))


def _level(tarball: Path) -> None:
    """Gives every file the same rights: npm keeps those that whoever built it gives his files."""
    with tarfile.open(tarball) as archive:
        members = [(member, archive.extractfile(member)) for member in archive]
        level = io.BytesIO()
        with tarfile.open(fileobj=level, mode="w", format=tarfile.USTAR_FORMAT) as out:
            for member, content in members:
                member.mode = 0o755 if member.mode & 0o100 else 0o644
                out.addfile(member, content)
    tarball.write_bytes(gzip.compress(level.getvalue(), mtime=0))


def _empty(folder: Path, pattern: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(pattern):
        old.unlink()


def _made(
    what: str, command: list[str | Path], folder: Path, pattern: str, count: int
) -> list[Path]:
    code, output = capture(command)
    found = sorted(folder.glob(f"voxwire{pattern}"))
    if code != 0 or len(found) != count:
        raise StepError(f"{what} made {len(found)} of {count} packages:\n{tail(output)}")
    return found


def shown(path: Path) -> str:
    """A path as it is typed in the repository's root."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main(arguments: list[str]) -> int:
    """Packs, and prints each package with its size and how to install them."""
    named = [argument for argument in arguments if not argument.startswith("-")]
    folder = Path(named[0]).resolve() if named else DIST
    try:
        build()
        made = pack_npm(folder)
        made += [] if "--npm" in arguments else pack_wheels(folder)
    except StepError as error:
        print(f"pack: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(f"  {shown(path)}  {path.stat().st_size / 1000:.0f} kB")
    tarballs = [str(path) for path in made if path.suffix == ".tgz"]
    print(f"To use them, in an app's folder: npm install {' '.join(tarballs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
