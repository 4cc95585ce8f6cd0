"""What test programs came to, from the JUnit files that they wrote, or from what they printed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from steps import OUT

NO_TESTS = 5  # pytest's exit code


@dataclass
class Count:
    """What a part came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    failures: list[str] = field(default_factory=list[str])
    """What failed, a line each: which test, and the first line of why."""

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
            self.cpu_s + other.cpu_s,
            self.failures + other.failures,
        )

    def __str__(self) -> str:
        if self.passed + self.failed + self.skipped == 0:
            return "no tests"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def report_of(part: str, name: str) -> Path:
    """Where pytest writes what a job came to."""
    return OUT / f"junit-{'-'.join(filter(None, [part, name]))}.xml"


WHY = 200
"""Most characters that are shown of why a test failed."""


def failures_in(suite: ElementTree.Element) -> list[str]:
    """The tests of a suite that failed, each with the first line of why."""
    found: list[str] = []
    for case in suite.iter("testcase"):
        for kind in ("failure", "error"):
            if (child := case.find(kind)) is not None:
                why = (child.get("message") or child.text or "").strip().partition("\n")[0]
                found.append(f"{case.get('classname')}::{case.get('name')}: {why[:WHY]}")
    return found


def count_pytest(part: str, name: str, status: int) -> Count:
    """What a process of pytest or vitest came to, from its JUnit file."""
    report = report_of(part, name)
    if not report.exists():
        count = Count()
        if status != NO_TESTS:
            count.failed = 1
            count.failures.append(f"{part} {name}: ended with {status} and wrote no report")
        return count
    count = Count()
    for suite in ElementTree.parse(report).iter("testsuite"):
        total, errors, failures, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "errors", "failures", "skipped")
        )
        count += Count(total - errors - failures - skipped, errors + failures, skipped)
        count.failures += failures_in(suite)
    if status not in (0, NO_TESTS) and count.failed == 0:
        count.failed = 1  # a crash, a leaked task, a usage error: never green
        count.failures.append(f"{part} {name}: ended with {status}, and no test had failed")
    return count


MOBILE_RESULTS: dict[str, Callable[..., tuple[int, ...]]] = {
    # cargo test, a line for each of its programs
    r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;": lambda p, f, s: (p, f, s),
    # the programs of the C interface, and the scripts
    r"^\w+: (\d+) passed, (\d+) failed$": lambda p, f: (p, f),
    # Maven's Surefire
    r"^(?:\[\w+\] +)?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)$": (
        lambda n, f, e, s: (n - f - e - s, f + e, s)
    ),
}

MOBILE_FAILED = r"^(test \S+ \.\.\. FAILED|\[ERROR\]   \S.*|error: .*)$"
"""Lines that name what failed, as cargo, Maven and the compilers print them."""


def count_mobile(log: Path, status: int) -> Count:
    """What the mobile bindings came to, from what their test programs printed."""
    text = log.read_text("utf-8", errors="replace")
    count = Count()
    for pattern, read in MOBILE_RESULTS.items():
        for numbers in re.findall(pattern, text, re.MULTILINE):
            count += Count(*read(*map(int, numbers)))
    if (status != 0 and count.failed == 0) or count.passed == 0:
        count.failed += 1  # something did not compile, or a program crashed
    if count.failed:
        named = re.findall(MOBILE_FAILED, text, re.MULTILINE)
        count.failures += [f"mobile: {name}" for name in named or [f"ended with {status}"]]
    return count
