"""Every check and test: `test.py [PART...] [-- PYTEST ARGUMENTS]`; parts: checks, cores, server,
clients, browser, interop, faults. Ends with the time of each part and `N passed, N failed`.

What is busy runs first, side by side; then, three at a time, what mostly waits in real time and
judges moments; then what drives a browser, two at a time; then what must be alone. With pytest
arguments the parts run one after the other and print as they go.
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

import npm
from counts import Count, count_pytest, report_of
from javascript import build, has_packages, missing_node
from jobs import Job, run_jobs
from steps import NODE_BIN, OUT, PYTHON, ROOT, StepError

PARTS = {
    "cores": ["protocol/python/tests"],
    "server": ["server/tests"],
    "clients": ["clients/python/tests"],
    "browser": [],
    "interop": ["tests"],
    "faults": ["tests/faults"],
}
SHOWN_LINES = 400
"""Most lines of a failed job that are printed; its file has them all."""


class Phase(IntEnum):
    """When a job runs; the phases follow each other."""

    BUSY = 0
    QUIET = 1
    PAGES = 2
    ALONE = 3


WORKERS = {Phase.BUSY: 3, Phase.QUIET: 3, Phase.PAGES: 2, Phase.ALONE: 1}
"""Jobs at a time, for two processors."""


@dataclass(frozen=True)
class Share:
    """Tests of a part that run in one process: what no other share of the part has, if `paths` is
    empty. `seconds` is about what it takes; the longest of a phase starts first. `vitest` names the
    configuration of vitest that runs it instead of pytest; `apart`: in a network of its own;
    `consumers`: with what the lock file of `npm.CONSUMERS` names.
    """

    part: str
    name: str
    phase: Phase
    seconds: int
    paths: tuple[str, ...] = ()
    vitest: str = ""
    apart: bool = False
    consumers: bool = False


UNIT = "clients/js/vitest.config.ts"
BROWSER = "clients/js/vitest.browser.config.ts"

SHARES = [
    Share("cores", "rtc", Phase.QUIET, 25, ("protocol/python/tests/test_rtc.py",)),
    Share("cores", "rest", Phase.BUSY, 25),
    Share("server", "bots", Phase.BUSY, 80, ("server/tests/bots",)),
    Share("server", "rest", Phase.BUSY, 25),
    Share("clients", "python", Phase.QUIET, 50),
    Share("clients", "js", Phase.BUSY, 60, vitest=UNIT),
    Share("browser", "talk", Phase.PAGES, 30, ("test/browser/talk",), vitest=BROWSER),
    Share("browser", "cuts", Phase.PAGES, 40, ("test/browser/cuts",), vitest=BROWSER),
    Share("browser", "lifecycle", Phase.PAGES, 35, ("test/browser/lifecycle",), vitest=BROWSER),
    Share(
        "browser",
        "cycles",
        Phase.PAGES,
        40,
        ("test/browser/cycles", "test/browser/suspended"),
        vitest=BROWSER,
    ),
    Share(
        "browser", "firefox", Phase.PAGES, 45, ("test/browser/firefox",), vitest=BROWSER, apart=True
    ),
    Share("browser", "microphone", Phase.PAGES, 15, ("test/browser/microphone",), vitest=BROWSER),
    Share("browser", "clicks", Phase.ALONE, 55, ("test/browser/clicks",), vitest=BROWSER),
    Share(
        "browser",
        "consumers",
        Phase.PAGES,
        45,
        ("test/browser/consumers",),
        vitest=BROWSER,
        consumers=True,
    ),
    Share(
        "browser",
        "console",
        Phase.PAGES,
        80,
        ("test/browser/console-looks", "test/browser/console-talk", "test/browser/react-app"),
        vitest=BROWSER,
    ),
    Share(
        "browser",
        "console timed",
        Phase.ALONE,
        60,
        ("test/browser/console-words", "test/browser/console-waterfall"),
        vitest=BROWSER,
    ),
    Share("interop", "bot", Phase.QUIET, 85, ("tests/integration/test_offline_bot.py",)),
    Share("interop", "wheels", Phase.BUSY, 15, ("tests/integration/test_wheels.py",)),
    Share("interop", "talk", Phase.QUIET, 70, ("tests/integration/test_talk.py",)),
    Share("interop", "cuts", Phase.QUIET, 65, ("tests/integration/test_interruptions.py",)),
    Share("interop", "words", Phase.QUIET, 40, ("tests/integration/test_words.py",)),
    Share("interop", "hostile", Phase.QUIET, 30, ("tests/integration/test_hostile.py",)),
    Share("interop", "leaks", Phase.QUIET, 60, ("tests/integration/test_leaks.py",)),
    Share(
        "interop",
        "tools",
        Phase.QUIET,
        40,
        ("tests/integration/test_client_tools.py", "tests/integration/test_forged_results.py"),
    ),
    Share("interop", "metrics", Phase.QUIET, 20, ("tests/integration/test_turn_metrics.py",)),
    Share(
        "interop",
        "gemini",
        Phase.QUIET,
        65,
        (
            "tests/integration/test_gemini_bot.py",
            "tests/integration/test_gemini_peer.py",
            "tests/integration/test_gemini_readme.py",
            "tests/integration/test_gemini_stock.py",
            "tests/integration/test_openai_realtime_bot.py",
        ),
    ),
    Share(
        "interop",
        "speech to speech",
        Phase.QUIET,
        75,
        (
            "tests/integration/test_s2s_words.py",
            "tests/integration/test_s2s_cuts.py",
            "tests/integration/test_s2s_endings.py",
        ),
    ),
    Share(
        "interop",
        "readmes",
        Phase.QUIET,
        90,
        (
            "tests/integration/test_readme_programs.py",
            "tests/integration/test_example_bots.py",
            "tests/integration/test_readmes.py",
            "tests/integration/test_tarballs.py",
        ),
    ),
    Share("interop", "kept", Phase.QUIET, 45, ("tests/integration/test_kept_microphone.py",)),
    Share(
        "interop",
        "answers",
        Phase.QUIET,
        60,
        (
            "tests/integration/test_plain_processors.py",
            "tests/integration/test_verb_order.py",
            "tests/integration/test_answer_timeout.py",
            "tests/integration/test_heard_order.py",
            "tests/integration/test_odd_frames.py",
            "tests/integration/test_voice_shapes.py",
        ),
    ),
    Share("interop", "rest", Phase.QUIET, 120),
    Share("faults", "turn", Phase.QUIET, 25, ("tests/faults/test_turn.py",)),
    Share("faults", "cuts", Phase.QUIET, 60, ("tests/faults/test_cuts.py",)),
    Share(
        "faults",
        "silence",
        Phase.QUIET,
        40,
        ("tests/faults/test_blackouts.py", "tests/faults/test_dead_peers.py"),
    ),
    Share("faults", "parting", Phase.QUIET, 40, ("tests/faults/test_parting.py",)),
    Share("faults", "rest", Phase.ALONE, 60),
]


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
    return Job(share.part, share.name, [*apart, *command, *share.paths], log)


def arguments_of(share: Share) -> list[str]:
    """Where pytest finds the tests of a share; nothing if there are none."""
    if share.paths:
        return list(share.paths)
    folders = [folder for folder in PARTS[share.part] if (ROOT / folder).is_dir()]
    named = [path for other in SHARES if other.part == share.part for path in other.paths]
    return folders and [*folders, *(f"--ignore={path}" for path in [*named, *inner(share.part)])]


def inner(part: str) -> list[str]:
    """Folders within those of a part that are another part."""
    return PARTS["faults"] if part == "interop" else []


def plan(wanted: Sequence[str]) -> dict[Phase, list[Job]]:
    """The jobs of the parts that are wanted, by phase, in the order in which they start."""
    phases: dict[Phase, list[Job]] = {phase: [] for phase in Phase}
    if "checks" in wanted:
        command = [sys.executable, "-u", ROOT / "scripts" / "check.py"]
        phases[Phase.BUSY].append(Job("checks", "", command, OUT / "test-checks.txt"))
    for share in sorted(SHARES, key=lambda share: -share.seconds):
        if share.part not in wanted:
            continue
        if share.vitest:
            if has_packages() and (not share.consumers or npm.is_installed(npm.CONSUMERS)):
                phases[share.phase].append(vitest_job(share))
        elif arguments := arguments_of(share):
            phases[share.phase].append(pytest_job(share.part, share.name, arguments))
    return phases


def count_checks(job: Job) -> Count:
    """What the checks came to, from their last line."""
    found = re.search(r"^check: (\d+) ok, (\d+) failed", job.log.read_text("utf-8"), re.MULTILINE)
    return Count(int(found[1]), int(found[2])) if found else Count(failed=1)


def show(job: Job, count: Count) -> None:
    """Prints how a job ended: all of its output when it failed, else what was tried again."""
    print(f"  {job.title:<22} {job.seconds:6.1f} s  {count}", flush=True)
    lines = job.log.read_text("utf-8", errors="replace").splitlines()
    if not count.failed:
        lines = [line for line in lines if re.search(r"RETRY \S+::|^E  ", line)]
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
        ignored = [f"--ignore={path}" for path in inner(part)]
        command = pytest_command(part, "", [*extra, *ignored, *folders])
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        counts[part] = count_pytest(part, "", status)
        counts[part].seconds = time.monotonic() - started
    return counts


def prepare_javascript(*, wanted: bool, browser: bool) -> bool:
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
        if browser:
            npm.install(
                npm.CONSUMERS,
                what="Vite, Next and Jest for the tests of apps, about 500 MB",
                without="the tests that build apps with them",
            )
    except StepError as error:
        print(f"test: {error}", file=sys.stderr)
        return False
    return True


def main(arguments: list[str]) -> int:
    """Runs the parts that were asked for, or all."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    named, extra = arguments[:split], arguments[split + 1 :]
    known = ["checks", *PARTS]
    if unknown := sorted(set(named) - set(known)):
        print(f"test: no part {', '.join(unknown)}; parts: {', '.join(known)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    browser = not named or "browser" in named
    if not prepare_javascript(wanted=browser or "clients" in named, browser=browser):
        return 1
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
