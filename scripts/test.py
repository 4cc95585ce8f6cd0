"""Every check and test: `test.py [PART...] [-- PYTEST ARGUMENTS]`; parts: checks, cores, server,
clients, interop. Ends with the time of each part and `N passed, N failed`.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from xml.etree import ElementTree

from check import run_checks
from steps import OUT, PYTHON, ROOT

PARTS = {
    "cores": ["protocol/python/tests"],
    "server": ["server/tests"],
    "clients": ["clients/python/tests"],
    "interop": ["tests"],
}
NO_TESTS = 5  # pytest's exit code


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
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def run_pytest(part: str, arguments: list[str]) -> Count:
    """Runs one part in a process of its own and counts from its JUnit file."""
    folders = [folder for folder in PARTS[part] if (ROOT / folder).is_dir()]
    if not folders:
        return Count()
    report = OUT / f"junit-{part}.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "--durations=5", "--durations-min=2", f"--junitxml={report}"]
    status = subprocess.run(
        [PYTHON, "-m", "pytest", *options, *arguments, *folders], cwd=ROOT, check=False
    ).returncode
    if not report.exists():
        return Count(failed=0 if status == NO_TESTS else 1)
    count = Count()
    for suite in ElementTree.parse(report).iter("testsuite"):
        total, errors, failures, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "errors", "failures", "skipped")
        )
        count += Count(total - errors - failures - skipped, errors + failures, skipped)
    if status not in (0, NO_TESTS) and count.failed == 0:
        count.failed = 1  # a crash, a leaked task, a usage error: never green
    return count


def main(arguments: list[str]) -> int:
    """Runs the parts that were asked for, or all."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    wanted, extra = arguments[:split], arguments[split + 1 :]
    known = ["checks", *PARTS]
    if unknown := sorted(set(wanted) - set(known)):
        print(f"test: no part {', '.join(unknown)}; parts: {', '.join(known)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    counts: dict[str, Count] = {}
    for part in known:
        if wanted and part not in wanted:
            continue
        print(f"== {part}", flush=True)
        started = time.monotonic()
        counts[part] = Count(*run_checks()) if part == "checks" else run_pytest(part, extra)
        counts[part].seconds = time.monotonic() - started
    print()
    for part, count in counts.items():
        nothing = count.passed + count.failed + count.skipped == 0
        print(f"{part:<8} {count.seconds:6.1f} s  {'no tests' if nothing else count}")
    total = sum(counts.values(), Count())
    print(f"{'all':<8} {total.seconds:6.1f} s\n\n{total}")
    ran = total.passed + total.failed
    return 1 if total.failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
