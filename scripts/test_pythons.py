"""The tests of cores, server and clients on each Python that is here: `test_pythons.py [3.X...]`.

Finds what pyenv has and what `python3.X` on PATH is. Each gets an environment of its own from
setup (.venv-3.X; the Python that runs this: .venv). Tests that judge moments are left to
`make test`. Ends with a table and `N passed, N failed`.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from counts import Count, count_pytest, report_of
from install import tested_pythons
from jobs import Job, run_jobs
from steps import BIN, OUT, ROOT, VENV_VARIABLE, capture, stream, tail

OLDEST = (3, 11)
PARTS = {
    "cores": "protocol/python/tests",
    "server": "server/tests",
    "clients": "clients/python/tests",
}
MARKS = "not timing and not bench and not soak and not live"
WORKERS = 2
SHOWN_LINES = 150
PROBE = (
    "import sys, sysconfig; free = sysconfig.get_config_var('Py_GIL_DISABLED') or 0;"
    "print(*sys.version_info[:3], sys.implementation.name, free)"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python, and the folder in the clone that its environment is in."""

    version: tuple[int, int, int]
    path: Path
    folder: str

    @property
    def name(self) -> str:
        """How it is called: `3.12`."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return ROOT / self.folder / BIN.name / ("python.exe" if os.name == "nt" else "python")


def version_of(path: Path) -> tuple[int, int, int] | None:
    """The version of a CPython that can run Voxwire; None for anything else."""
    code, output = capture([path, "-c", PROBE])
    found = re.fullmatch(r"(\d+) (\d+) (\d+) cpython 0", output.strip()) if code == 0 else None
    if found is None:
        return None
    version = (int(found[1]), int(found[2]), int(found[3]))
    return version if version[:2] >= OLDEST else None


def candidates() -> Iterator[Path]:
    """Where a Python may be: pyenv's versions, then `python3.X` on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/3.*/bin/python3"))
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        names = sorted(Path(folder).glob("python3.*")) if folder else []
        yield from (path for path in names if re.fullmatch(r"python3\.\d+", path.name))


def interpreters() -> list[Interpreter]:
    """One Python of each minor version: the one that runs this, else the newest."""
    mine = sys.version_info[:3]
    found = {mine[:2]: Interpreter(mine, Path(sys.executable), ".venv")}
    for path in candidates():
        version = version_of(path)
        if version is None or version[:2] == mine[:2]:
            continue
        known = found.get(version[:2])
        if known is None or known.version < version:
            name = f"{version[0]}.{version[1]}"
            found[version[:2]] = Interpreter(version, path, f".venv-{name}")
    return [found[key] for key in sorted(found)]


def set_up(interpreter: Interpreter) -> str:
    """Makes its environment, or brings it up to date; says what went wrong, "" = nothing."""
    print(f"== setup for Python {interpreter.name} ({interpreter.path})", flush=True)
    code, output = stream(
        [interpreter.path, "-u", ROOT / "scripts" / "setup.py"],
        lambda line: print(f"  {line}", flush=True),
        env={**os.environ, VENV_VARIABLE: interpreter.folder},
    )
    return "" if code == 0 else tail(output, 3)


def job(interpreter: Interpreter, part: str) -> Job:
    """A process that runs the tests of a part on a Python."""
    report = report_of(interpreter.name, part)
    report.unlink(missing_ok=True)
    options = ["-q", "-m", MARKS, f"--junitxml={report}", "-p", "no:cacheprovider"]
    command = [interpreter.python, "-m", "pytest", *options, PARTS[part]]
    return Job(interpreter.name, part, command, OUT / f"test-{interpreter.name}-{part}.txt")


def run(ready: Sequence[Interpreter]) -> dict[str, Count]:
    """Runs every part on every Python, and shows each as it ends; counts by Python."""
    counts = {interpreter.name: Count() for interpreter in ready}

    def take(job: Job) -> None:
        count = count_pytest(job.part, job.name, job.status)
        count.seconds = job.seconds
        counts[job.part] += count
        print(f"  Python {job.title:<14} {job.seconds:6.1f} s  {count}", flush=True)
        if count.failed:
            lines = job.log.read_text("utf-8", errors="replace").splitlines()
            print("\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]), flush=True)

    parts = ("server", "clients", "cores")  # the longest first
    jobs = [job(interpreter, part) for part in parts for interpreter in ready]
    run_jobs(jobs, workers=WORKERS, on_end=take)
    return counts


def summary(
    ran: Sequence[Interpreter], found: Sequence[Interpreter], counts: dict[str, Count]
) -> str:
    """A line for each Python: those that ran, then those that were tried once and are not here."""
    lines = [
        f"Python {'.'.join(map(str, one.version)):<8} {counts[one.name].seconds:6.1f} s"
        f"  {counts[one.name]}"
        for one in ran
    ]
    here = {one.version[:2] for one in found}
    missing = [f"{a}.{b}" for a, b in tested_pythons() if (a, b) not in here]
    return "\n".join([*lines, *(f"Python {name:<8} not here: not tried" for name in missing)])


def main(names: list[str]) -> int:
    """Sets up and runs; the exit code is 0 when nothing failed."""
    OUT.mkdir(exist_ok=True)
    # a shell that starts us in the background ignores SIGINT, which some tests send
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    found = interpreters()
    if unknown := sorted(set(names) - {one.name for one in found}):
        print(f"test-pythons: no Python {', '.join(unknown)} here", file=sys.stderr)
        return 2
    wanted = [one for one in found if not names or one.name in names]
    print("test-pythons: " + ", ".join(f"{one.name} ({one.path})" for one in wanted), flush=True)
    try:
        wrong = {one.name: reason for one in wanted if (reason := set_up(one))}
        ready = [one for one in wanted if one.name not in wrong]
        counts = run(ready) | {name: Count(failed=1) for name in wrong}
    except KeyboardInterrupt:
        print("\ntest-pythons: interrupted", file=sys.stderr)
        return 130
    print("".join(f"\nPython {name} could not be set up:\n{wrong[name]}\n" for name in wrong))
    print(summary(wanted, found, counts))
    total = sum(counts.values(), Count())
    print(f"{'all':<15} {time.monotonic() - started:6.1f} s, side by side\n\n{total}")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
