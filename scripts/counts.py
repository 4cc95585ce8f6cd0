"""What test programs came to, from the JUnit files that they wrote, or from what they printed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
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

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
            self.cpu_s + other.cpu_s,
        )

    def __str__(self) -> str:
        if self.passed + self.failed + self.skipped == 0:
            return "no tests"
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def report_of(part: str, name: str) -> Path:
    """Where pytest writes what a job came to."""
    return OUT / f"junit-{'-'.join(filter(None, [part, name]))}.xml"


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


def count_mobile(log: Path, status: int) -> Count:
    """What the mobile bindings came to, from what their test programs printed."""
    text = log.read_text("utf-8", errors="replace")
    count = Count()
    for pattern, read in MOBILE_RESULTS.items():
        for numbers in re.findall(pattern, text, re.MULTILINE):
            count += Count(*read(*map(int, numbers)))
    if (status != 0 and count.failed == 0) or count.passed == 0:
        count.failed += 1  # something did not compile, or a program crashed
    return count
