"""Results as JUnit XML, the form that CI systems read."""

import re
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from voxwire.cli.evals.results import Result

__all__ = ["write_junit"]

_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def write_junit(path: Path, results: list[Result], *, transport: str) -> None:
    """Writes a suite for each file, with a case for each scenario.

    A turn's time stands among the properties of its case (``turn1_ms``), what happened in
    ``system-out`` of those that failed.

    Args:
        path: The file; an older one is replaced.
        results: In order.
        transport: What carried the audio, for the suites' names.

    Raises:
        OSError: It cannot be written.
    """
    root = Element("testsuites", {"name": "voxwire eval", **_counts(results)})
    for file in dict.fromkeys(result.path for result in results):
        of_file = [result for result in results if result.path == file]
        named = {"name": f"{file} ({transport})", **_counts(of_file)}
        suite = SubElement(root, "testsuite", named)
        for result in of_file:
            _add_case(suite, result)
    indent(root)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _counts(results: list[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(bool(result.failures) for result in results)),
        "errors": "0",
        "skipped": str(sum(result.not_run is not None for result in results)),
        "time": f"{sum(result.duration_ms for result in results) / 1000:.3f}",
    }


def _add_case(suite: Element, result: Result) -> None:
    seconds = f"{result.duration_ms / 1000:.3f}"
    case = SubElement(
        suite, "testcase", classname=Path(result.path).stem, name=_text(result.name), time=seconds
    )
    properties = SubElement(case, "properties")
    for number, turn in enumerate(result.turns, 1):
        SubElement(properties, "property", name=f"turn{number}_status", value=turn.status)
        ms = str(turn.duration_ms)
        SubElement(properties, "property", name=f"turn{number}_ms", value=ms)
    if result.not_run is not None:
        SubElement(case, "skipped", message=_text(result.not_run))
    for failure in result.failures:
        said = SubElement(case, "failure", type=failure.kind, message=_text(str(failure)))
        said.text = _text(f"{result.path}:{failure.line}: {failure}" if failure.line else "")
    if result.failures:
        SubElement(case, "system-out").text = _text("\n".join(result.trace))


def _text(text: str) -> str:
    """What XML 1.0 can hold of it."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
