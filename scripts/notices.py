"""Writes THIRD_PARTY_NOTICES.md, and the console's: `notices.py [--check]`; run by .venv's Python.

A licence that is not known here, or that asks for more than a notice, is an error: `ALLOWED`,
`ACCEPTED`.
"""

import re
import sys

import third_party
from license_expression import ExpressionError, get_spdx_licensing
from steps import ROOT, StepError
from third_party import IN_THE_CONSOLE, Package

NOTICES = ROOT / "THIRD_PARTY_NOTICES.md"
CONSOLE = ROOT / "clients/js/apps/console/public/third-party-notices.txt"
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
        *("CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unicode-3.0"),
        *("Unlicense", "Zlib"),
    }
)
ACCEPTED = {
    "num2words": "Pipecat requires it; it is installed as it is, in files of its own",
    "soxr": "installed as it is, in files of its own that another build can take the place of",
}
"""Packages whose licence is no allowed one, and why they may be required all the same."""

HEAD = """# Third-party notices

Written by `scripts/notices.py`; `make check` says when it is out of date. The exact versions of a
release are in its SBOM (`voxwire-*.cdx.json`, CycloneDX), which `make dist` writes.

What is made here is under the BSD-2-Clause licence ([LICENSE](LICENSE)). It has in it or requires
what is listed below.
"""
TABLES = {
    "pypi": (
        "Python packages that ours require",
        "Every extra included. They are installed beside ours by pip, from where their authors put"
        " them, with their licences; none is in our wheels. An [image](docs/image.md) has them"
        " inside, each with its licence in its `.dist-info`.",
    ),
    "npm": (
        "npm packages that ours require",
        "Installed beside ours by npm. `react`, `react-dom` and `scheduler` are the app's own.",
    ),
    "cargo": (
        "Crates in the libraries for C, Kotlin and Rust",
        "Linked into what `clients/mobile-bindings` is built to. No release has such a library"
        " yet.",
    ),
}
_spdx = get_spdx_licensing()


def trouble_of(package: Package) -> str:
    """What is wrong with a package's licence; "" = nothing."""
    if not package.licence:
        return f"{package.name}: it says no licence; look at its text (LOOKED_UP in third_party.py)"
    try:
        parsed = _spdx.parse(package.licence, validate=True)
    except ExpressionError:
        return (
            f"{package.name}: {package.licence!r} is no SPDX expression (NAMED in third_party.py)"
        )
    taken = {each: _spdx.TRUE if str(each) in ALLOWED else _spdx.FALSE for each in parsed.literals}
    if parsed.subs(taken, simplify=True) == _spdx.TRUE or package.name in ACCEPTED:
        return ""
    return f"{package.name}: {package.licence} is not allowed (ALLOWED, ACCEPTED in notices.py)"


def pinned_elsewhere(here: set[str]) -> dict[str, str]:
    """Rows of the file for packages that only another Python or another machine has."""
    text = NOTICES.read_text("utf-8") if NOTICES.exists() else ""
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    names = re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in names} - here
    section = text.partition(TABLES["pypi"][0])[2].partition("\n## ")[0]
    rows = re.findall(r"^(\| (\S+) \|.*)$", section, re.MULTILINE)
    return {name: row for row, name in rows if name in known}


def row(package: Package) -> str:
    """A line of a table."""
    why = ACCEPTED.get(package.name, "")
    return f"| {package.name} | {package.licence} | {why} |"


def _table(kind: str, found: list[Package]) -> str:
    title, about = TABLES[kind]
    rows = {p.name: row(p) for p in found if p.kind == kind and not p.is_ours}
    if kind == "pypi":
        rows |= pinned_elsewhere(set(rows))
    body = "\n".join(rows[name] for name in sorted(rows))
    return f"\n## {title}\n\n{about}\n\n| package | licence | |\n|---|---|---|\n{body}\n"


def bundled(found: list[Package]) -> str:
    """What is in the console's files, with the texts of the licences; no versions."""
    licences = {p.name: p.licence for p in found if p.kind == "npm"}
    parts = [
        f"{name}: {licences[name]}\n\n{third_party.text_of(name)}\n" for name in IN_THE_CONSOLE
    ]
    rule = "\n" + "-" * 80 + "\n\n"
    return (
        "The console, which voxwire-server shows and its wheel has inside, is made with:\n"
        + rule
        + rule.join(parts)
    )


def written(found: list[Package]) -> dict[str, str]:
    """The two files: path from the root, text."""
    inside = bundled(found)
    kinds = ("pypi", "npm", "cargo")
    has = {p.kind for p in found}
    text = HEAD + "".join(_table(kind, found) for kind in kinds if kind in has)
    if "cargo" not in has and NOTICES.exists():  # no cargo here: as it was
        old = NOTICES.read_text("utf-8")
        start = old.find(f"\n## {TABLES['cargo'][0]}")
        text += old[start : old.index("\n## ", start + 1)] if start >= 0 else ""
    text += f"\n## In the console\n\n<!-- not here: texts of licences -->\n```text\n{inside}```\n"
    return {
        str(NOTICES.relative_to(ROOT)): text,
        str(CONSOLE.relative_to(ROOT)): inside,
    }


def main(arguments: list[str]) -> int:
    """Writes the files, or says which are out of date."""
    try:
        found = third_party.packages()
        troubles = [text for package in found if (text := trouble_of(package))]
        files = written(found)
    except StepError as error:
        print(f"notices: {error}", file=sys.stderr)
        return 1
    if "--check" in arguments:
        for path, text in files.items():
            file = ROOT / path
            if not file.exists() or file.read_text("utf-8") != text:
                troubles.append(f"{path} is out of date: .venv/bin/python scripts/notices.py")
    else:
        for path, text in files.items():
            (ROOT / path).write_text(text, "utf-8")
    good = f"notices: {len(found)} packages, every licence is known{third_party.left_out(found)}"
    print("\n".join(troubles) or good)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
