"""What the scripts share: where things are, how a step is run and shown. Standard library only."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
VENV_VARIABLE = "VOXWIRE_VENV"
"""Names another environment in the clone than .venv, one for each further Python."""
VENV = ROOT / (os.environ.get(VENV_VARIABLE) or ".venv")
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
NODE_BIN = ROOT / "node_modules" / ".bin"


class StepError(Exception):
    """A step failed; the message is all that the user needs to read."""


class Line:
    """One line of progress: rewritten on a terminal, otherwise repeated every five seconds."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._live = sys.stdout.isatty()
        self._started = time.monotonic()
        self._shown = self._started
        if self._live:
            print(f"  {label} ...", end="", flush=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the line began."""
        return time.monotonic() - self._started

    def update(self, text: str) -> None:
        """Shows how far the step is."""
        now = time.monotonic()
        if self._live:
            print(f"\r\033[K  {self._label} ... {text}", end="", flush=True)
        elif now - self._shown >= 5:
            print(f"  {self._label} ... {text}", flush=True)
            self._shown = now

    def done(self, text: str) -> None:
        """Ends the line."""
        lead = "\r\033[K" if self._live else ""
        print(f"{lead}  {self._label}: {text} ({self.elapsed_s:.1f} s)", flush=True)


def stream(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    env: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Runs a command, hands on each line that it prints; returns exit code and output."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            on_line(line.rstrip())
    return process.returncode, "".join(lines)


def capture(
    command: Sequence[str | Path], *, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Runs a command quietly; returns its exit code (127: not there), and stdout with stderr."""
    try:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        return 127, str(error)
    return result.returncode, result.stdout


def tail(text: str, count: int = 15) -> str:
    """The last lines of an output, indented."""
    return "\n".join("    " + line for line in text.strip().splitlines()[-count:])


def tracked_files() -> list[Path]:
    """Files of the repository: tracked, or new and not ignored."""
    code, output = capture(["git", "ls-files", "-co", "--exclude-standard"])
    if code != 0:
        raise StepError("this needs a git work tree: " + output.strip())
    return [path for name in output.splitlines() if (path := ROOT / name).is_file()]
