"""``voxwire eval``: Pipecat's scenario files, run against a bot."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import IO

from voxwire.cli.evals.driving import Progress
from voxwire.cli.evals.results import Failure, Result
from voxwire.cli.evals.scenario import Expectation, Scenario, Turn
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError

__all__ = ["PASSED", "run_eval"]

PASSED, FAILED, WRONG, NOT_RUN, INTERRUPTED = 0, 1, 2, 3, 130


def run_eval(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    try:
        return asyncio.run(_run(options))
    except VoxwireError as error:
        print(f"voxwire: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED


async def _run(options: argparse.Namespace) -> int:
    from voxwire.cli.evals.reading import find_files, read_file

    files = find_files(options.files)
    scenarios = [scenario for file in files for scenario in read_file(file)]
    for note in dict.fromkeys(note for scenario in scenarios for note in scenario.notes):
        print(f"note: {note}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="voxwire-eval-") as folder:
        results = await _run_all(scenarios, options, Path(folder))
    _summary(results, sys.stdout)
    if options.junit is not None:
        _write_report(options.junit, results, options.transport)
    if any(result.failures for result in results):
        return FAILED
    return PASSED if all(result.passed for result in results) else NOT_RUN


async def _run_all(
    scenarios: list[Scenario], options: argparse.Namespace, folder: Path
) -> list[Result]:
    from voxwire._timeouts import Timeouts
    from voxwire.cli.evals.judging import load_judge
    from voxwire.cli.evals.running import How, run_scenario
    from voxwire.cli.evals.voice import Voice

    ask = None if options.judge is None else load_judge(options.judge)
    voice = Voice(options.voice, folder)
    tokens: list[str] = options.token or [os.environ.get("VOXWIRE_TOKEN", "")]
    results: list[Result] = []
    for number, scenario in enumerate(scenarios):
        how = How(
            url=options.url,
            options={
                "transport": options.transport,
                "token": tokens[min(number, len(tokens) - 1)] or None,
                "bot": options.bot,
                "timeouts": Timeouts(connect_ms=options.connect_timeout * 1000),
            },
            voice=voice,
            ask=ask,
            timeout_ms=options.timeout_ms,
        )
        view = _View(sys.stdout)
        view.begins(scenario)
        result = await run_scenario(scenario, how, view)
        view.ended(result, verbose=options.verbose)
        results.append(result)
    return results


class _View(Progress):
    """Prints a line for everything that is decided."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def begins(self, scenario: Scenario) -> None:
        modality = "/".join(
            "audio" if on else "text" for on in (scenario.user_audio, scenario.bot_audio)
        )
        self._print(f"{scenario.name}  ({modality})")

    def turn(self, number: int, turn: Turn) -> None:
        what = f"press {turn.dtmf}" if turn.dtmf else f'"{turn.user}"' if turn.user else "listen"
        self._print(f"  turn {number + 1}: {what}")

    def met(self, expected: Expectation, after_ms: int, matched: str) -> None:
        absent = "no " if expected.absent else ""
        shown = f"  {_short(matched)}" if matched else ""
        self._print(f"    ok    {absent}{expected.event}  {after_ms} ms{shown}")

    def missed(self, failure: Failure) -> None:
        self._print(f"    FAIL  {failure}")

    def ended(self, result: Result, *, verbose: bool) -> None:
        """The last line of a scenario."""
        if verbose:
            for line in result.trace:
                self._print(f"    | {line}")
        self._print(f"  {_outcome(result)}")

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _outcome(result: Result) -> str:
    if result.not_run is not None:
        return f"NOT RUN: {result.not_run}"
    turns = ", ".join(f"{turn.duration_ms} ms" for turn in result.turns if turn.status != "not_run")
    return f"{'PASS' if result.passed else 'FAIL'} in {result.duration_ms} ms (turns: {turns})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")


def _summary(results: list[Result], out: IO[str]) -> None:
    for result in results:
        for failure in result.failures:
            print(f"{result.path}:{failure.line or 1}: {result.name}: {failure}", file=out)
    failed = sum(bool(result.failures) for result in results)
    passed = sum(result.passed for result in results)
    seconds = sum(result.duration_ms for result in results) / 1000
    missing = len(results) - failed - passed
    print(f"{passed} passed, {failed} failed, {missing} not run in {seconds:.1f} s", file=out)


def _write_report(path: Path, results: list[Result], transport: str) -> None:
    from voxwire.cli.evals.junit import write_junit

    try:
        write_junit(path, results, transport=transport)
    except OSError as error:
        reason = f"cannot write {path}: {error.strerror}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason) from error
