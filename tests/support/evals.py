"""``voxwire eval`` with all scenarios and their faults at once: ``evals.py JSON``.

The JSON holds the argument lists; each runs in a thread with an event loop of its own. Prints the
exit codes.
"""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from voxwire.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "tests" / "interop" / "scenarios").glob("*.yaml"))
PATIENCE_MS = 6000
"""How long what does not come is waited for, from a bot with a fault."""

AT_ONCE = 6
"""A server takes eight sockets of an address that have not said Hello."""

MISSES = {
    "greeting": ("llm_started", "timeout"),
    "tool": ("function_call", "function_args_mismatch"),
    "barge_in": ("function_call", "missing_function_call"),
    "absent": ("function_call", "unexpected_event"),
    "memory": ("llm_response", "text_mismatch"),
    "dtmf": ("user_transcription", "timeout"),
    "text_only": ("bot_started_speaking", "unexpected_event"),
    "error": ("llm_response", "text_mismatch"),
}
"""The event with which each scenario finds its fault first, and how."""


@dataclass(frozen=True)
class Case:
    """A scenario's result, as JUnit tells it: kinds of its failures, and the events."""

    kinds: tuple[str, ...]
    events: tuple[str, ...]
    turns: tuple[str, ...]


def commands(
    folder: Path, *options: str, token: Callable[[], str] = lambda: ""
) -> dict[str, list[str]]:
    """The arguments of each scenario, by its bot; results go to ``BOT.xml`` in the folder."""
    found: dict[str, list[str]] = {}
    for path in SCENARIOS:
        found[path.stem] = [str(path)]
        # what must not come is waited for until it does: a busy machine may be late
        patient = folder / path.name
        patient.write_text(path.read_text("utf-8").replace("within_ms: 700", "within_ms: 60000"))
        found[f"{path.stem}-broken"] = [str(patient), "--timeout-ms", str(PATIENCE_MS)]
    for bot, arguments in found.items():
        report = str(folder / f"{bot}.xml")
        arguments[:] = ["eval", *arguments, *options, "--bot", bot, "--junit", report]
        if given := token():
            arguments += ["--token", given]
    return found


def run_all(argument_lists: Sequence[Sequence[str]]) -> list[int]:
    """Run them beside each other; the exit codes."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda arguments: main(list(arguments)), argument_lists))


def read_case(report: Path) -> Case:
    """The one case of a report."""
    [case] = ElementTree.parse(report).getroot().iter("testcase")
    failures = case.findall("failure")
    statuses = [p for p in case.iter("property") if p.attrib["name"].endswith("_status")]
    return Case(
        tuple(failure.attrib["type"] for failure in failures),
        tuple(failure.attrib["message"].split(": ")[1] for failure in failures),
        tuple(status.attrib["value"] for status in statuses),
    )


def check(folder: Path, codes: dict[str, int]) -> None:
    """Every scenario passes, and fails against the bot with its fault, because of it."""
    for name, (event, kind) in MISSES.items():
        whole, broken = (read_case(folder / f"{name}{end}.xml") for end in ("", "-broken"))
        assert (codes[name], whole.kinds) == (0, ()), (name, whole)
        assert set(whole.turns) == {"passed"}, (name, whole)
        assert codes[f"{name}-broken"] == 1, (name, broken)
        assert (broken.events[0], broken.kinds[0]) == (event, kind), (name, broken)


if __name__ == "__main__":
    print("exits", json.dumps(run_all(json.loads(sys.argv[1]))), flush=True)
