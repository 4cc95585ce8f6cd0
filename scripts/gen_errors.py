"""Writes docs/errors.md, a heading for each error code: `gen_errors.py TARGET`.

The rows are those of protocol/spec/errors.md; `VoxwireError.docs` names the headings.
"""

import re
import sys
from pathlib import Path

SPEC = Path(__file__).resolve().parent.parent / "protocol" / "spec" / "errors.md"
ROW = re.compile(
    r"^\| `(?P<code>[A-Z_]+)` \| (?P<number>\d+) \| `(?P<family>\w+)` \| (?P<by>\w+) "
    r"\| (?P<retry>\w+) \| `(?P<action>\w+)` \| (?P<what>.+) \|$",
    re.MULTILINE,
)
HEAD = """# Errors

Every error has a code of this list, in every language; `VoxwireError.docs` of the Python client
names the heading here. Written by `make gen` from [the specification](../protocol/spec/errors.md),
which also has each library's exception and the code that it becomes.
"""
NEXT = {"NONE": "", "RESUME": " The session can be resumed.", "RECONNECT": " Then connect again."}


def render() -> str:
    """The page."""
    parts = [HEAD]
    for row in ROW.finditer(SPEC.read_text("utf-8")):
        what = f"{row['what'][0].upper()}{row['what'][1:]}"
        again = "The same verb may succeed later." if row["retry"] == "yes" else ""
        parts.append(
            f"## {row['code']}\n\n{what}.{NEXT[row['action']]} {again}".rstrip()
            + f"\n\n`{row['family']}`, number {row['number']}.\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), "utf-8", newline="\n")
