"""Makes a release: `dist.py [FOLDER]`, into dist/ when no folder is named.

Wheels and sources of the Python packages, npm tarballs, THIRD_PARTY_NOTICES.md, an SBOM and
SHA256SUMS. The same commit makes the same bytes: times are the commit's ($SOURCE_DATE_EPOCH).
"""

import hashlib
import os
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from check import leak_patterns
from javascript import build
from pack import DIST, DISTRIBUTIONS, pack_npm, pack_wheels, shown
from steps import PYTHON, ROOT, StepError, capture, tail

EARLIEST = 315_532_800
"""1980: no zip has a file that is older."""
NOTICES = "THIRD_PARTY_NOTICES.md"
SUMS = "SHA256SUMS"


def epoch() -> str:
    """The time of all files: what is asked for, or the commit's, or the first that zip knows."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    code, output = capture(["git", "log", "-1", "--format=%ct"])
    return output.strip() if code == 0 and output.strip().isdigit() else str(EARLIEST)


def pack_sources(folder: Path) -> list[Path]:
    """Makes the source distributions with .venv's hatchling; returns them.

    Raises:
        StepError: hatchling failed.
    """
    for old in folder.glob("voxwire*.tar.gz"):
        old.unlink()
    for name in DISTRIBUTIONS:
        command = [PYTHON, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
        code, output = capture(command, cwd=ROOT / name)
        if code != 0:
            raise StepError(f"hatchling could not pack {name}:\n{tail(output)}")
    return sorted(folder.glob("voxwire*.tar.gz"))


def write_notices(folder: Path) -> Path:
    """Copies the notices, if they are up to date.

    Raises:
        StepError: They are not, or a licence is not known.
    """
    code, output = capture([PYTHON, ROOT / "scripts/notices.py", "--check"])
    if code != 0:
        raise StepError(output.strip())
    (folder / NOTICES).write_bytes((ROOT / NOTICES).read_bytes())
    return folder / NOTICES


def write_sbom(folder: Path, wheel: Path) -> Path:
    """Writes the SBOM, named by the version of a wheel.

    Raises:
        StepError: It could not be written, or is not what its schema says.
    """
    for old in folder.glob("voxwire-*.cdx.json"):
        old.unlink()
    file = folder / f"voxwire-{wheel.name.split('-')[1]}.cdx.json"
    code, output = capture([PYTHON, ROOT / "scripts/sbom.py", file])
    if code != 0:
        raise StepError(f"there is no SBOM:\n{tail(output)}")
    print(f"  {output.strip()}")
    return file


def parts(file: Path) -> Iterator[tuple[str, bytes]]:
    """What is in a file, by name: the members of an archive, else the file itself."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif file.suffix in (".tgz", ".gz"):
        with tarfile.open(file) as archive:
            for member in archive:
                if (content := archive.extractfile(member)) is not None:
                    yield member.name, content.read()
    else:
        yield file.name, file.read_bytes()


def indexes() -> str:
    """Addresses that pip and npm have packages from here, as they are configured."""
    commands = ([PYTHON, "-m", "pip", "config", "list"], ["npm", "config", "get", "registry"])
    answers = [capture([*command]) for command in commands]
    lines = "\n".join(text for code, text in answers if code == 0).splitlines()
    return "\n".join(line for line in lines if not line.startswith("npm "))  # "npm notice …"


def leaks_in(files: list[Path]) -> list[str]:
    """Registry addresses, mirrors and paths of this machine in files that others will have."""
    texts = leak_patterns(indexes())
    patterns = {kind: re.compile(text.encode()) for kind, text in texts.items()}
    return [
        f"{file.name}: {name}: {kind}: {match[0].decode('utf-8', 'replace')}"
        for file in files
        for name, content in parts(file)
        for kind, pattern in patterns.items()
        if (match := pattern.search(content))
    ]


def write_sums(folder: Path, files: list[Path]) -> Path:
    """Writes the checksums; `sha256sum --check SHA256SUMS` reads them."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), "utf-8")
    return folder / SUMS


def release(folder: Path) -> list[Path]:
    """Makes all of it; returns the files.

    Raises:
        StepError: A part could not be made, or has something in it that is nobody's business.
    """
    os.environ["SOURCE_DATE_EPOCH"] = epoch()
    build()
    files = [*pack_npm(folder), *pack_wheels(folder), *pack_sources(folder)]
    files += [write_notices(folder), write_sbom(folder, next(folder.glob("voxwire-*.whl")))]
    if found := leaks_in(files):
        raise StepError("what must not be in a release:\n" + "\n".join(found))
    return [*files, write_sums(folder, sorted(files))]


def main(arguments: list[str]) -> int:
    """Makes a release, and prints each file with its size."""
    folder = Path(arguments[0]).resolve() if arguments else DIST
    started = time.monotonic()
    try:
        files = release(folder)
    except StepError as error:
        print(f"dist: {error}", file=sys.stderr)
        return 1
    for path in files:
        print(f"  {shown(path)}  {path.stat().st_size / 1000:.0f} kB")
    print(f"dist: {len(files)} files in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
