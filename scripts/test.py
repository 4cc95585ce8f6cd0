"""Every check and test: `test.py [PART...] [-- PYTEST ARGUMENTS]`; parts: checks, cores, mobile,
server, clients, browser, interop, faults, timing. Ends with the time of each part and
`N passed, N failed`. `test.py --system` runs the system tests instead, whole programs at length.

What mostly waits for sound runs as many at a time as the machine bears; what computes all the time
runs beside it, in the time of the processors that is left. The timing group, tests that judge
moments of real time, runs last and alone, or not at all with TIMING=0. With pytest arguments the
parts run one after the other and print as they go.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mobile
import npm
import rust
from counts import Count, count_mobile, count_pytest, report_of
from javascript import build, has_packages, missing_node
from jobs import Job, run_jobs
from shares import MOMENTS, PARTS, SHARES, Share, pages, whole
from stalls import Stalls
from steps import NODE_BIN, OUT, PYTHON, ROOT, StepError, capture

KNOWN = ["checks", *PARTS, "timing"]
SHOWN_LINES = 400
"""Most lines of a failed job that are printed; its file has them all."""


WORKERS = {0.5: (3, 19), 0.0: (2, 5)}
"""Jobs at a time that wait for sound, for two processors, by how fast the machine is at least, and
the niceness of those that run beside them: at 19 they would get nothing beside others that never
wait.
"""
TURNS = 5_500_000
"""What :func:`turns` is on the machine that these numbers were found on, when it is quiet."""

RECORD = ROOT / "tests" / "system-runs.md"
RECORDED = 20
"""Most runs that are kept there."""

TIMING = "timing"
GROUP = 25
"""Most tests of the timing group."""
TRIES = 3
STOOD_MS = 250
"""A machine on which this process was woken so late has stood still for whole syllables."""
AGAIN = 4
"""Most jobs that are run once more."""
STALL_MS = 40
"""A machine on which a process that only sleeps is woken so late is none to judge moments on."""

LEFT_OUT = "not bench and not soak and not live"
OTHERS = f"not timing and {LEFT_OUT}"


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


def vitest_job(share: Share) -> Job:
    """A process of vitest that runs some tests of a part."""
    report = report_of(share.part, share.name)
    report.unlink(missing_ok=True)
    command: list[str | Path] = [NODE_BIN / "vitest", "run", "--config", share.vitest]
    command += ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"]
    log = OUT / f"test-{share.part}-{share.name}.txt"
    apart = [PYTHON, ROOT / "tests" / "support" / "apart.py"] if share.apart else []
    command = [*apart, *command, *share.paths]
    return Job(share.part, share.name, command, log)


def cargo_job(share: Share) -> Job:
    """A process that builds the mobile bindings and runs their tests."""
    command = [sys.executable, "-u", ROOT / "scripts" / "mobile.py"]
    return Job(share.part, share.name, command, OUT / f"test-{share.part}.txt")


def client_job(share: Share) -> Job:
    """A process that runs some tests of the Python client against the one in Rust."""
    command = [sys.executable, "-u", ROOT / "scripts" / "driven.py", share.name]
    log = OUT / f"test-{share.part}-{share.name}.txt"
    return Job(share.part, share.name, command, log, after=share.part)


def arguments_of(share: Share) -> list[str]:
    """Where pytest finds the tests of a share; nothing if there are none."""
    others = [other for other in SHARES if other.part == share.part and other is not share]
    if share.paths:
        taken = [path for other in others for path in other.paths]
        below = [path for path in taken if any(path.startswith(f"{own}/") for own in share.paths)]
        return [*share.paths, *(f"--ignore={path}" for path in below)]
    folders = [folder for folder in PARTS[share.part] if (ROOT / folder).is_dir()]
    named = [path for other in others for path in other.paths]
    return folders and [*folders, *(f"--ignore={path}" for path in [*named, *inner(share.part)])]


def inner(part: str) -> list[str]:
    """Folders within those of a part that are another part."""
    return PARTS["faults"] if part == "interop" else []


LONG_MOMENTS = {ROOT / path for path in whole("phone_moments", "s2s_words", "turn_metrics")}
LONG_MOMENTS |= {
    ROOT / f"tests/faults/test_{name}.py" for name in ("drain_calls", "half_open", "start_storm")
}
"""Files whose tests of the timing group run in `make system`, as the page's waterfall does."""


def plan(wanted: Sequence[str], *, system: bool, niceness: int) -> list[Job]:
    """The jobs of the parts that are wanted, in the order of their start; those that compute all
    the time have the niceness.
    """
    jobs: list[Job] = []
    if "checks" in wanted and not system:
        command = [sys.executable, "-u", ROOT / "scripts" / "check.py"]
        jobs.append(Job("checks", "", command, OUT / "test-checks.txt"))
        jobs[-1].niceness = niceness
    for share in sorted(SHARES, key=lambda share: -share.seconds):
        if share.part not in wanted or share.system != system:
            continue
        if (job := job_of(share)) is not None:
            job.niceness = niceness if share.busy else 0
            job.alone = share.alone
            jobs.append(job)
    return jobs


def job_of(share: Share) -> Job | None:
    """What runs a share; None where what it needs is not there."""
    if share.vitest:
        ready = has_packages() and (not share.consumers or npm.is_installed(npm.CONSUMERS))
        return vitest_job(share) if ready else None
    if share.cargo:
        return cargo_job(share) if rust.is_ready() else None
    if share.client:
        return client_job(share) if rust.is_ready() else None
    if arguments := arguments_of(share):
        return pytest_job(share.part, share.name, ["-m", OTHERS, *arguments])
    return None


def turns() -> int:
    """How often a process gets round a small loop in half a second just now."""
    began, count = time.monotonic(), 0
    while time.monotonic() - began < 0.5:
        count += 1
    return count


def workers() -> tuple[int, int]:
    """Jobs that wait for sound and run at a time; the niceness of those beside them."""
    speed = sorted(turns() for _ in range(3))[1] / TURNS
    print(f"test: a process has {speed:.0%} of the speed that the plan is made for", flush=True)
    return next(found for least, found in WORKERS.items() if speed >= least)


def timing_group(*, system: bool) -> list[Callable[[], Job]]:
    """Makers of the jobs of the timing group, or of those of its long tests."""
    folders = [ROOT / folder for part in PARTS.values() for folder in part]
    found = sorted({path for folder in folders for path in folder.rglob("test_*.py")})
    marked = [path for path in found if "mark.timing" in path.read_text("utf-8")]
    marked = [path for path in marked if (path in LONG_MOMENTS) == system]
    makers: list[Callable[[], Job]] = []
    if marked:
        arguments = ["-m", f"timing and {LEFT_OUT}", *map(str, marked)]
        makers.append(lambda: pytest_job(TIMING, "python", arguments))
    if has_packages():
        paths = pages("console-waterfall") if system else pages("clicks", "console-words")
        makers.append(lambda: vitest_job(Share(TIMING, "javascript", 0, paths, vitest=MOMENTS)))
    return makers


def run_timing_group(take: Callable[[Job], None], *, system: bool) -> None:
    """Runs the timing group. A machine that stands still proves nothing about us: what failed
    meanwhile is run once more, and again, but not a fourth time.
    """
    for make in timing_group(system=system):
        for tries in range(1, TRIES + 1):
            job = make()
            print(f"== alone: {job.title}", flush=True)
            with Stalls() as stalls:
                run_jobs([job], workers=1, on_end=lambda _: None)
            print(f"  the machine stood still for {stalls.worst_ms:.0f} ms at worst", flush=True)
            if not job.status or stalls.worst_ms < STALL_MS or tries == TRIES:
                take(job)
                break
            print(f"  {job.title} failed meanwhile: once more", flush=True)


def count_checks(job: Job) -> Count:
    """What the checks came to, from their last line."""
    text = job.log.read_text("utf-8")
    found = re.search(r"^check: (\d+) ok, (\d+) failed", text, re.MULTILINE)
    count = Count(int(found[1]), int(found[2])) if found else Count(failed=1)
    count.failures += [f"check {name}" for name in re.findall(r"^  (.+?) +FAILED", text, re.M)]
    return count


def show(job: Job, count: Count) -> None:
    """Prints how a job ended, and all of its output when it failed."""
    used = f"{job.seconds:6.1f} s ({job.cpu_s:5.1f} s of a processor)"
    print(f"  {job.title:<22} {used}  {count}", flush=True)
    if count.failed:
        print_output(job)


def print_output(job: Job) -> None:
    """Prints what a job has printed, the last of it."""
    lines = job.log.read_text("utf-8", errors="replace").splitlines()
    print(f"== {job.title}: {job.log.relative_to(ROOT)}", flush=True)
    print("\n".join(lines[-SHOWN_LINES:]), flush=True)
    print(f"== end of {job.title}", flush=True)


class Judge:
    """Takes jobs that have ended. A machine that stands still proves nothing about what speaks in
    real time: what failed meanwhile is run once more, by itself. The second word counts.
    """

    def __init__(self, take: Callable[[Job], None]) -> None:
        self.stalls = Stalls()
        self._take = take
        self._again: list[Job] = []

    def take(self, job: Job) -> None:
        """Counts a job, or keeps it."""
        stalled_ms = self.stalls.worst_since(job.started)
        real = job.part != "checks" and not job.niceness
        if not job.status or not real or stalled_ms < STOOD_MS or len(self._again) == AGAIN:
            self._take(job)
            return
        self._again.append(job)
        print(f"  {job.title} failed; meanwhile the machine stood still for {stalled_ms:.0f} ms")
        print_output(job)

    def repeat(self, *, system: bool) -> None:
        """Runs what was kept, one after the other."""
        for kept in self._again:
            found = [it for it in SHARES if (it.part, it.name) == (kept.part, kept.name)]
            job = next((job_of(share) for share in found if share.system == system), None)
            if job is None:
                self._take(kept)
                continue
            print(f"== once more, by itself: {job.title}", flush=True)
            run_jobs([job], workers=1, on_end=self._take)


def run_jobs_of(wanted: Sequence[str], *, system: bool) -> dict[str, Count]:
    """Runs the parts as jobs; the seconds of a part are those of its jobs together."""
    counts = {part: Count() for part in wanted}

    def take(job: Job) -> None:
        if job.part == "checks":
            count = count_checks(job)
        elif job.part == "mobile" and not job.name:
            count = count_mobile(job.log, job.status)
        else:
            count = count_pytest(job.part, job.name, job.status)
        count.seconds, count.cpu_s = job.seconds, job.cpu_s
        counts[job.part] += count
        show(job, count)

    judged = Judge(take)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime's, in whatever process
    os.environ.setdefault("VOXWIRE_DRAIN_MS", "0")  # nobody waits for a server that a test ends
    os.environ.setdefault("VOXWIRE_MAX_LAG_MS", "0")  # a busy machine refuses nobody
    number, niceness = workers()
    if number == min(WORKERS.values())[0]:
        os.environ["VOXWIRE_TEST_SLOW"] = "1"  # tests/support/pace.py
    jobs = plan(wanted, system=system, niceness=niceness)
    first = [job for job in jobs if not job.niceness and not job.alone]
    beside = [job for job in jobs if job.niceness]
    for where, found in ((f"{number} at a time", first), ("beside them", beside)):
        if found:
            print(f"== {where}: {', '.join(job.title for job in found)}", flush=True)
    with judged.stalls:
        run_jobs(first, workers=number, on_end=judged.take, beside=beside)
        for job in (job for job in jobs if job.alone):
            print(f"== alone: {job.title}", flush=True)
            run_jobs([job], workers=1, on_end=judged.take)
    judged.repeat(system=system)
    if TIMING not in wanted:
        return counts
    for long in (False, True) if list(wanted) == [TIMING] else (system,):
        run_timing_group(take, system=long)
    if (size := counts[TIMING].passed + counts[TIMING].failed) > GROUP:
        print(f"test: the timing group has {size} tests, more than {GROUP}", file=sys.stderr)
        counts[TIMING].failed += 1
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
        ignored = [f"--ignore={path}" for path in inner(part)]
        command = pytest_command(part, "", [*extra, *ignored, *folders])
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        counts[part] = count_pytest(part, "", status)
        counts[part].seconds = time.monotonic() - started
    return counts


def prepare_javascript(*, wanted: bool, consumers: bool) -> bool:
    """Builds what the tests of the JavaScript side run on, and installs what those of the browser
    build apps with; false when that failed.
    """
    if not wanted:
        return True
    if missing_node() is not None or not has_packages():
        print(f"test: the JavaScript tests are left out: {missing_node() or 'npm ci failed'}")
        return True
    try:
        build()
        if consumers:
            npm.install(
                npm.CONSUMERS,
                what="Vite, Next and Jest for the tests of apps, about 500 MB",
                without="the tests that build apps with them",
            )
    except StepError as error:
        print(f"test: {error}", file=sys.stderr)
        return False
    return True


def wanted_of(named: Sequence[str], extra: Sequence[str]) -> list[str]:
    """The parts to run: those that are named, else all; the timing group unless TIMING=0."""
    if named:
        return [part for part in KNOWN if part in named]
    if os.environ.get("TIMING", "1") != "0" or extra:
        return KNOWN
    print("test: TIMING=0: the tests that judge moments are left out (make timing runs them)")
    return [part for part in KNOWN if part != TIMING]


def record(system: Count, seconds: float) -> None:
    """Keeps how the system tests ended: the newest run first, with the commit that it ran on."""
    _, commit = capture(["git", "rev-parse", "--short", "HEAD"])
    _, changed = capture(["git", "status", "--porcelain", "--untracked-files=no"])
    row = "| {} | {}{} | {} | {} | {:.0f} |".format(
        time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        commit.strip(),
        " and changes" if changed.strip() else "",
        system.passed,
        system.failed,
        seconds,
    )
    lines = RECORD.read_text("utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1
    lines[first:] = [row, *lines[first:]][:RECORDED]
    RECORD.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"test: noted in {RECORD.relative_to(ROOT)}; commit it with what it was run on")


def main(arguments: list[str]) -> int:
    """Runs the parts that were asked for, or all."""
    system = "--system" in arguments
    arguments = [argument for argument in arguments if argument != "--system"]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, extra = arguments[:split], arguments[split + 1 :]
    if unknown := sorted(set(named) - set(KNOWN)):
        print(f"test: no part {', '.join(unknown)}; parts: {', '.join(KNOWN)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    wanted = wanted_of(named, extra)
    pages = {"browser", "clients", TIMING} & set(wanted)
    consumers = "browser" in wanted and (system or bool(extra))
    if not prepare_javascript(wanted=bool(pages), consumers=consumers):
        return 1
    if "mobile" in wanted and not extra and not system:
        try:
            mobile.prepare()
        except StepError as error:
            print(f"test: {error}", file=sys.stderr)
            return 1
    # a shell that starts us in the background ignores SIGINT, which some tests send
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    try:
        if extra:
            counts = run_in_turn(wanted, extra)
        else:
            counts = run_jobs_of(wanted, system=system)
    except KeyboardInterrupt:
        print("\ntest: interrupted", file=sys.stderr)
        return 130
    print()
    for part, count in counts.items():
        if not count.seconds:
            continue
        print(f"{part:<8} {count.seconds:6.1f} s ({count.cpu_s:5.1f} s of a processor)  {count}")
    total = sum(counts.values(), Count())
    elapsed = time.monotonic() - started
    print(f"{'all':<8} {elapsed:6.1f} s ({total.cpu_s:5.1f} s of a processor)\n")
    for failure in total.failures:
        print(f"failed: {failure}")
    print(total)
    if system and not named and not extra:
        record(total, elapsed)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
