"""The acceptance of the Python client, run against `voxwire-rs`: `driven.py [SHARE...]`, as
`mobile.py client` runs all of it. `make test` runs each share as a job of its own that gives way to
nobody: a client that stands still for 2 s is one that the bot does not speak to any more.
"""

import os
import subprocess
import sys
from pathlib import Path

import rust
from counts import NO_TESTS, Count, count_pytest, report_of
from shares import SHARES
from steps import OUT, PYTHON, ROOT

PROGRAM = "voxwire-rs.exe" if sys.platform == "win32" else "voxwire-rs"

RUNS = {share.name: share.paths for share in SHARES if share.client}
"""Files that are run side by side: most of their time is a conversation's own."""

OTHERS = "not timing and not bench and not soak and not live"


def program() -> Path:
    """Where cargo puts `voxwire-rs`."""
    return rust.target() / "debug" / PROGRAM


def missing_client() -> str | None:
    """What is missing to run it; None = nothing."""
    return None if PYTHON.exists() else "no .venv here: `make setup` makes it"


def run_client() -> int:
    """Runs the tests; returns the exit code. Those of the timing group are left to who asks."""
    running = {name: _start(name, subprocess.PIPE) for name in RUNS}
    total = Count()
    for name, process in running.items():
        output = process.communicate()[0]
        count = count_pytest("mobile", name, process.returncode)
        if count.failed:
            print(output, flush=True)
        total += count
    print(f"client: {total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed or not total.passed else 0


def _start(name: str, output: int | None) -> "subprocess.Popen[str]":
    OUT.mkdir(exist_ok=True)
    env = os.environ | {
        "VOXWIRE_TEST_CLIENT": str(program()),
        "VOXWIRE_TEST_CLIENT_TRANSPORTS": "websocket,webrtc",
    }
    report = report_of("mobile", name)
    report.unlink(missing_ok=True)
    options = ["-q", "-m", OTHERS, "--durations=5", "--durations-min=2", f"--junitxml={report}"]
    command = [PYTHON, "-m", "pytest", *options, *RUNS[name]]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT, text=True
    )


def main(arguments: list[str]) -> int:
    """Runs the shares that are named, one after the other, or all; returns the exit code."""
    if not program().exists():
        for name in arguments:
            report_of("mobile", name).unlink(missing_ok=True)
        print("client: left out: voxwire-rs is not built")
        return NO_TESTS
    return max(_start(name, None).wait() for name in arguments or RUNS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
