"""The acceptance of the Python client, run against `voxwire-rs`: `mobile.py client`."""

import os
import subprocess
import sys
from pathlib import Path

import rust
from counts import Count, count_pytest, report_of
from steps import OUT, PYTHON, ROOT

PROGRAM = "voxwire-rs.exe" if sys.platform == "win32" else "voxwire-rs"

INTEGRATION = "tests/integration/test_"
RUNS = {
    "talk": [f"{INTEGRATION}{name}.py" for name in ("talk", "words", "interruptions")],
    "cuts": [
        f"{INTEGRATION}driven_client.py",
        "tests/faults/test_cuts.py",
        "tests/faults/test_driven_loss.py",
    ],
}
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
    OUT.mkdir(exist_ok=True)
    env = {
        **os.environ,
        "VOXWIRE_TEST_CLIENT": str(program()),
        "VOXWIRE_TEST_CLIENT_TRANSPORTS": "websocket,webrtc",
    }
    running = {name: _start(name, paths, env) for name, paths in RUNS.items()}
    total = Count()
    for name, process in running.items():
        output = process.communicate()[0]
        count = count_pytest("mobile", name, process.returncode)
        if count.failed:
            print(output, flush=True)
        total += count
    print(f"client: {total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed or not total.passed else 0


def _start(name: str, paths: list[str], env: dict[str, str]) -> "subprocess.Popen[str]":
    report = report_of("mobile", name)
    report.unlink(missing_ok=True)
    command = [PYTHON, "-m", "pytest", "-q", "-m", OTHERS, f"--junitxml={report}", *paths]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
