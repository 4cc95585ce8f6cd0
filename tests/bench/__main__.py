"""`python -m tests.bench [ROW...]`: measures, prints, writes out/bench.json.

Exits 1 when a figure that must hold is red or was not measured; --baselines is content with the
peers' figures alone.
"""

import argparse
import asyncio
import os
import sys

from tests.bench import report
from tests.bench.processes import LOAD_CORE, OUT, BenchError
from tests.bench.rows import ROWS, Bench


async def run(options: argparse.Namespace) -> int:
    """Measures row after row."""
    bench = Bench(window_s=options.window, full=options.full)
    lines: list[report.Line] = []
    errors = 0
    for row in ROWS:
        if options.rows and row.key not in options.rows:
            continue
        print(f"bench: == {row.key} {row.title}", flush=True)
        try:
            lines += await row.measure(bench)
        except (BenchError, TimeoutError) as error:
            errors += 1
            print(f"bench: {row.key} failed: {error or type(error).__name__}", file=sys.stderr)
            lines.append(report.Line(row=row.key, what=row.title, unit="", bound=0, note="failed"))
    print()
    report.show(lines)
    path = OUT / "bench.json"
    report.write(path, lines, bench.records())
    print(f"\nbench: {path.relative_to(OUT.parent)}")
    return 1 if errors else report.exit_code(lines, baselines=options.baselines)


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument(
        "rows", nargs="*", help=f"of {', '.join(dict.fromkeys(row.key for row in ROWS))}"
    )
    parser.add_argument("--window", type=float, default=4.0, help="seconds")
    parser.add_argument("--full", action="store_true", help="twice the turns and words")
    parser.add_argument("--baselines", action="store_true")
    options = parser.parse_args()
    if unknown := sorted(set(options.rows) - {row.key for row in ROWS}):
        parser.error(f"no row {', '.join(unknown)}")
    if LOAD_CORE is None:
        print("bench: one core only, so server and load share it: figures are rough")
    else:
        os.sched_setaffinity(0, {LOAD_CORE})
    return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
