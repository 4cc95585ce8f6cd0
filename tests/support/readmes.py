"""The fences of the Markdown files, and how each is marked.

The comment on the line before a fence says what it is:

- ``<!-- program -->``, ``<!-- program in Node -->``, ``<!-- program in a page -->``: runs in a test
  as it is written (:mod:`tests.support.readme_programs`, ``talk-readmes.test.ts``);
- ``<!-- program of TEST -->``: that test, which names this file, runs it;
- ``<!-- fragment of FILE -->``: stands verbatim in a file that runs;
- ``<!-- not here: REASON -->``.
"""

import re
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "MARKDOWN_LINKS",
    "Fence",
    "anchors",
    "fences",
    "has_fragment",
    "headings",
    "markdown_files",
    "read_fences",
    "trouble_of",
]

ROOT: Final = Path(__file__).resolve().parents[2]
MARK: Final = re.compile(r"<!-- (program|fragment|not here)(?: (in|of) |: | *(?=-->))(.*?) *-->$")
MARKDOWN_LINKS: Final = re.compile(r"\]\(([^)\s]+)\)")
"""Targets of links and pictures."""

RUNNERS: Final = ("", "Node", "a page")
MIN_REASON: Final = 10


@dataclass(frozen=True)
class Fence:
    """A fenced block.

    Attributes:
        path: The file, from the repository's root.
        line: Where the fence opens, from 1.
        heading: The heading above it.
        language: What follows the back-ticks.
        text: What is inside, without the indentation of the fence.
        comment: The comment before it; empty = none.
    """

    path: str
    line: int
    heading: str
    language: str
    text: str
    comment: str

    @property
    def kind(self) -> str:
        """``program``, ``fragment``, ``not here``, or empty when the comment is not such a mark."""
        found = MARK.match(self.comment)
        return found[1] if found else ""

    @property
    def of(self) -> str:
        """The file, the reason or the place that the mark names."""
        found = MARK.match(self.comment)
        return found[3].strip() if found else ""

    @property
    def runner(self) -> str | None:
        """Where a program runs: empty (a shell, Python), ``Node``, ``a page``; None = elsewhere."""
        found = MARK.match(self.comment)
        if found is None or found[1] != "program" or found[2] == "of":
            return None
        return found[3].strip()

    @property
    def name(self) -> str:
        """How a test calls it."""
        return f"{self.path}, {self.heading}, {self.language}"


def read_fences(text: str, path: str) -> list[Fence]:
    """The fences of a Markdown text, in their order."""
    found: list[Fence] = []
    heading, before, opened = "", "", None
    body: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"( *)(`{3,}|~{3,}) *([\w+-]*)", line)
        if opened is None and fence:
            opened = (number, fence[2], fence[3], before)
            body = []
        elif opened is not None and fence and fence[2].startswith(opened[1]) and not fence[3]:
            at, _, language, comment = opened
            inside = textwrap.dedent("\n".join(body)) + "\n"
            mark = comment if comment.startswith("<!--") else ""
            found.append(Fence(path, at, heading, language, inside, mark))
            opened = None
        elif opened is not None:
            body.append(line)
        elif title := re.match(r"#+ +(.*)", line):
            heading = title[1].strip()
        if line.strip():
            before = line.strip()
    assert opened is None, f"{path}:{opened and opened[0]}: the fence is never closed"
    return found


def headings(text: str) -> list[str]:
    """The headings of a Markdown text, without what is inside fences."""
    bare = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return [title.strip() for title in re.findall(r"^#+ +(.*)$", bare, re.MULTILINE)]


def anchors(text: str) -> set[str]:
    """What a link into a Markdown text may name, as GitHub makes it."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(text)}


def markdown_files() -> list[str]:
    """The Markdown files of the repository, tracked or new, without the list of changes."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    return [name for name in names if name != "CHANGELOG.md"]


def fences() -> list[Fence]:
    """Every fence of the repository."""
    return [
        fence
        for name in markdown_files()
        for fence in read_fences((ROOT / name).read_text("utf-8"), name)
    ]


def has_fragment(text: str, fragment: str) -> bool:
    """Whether the lines of a fragment stand in a text one after the other, at any indentation."""
    wanted = fragment.rstrip("\n").splitlines()
    if len(wanted) == 1:
        return wanted[0].strip() in text
    lines = text.splitlines()
    for start in range(len(lines) - len(wanted) + 1):
        piece = textwrap.dedent("\n".join(lines[start : start + len(wanted)])).splitlines()
        if piece == wanted:
            return True
    return False


def runs(path: str) -> bool:
    """Whether a file runs in a test: it is one, part of an app that one builds, or an example
    (every example is run).
    """
    name = Path(path).name
    is_test = name.startswith("test_") or ".test." in name
    is_used = path.startswith(("examples/", "clients/js/test/consumers/"))
    return (ROOT / path).is_file() and (is_test or is_used)


def trouble_of(fence: Fence) -> str:
    """What is wrong with how a fence is marked; empty = nothing."""
    match fence.kind:
        case "fragment":
            if not runs(fence.of):
                return f"{fence.of} is no example and no test"
            if not has_fragment((ROOT / fence.of).read_text("utf-8"), fence.text):
                return f"{fence.of} has no such lines"
        case "not here":
            if len(fence.of) < MIN_REASON:
                return "why not?"
        case "program" if fence.runner is not None:
            if fence.runner not in RUNNERS:
                return f"nothing runs a program in {fence.runner!r}"
        case "program":
            test = ROOT / fence.of
            if not test.is_file() or not runs(fence.of):
                return f"there is no test {fence.of}"
            folder, _, name = fence.path.rpartition("/")
            text = test.read_text("utf-8")
            if Path(folder).name not in text or not ("fences()" in text or name in text):
                return f"{fence.of} does not read {fence.path}"
        case _:
            return "it has no mark: program, fragment of FILE, or not here: REASON"
    return ""
