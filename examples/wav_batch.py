"""Put a folder of recorded questions to a bot, several at a time; the answers become a CSV.

Run a server (make run), then: .venv/bin/python examples/wav_batch.py FOLDER answers.csv --jobs 4

A row is written when its answer is complete. Ctrl-C ends the conversations in order, and the same
command goes on from there: what has a row is not asked again, what failed is.
"""

import argparse
import asyncio
import contextlib
import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import voxwire


@dataclass
class Row:
    """What came of one file; times are milliseconds."""

    file: str
    question: str = ""
    answer: str = ""
    tools: str = ""
    wait_ms: int | None = None


async def ask(url: str, path: Path, timeout_s: float) -> Row:
    """Play one question to the bot, and follow its answer until it has been quiet for a second."""
    row = Row(path.name)
    words: list[str] = []
    tools: list[str] = []
    async with (
        asyncio.timeout(timeout_s),
        voxwire.connect(url, microphone=path) as session,
    ):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as quiet:
                async for event in session:
                    match event:
                        case voxwire.UserTranscript(text=text, final=True):
                            row.question = f"{row.question} {text}".strip()
                            words.clear()  # what came before is the greeting
                        case voxwire.ToolCallStarted(name=name):
                            tools.append(name)
                        case voxwire.TurnMetrics(total_ms=total_ms):
                            row.wait_ms = total_ms
                        case voxwire.BotWord(text=word):
                            words.append(word)
                        case voxwire.StateChanged(bot=state):
                            idle = row.question and words and state is voxwire.BotState.IDLE
                            now = asyncio.get_running_loop().time()
                            quiet.reschedule(now + 1 if idle else None)
                        case _:
                            pass
    row.answer, row.tools = " ".join(words), " ".join(tools)
    return row


class Batch:
    """The files that are left, and the CSV that grows with each of them."""

    def __init__(self, folder: Path, table: Path) -> None:
        self.files = sorted(folder.glob("*.wav"))
        self.table = table
        self.done = self._read() if table.exists() else set[str]()
        self.failed: dict[str, str] = {}

    def _read(self) -> set[str]:
        with self.table.open(newline="", encoding="utf-8") as file:
            return {row["file"] for row in csv.DictReader(file)}

    def left(self) -> Iterator[Path]:
        """The files without a row."""
        return iter([path for path in self.files if path.name not in self.done])

    def write(self, row: Row) -> None:
        """Add a row; it is in the file when this returns."""
        with self.table.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)])
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(asdict(row))
        self.done.add(row.file)

    def show(self) -> None:
        """Draw the progress bar, over the one before."""
        total = max(1, len(self.files))
        filled = 30 * len(self.done) // total
        failed = f", {len(self.failed)} failed" if self.failed else ""
        bar = f"[{'#' * filled:.<30}] {len(self.done)} of {len(self.files)}{failed}"
        print(f"\r{bar}", end="", file=sys.stderr, flush=True)

    async def run(self, url: str, *, jobs: int, timeout_s: float) -> None:
        """Ask what is left, at most `jobs` at a time."""
        left = self.left()

        async def work() -> None:
            for path in left:  # all workers take from the same iterator
                try:
                    self.write(await ask(url, path, timeout_s))
                except TimeoutError:
                    self.failed[path.name] = f"no answer within {timeout_s:g} s"
                except voxwire.VoxwireError as error:
                    self.failed[path.name] = f"{error.code.name}: {error.reason}"
                self.show()

        self.show()
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(work())


def main() -> int:
    """Run the batch; the exit code is 1 when files failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="has the WAVs, one question each")
    parser.add_argument("table", type=Path, help="the CSV that is written, or gone on with")
    parser.add_argument("--url", default="ws://127.0.0.1:7860")
    parser.add_argument("--jobs", type=int, default=4, help="conversations at a time (4)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each (60)")
    options = parser.parse_args()
    batch = Batch(options.folder, options.table)
    try:
        asyncio.run(batch.run(options.url, jobs=options.jobs, timeout_s=options.timeout))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on from here", file=sys.stderr)
        return 130
    print(file=sys.stderr)
    for name, reason in sorted(batch.failed.items()):
        print(f"{name}: {reason}", file=sys.stderr)
    return 1 if batch.failed else 0


if __name__ == "__main__":
    sys.exit(main())
