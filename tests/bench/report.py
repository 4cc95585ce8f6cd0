"""The table of a run, and out/bench.json."""

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["green", "red", "missing", "info"]
COLOURS = {"green": "\033[32m", "red": "\033[31m", "missing": "\033[33m", "info": ""}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure: ours, the peer's, and what ours is held to. Lower is better everywhere."""

    row: str
    what: str
    unit: str
    ours: float | None = None
    peer: float | None = None
    ratio_bound: float | None = None
    """Ours at most this many times the peer's of the same run."""
    bound: float | None = None
    """Ours at most this."""
    must: bool = True
    noisy: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return self.ours / self.peer if self.ours is not None and self.peer else None

    @property
    def verdict(self) -> Verdict:
        """Green when every bound holds; `missing` when a bound could not be tried."""
        if self.ratio_bound is None and self.bound is None:
            return "info"
        if self.ours is None or (self.ratio_bound is not None and self.ratio is None):
            return "missing"
        if self.bound is not None and self.ours > self.bound:
            return "red"
        if self.ratio_bound is not None and self.ratio is not None:
            return "green" if self.ratio <= self.ratio_bound else "red"
        return "green"

    @property
    def bound_text(self) -> str:
        """The bounds, as the table shows them."""
        parts = [f"≤ {self.ratio_bound:.2f}×"] if self.ratio_bound is not None else []
        parts += [f"≤ {self.bound:g}"] if self.bound is not None else []
        return ", ".join(parts) or "–"


def number(value: float | None) -> str:
    """Three figures that matter."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(lines: list[Line]) -> None:
    """Prints the table."""
    head = ["row", "figure", "ours", "peer", "ratio", "bound", "verdict", "must", "note"]
    cells = [
        [
            line.row,
            f"{line.what} [{line.unit}]",
            number(line.ours),
            number(line.peer),
            "–" if line.ratio is None else f"{line.ratio:.2f}×",
            line.bound_text,
            line.verdict,
            "must" if line.must else "",
            ("NOISY; " if line.noisy else "") + line.note,
        ]
        for line in lines
    ]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    colour = sys.stdout.isatty()
    for row in [head, ["-" * width for width in widths], *cells]:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        shade = COLOURS.get(row[6], "") if colour else ""
        print(f"{shade}{text.rstrip()}\033[0m" if shade else text.rstrip())


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    names = ("pipecat-ai", "aiortc", "uvloop", "websockets", "protobuf")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in names},
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(path: Path, lines: list[Line], records: dict[str, Any]) -> None:
    """Writes every figure and the raw windows behind them."""
    path.parent.mkdir(exist_ok=True)
    rows = [
        {**asdict(line), "ratio": line.ratio, "verdict": line.verdict, "bounds": line.bound_text}
        for line in lines
    ]
    body = {"machine": machine(), "lines": rows, "runs": records}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")


def exit_code(lines: list[Line], *, baselines: bool) -> int:
    """1 when a must line is red, or (unless only baselines were asked for) was not measured."""
    bad = {"red"} if baselines else {"red", "missing"}
    return 1 if any(line.must and line.verdict in bad for line in lines) else 0
