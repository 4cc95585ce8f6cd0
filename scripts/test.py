"""Every check and test: `test.py [PART...] [-- PYTEST ARGUMENTS]`; parts: checks, cores, server,
clients, interop, faults. Ends with the time of each part and `N passed, N failed`.

What is busy runs first, side by side; then, three at a time, what mostly waits in real time and
judges moments; then what must be alone. With pytest arguments the parts run one after the other
and print as they go.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from xml.etree import ElementTree

from jobs import Job, run_jobs
from steps import OUT, PYTHON, ROOT

PARTS = {
    "cores": ["protocol/python/tests"],
    "server": ["server/tests"],
    "clients": ["clients/python/tests"],
    "interop": ["tests"],
    "faults": ["tests/faults"],
}
NO_TESTS = 5  # pytest's exit code
SHOWN_LINES = 400
"""Most lines of a failed job that are printed; its file has them all."""


class Phase(IntEnum):
    """When a job runs; the phases follow each other."""

    BUSY = 0
    QUIET = 1
    ALONE = 2


WORKERS = {Phase.BUSY: 3, Phase.QUIET: 3, Phase.ALONE: 1}
"""Jobs at a time, for two processors."""

# Files that run in a process of their own: part, name, phase, paths. The longest of a phase first.
# What is not named here runs in one process per part: cores, server: BUSY, others QUIET.
SPLIT: list[tuple[str, str, Phase, list[str]]] = [
    ("server", "bots", Phase.BUSY, ["server/tests/bots"]),
    ("interop", "bot", Phase.BUSY, ["tests/integration/test_offline_bot.py"]),
    ("interop", "wheels", Phase.BUSY, ["tests/integration/test_wheels.py"]),
    ("interop", "talk", Phase.QUIET, ["tests/integration/test_talk.py"]),
    ("interop", "interruptions", Phase.QUIET, ["tests/integration/test_interruptions.py"]),
    ("interop", "words", Phase.QUIET, ["tests/integration/test_words.py"]),
    ("cores", "rtc", Phase.QUIET, ["protocol/python/tests/test_rtc.py"]),
]
REST = {
    "cores": Phase.BUSY,
    "server": Phase.BUSY,
    "clients": Phase.QUIET,
    "interop": Phase.QUIET,
    "faults": Phase.ALONE,
}


@dataclass
class Count:
    """What a part came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
        )

    def __str__(self) -> str:
        if self.passed + self.failed + self.skipped == 0:
            return "no tests"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def report_of(part: str, name: str) -> Path:
    """Where pytest writes what a job came to."""
    return OUT / f"junit-{'-'.join(filter(None, [part, name]))}.xml"


def pytest_command(part: str, name: str, arguments: Sequence[str]) -> list[str | Path]:
    """Pytest with a JUnit file that does not exist yet."""
    report = report_of(part, name)
    report.unlink(missing_ok=True)
    options = ["-q", "--durations=5", "--durations-min=2", f"--junitxml={report}"]
    return [PYTHON, "-m", "pytest", *options, *arguments]


def pytest_job(part: str, name: str, arguments: Sequence[str]) -> Job:
    """A process that runs some tests of a part."""
    log = OUT / f"test-{'-'.join(filter(None, [part, name]))}.txt"
    return Job(part, name, pytest_command(part, name, arguments), log)


def plan(wanted: Sequence[str]) -> dict[Phase, list[Job]]:
    """The jobs of the parts that are wanted, by phase, in the order in which they start."""
    phases: dict[Phase, list[Job]] = {phase: [] for phase in Phase}
    if "checks" in wanted:
        command = [sys.executable, "-u", ROOT / "scripts" / "check.py"]
        phases[Phase.BUSY].append(Job("checks", "", command, OUT / "test-checks.txt"))
    for part, name, phase, paths in SPLIT:
        if part in wanted:
            phases[phase].append(pytest_job(part, name, paths))
    for part, folders in PARTS.items():
        there = [folder for folder in folders if (ROOT / folder).is_dir()]
        if part not in wanted or not there:
            continue
        elsewhere = [path for it in SPLIT if it[0] == part for path in it[3]]
        if part == "interop":
            elsewhere += PARTS["faults"]
        name = "rest" if any(it[0] == part for it in SPLIT) else ""
        ignored = [f"--ignore={path}" for path in elsewhere]
        phases[REST[part]].append(pytest_job(part, name, [*ignored, *there]))
    return phases


def count_pytest(part: str, name: str, status: int) -> Count:
    """What a process of pytest came to, from its JUnit file."""
    report = report_of(part, name)
    if not report.exists():
        return Count(failed=0 if status == NO_TESTS else 1)
    count = Count()
    for suite in ElementTree.parse(report).iter("testsuite"):
        total, errors, failures, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "errors", "failures", "skipped")
        )
        count += Count(total - errors - failures - skipped, errors + failures, skipped)
    if status not in (0, NO_TESTS) and count.failed == 0:
        count.failed = 1  # a crash, a leaked task, a usage error: never green
    return count


def count_checks(job: Job) -> Count:
    """What the checks came to, from their last line."""
    found = re.search(r"^check: (\d+) ok, (\d+) failed", job.log.read_text("utf-8"), re.MULTILINE)
    return Count(int(found[1]), int(found[2])) if found else Count(failed=1)


def show(job: Job, count: Count) -> None:
    """Prints how a job ended: all of its output when it failed, else what was tried again."""
    print(f"  {job.title:<22} {job.seconds:6.1f} s  {count}", flush=True)
    lines = job.log.read_text("utf-8", errors="replace").splitlines()
    if not count.failed:
        lines = [line for line in lines if re.match(r"\.*RETRY ", line)]
        print("".join(f"    {line}\n" for line in lines), end="", flush=True)
        return
    print(f"== {job.title}: {job.log.relative_to(ROOT)}", flush=True)
    print("\n".join(lines[-SHOWN_LINES:]), flush=True)
    print(f"== end of {job.title}", flush=True)


def run_side_by_side(wanted: Sequence[str]) -> dict[str, Count]:
    """Runs the parts as jobs; the seconds of a part are those of its jobs together."""
    counts = {part: Count() for part in wanted}

    def take(job: Job) -> None:
        checks = job.part == "checks"
        count = count_checks(job) if checks else count_pytest(job.part, job.name, job.status)
        count.seconds = job.seconds
        counts[job.part] += count
        show(job, count)

    for phase, jobs in plan(wanted).items():
        if jobs:
            names = ", ".join(job.title for job in jobs)
            print(f"== {phase.name.lower()}, {WORKERS[phase]} at a time: {names}", flush=True)
            run_jobs(jobs, workers=WORKERS[phase], on_end=take)
    return counts


def run_in_turn(wanted: Sequence[str], extra: Sequence[str]) -> dict[str, Count]:
    """Runs the parts one after the other, with arguments for pytest, and prints as they go."""
    counts: dict[str, Count] = {}
    for part in (part for part in PARTS if part in wanted):
        folders = [folder for folder in PARTS[part] if (ROOT / folder).is_dir()]
        counts[part] = Count()
        if not folders:
            continue
        print(f"== {part}", flush=True)
        started = time.monotonic()
        ignored = [f"--ignore={path}" for path in PARTS["faults"] if part == "interop"]
        command = pytest_command(part, "", [*extra, *ignored, *folders])
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        counts[part] = count_pytest(part, "", status)
        counts[part].seconds = time.monotonic() - started
    return counts


def main(arguments: list[str]) -> int:
    """Runs the parts that were asked for, or all."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, extra = arguments[:split], arguments[split + 1 :]
    known = ["checks", *PARTS]
    if unknown := sorted(set(named) - set(known)):
        print(f"test: no part {', '.join(unknown)}; parts: {', '.join(known)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    # a shell that starts us in the background ignores SIGINT, which some tests send
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = [part for part in known if not named or part in named]
    started = time.monotonic()
    try:
        counts = run_in_turn(wanted, extra) if extra else run_side_by_side(wanted)
    except KeyboardInterrupt:
        print("\ntest: interrupted", file=sys.stderr)
        return 130
    print()
    for part, count in counts.items():
        print(f"{part:<8} {count.seconds:6.1f} s  {count}")
    total = sum(counts.values(), Count())
    print(f"{'all':<8} {time.monotonic() - started:6.1f} s, side by side\n\n{total}")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
