"""Writes protocol/spec/conformance.md, what every client does with every message and which test
says so: `gen_conformance.py TARGET`.

The rows come from the schema (each message, in each direction that its sender allows a client) and
from the interfaces of the Python and the TypeScript client (each verb). The cells are those of
protocol/spec/conformance.toml: a test, which must be where the cell says, or a reason. A row that
a client has no cell for is an error, and so is a cell without a row. Runs in the venv.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxwire_protocol import wire

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "protocol" / "spec" / "conformance.toml"
SESSION = ROOT / "clients" / "python" / "src" / "voxwire"
CLIENT = ROOT / "clients" / "js" / "packages" / "client" / "src" / "api.ts"

Cells = dict[tuple[str, str], str]


class ConformanceError(Exception):
    """What the page would say is not so, or is not said."""


def message_rows() -> list[str]:
    """`sends NAME` and `receives NAME`, by the number of the payload in the envelope."""
    fields = wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields
    rows: list[str] = []
    for field in sorted(fields, key=lambda field: field.number):
        rows += [f"sends {field.name}"] if field.name in wire.CLIENT_PAYLOADS else []
        rows += [f"receives {field.name}"] if field.name in wire.SERVER_PAYLOADS else []
    return rows


def python_verbs() -> Iterator[str]:
    """The coroutines that a program may call on a `Session`."""
    for name in ("session.py", "_verbs.py"):
        module = ast.parse((SESSION / name).read_text("utf-8"))
        for node in ast.walk(module):
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node.name


def typescript_verbs() -> Iterator[str]:
    """The methods of the interface `Client`, as Python would spell them."""
    body = re.search(
        r"^export interface Client \{$(.*?)^\}$", CLIENT.read_text("utf-8"), re.M | re.S
    )
    if body is None:
        raise ConformanceError(f"{CLIENT.name} has no interface Client")
    for name in re.findall(r"^  (\w+)(?:<.*>)?\(", body[1], re.M):
        yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def verb_rows(source: dict[str, Any]) -> list[str]:
    """The verbs that are for every client; each one of an interface is listed, or left out."""
    listed: list[str] = list(source["verbs"])
    spelled = {name for names in source["verbs"].values() for name in names}
    known = {*listed, *spelled, *source["not_for_every_client"]}
    if unknown := sorted({*python_verbs(), *typescript_verbs()} - known):
        raise ConformanceError(f"verbs that the page does not know: {', '.join(unknown)}")
    return listed


def check_test(cell: str) -> None:
    """The test that a cell names is there."""
    place, _, title = cell.partition("::")
    path = ROOT / place
    if not path.is_file() or title not in path.read_text("utf-8"):
        raise ConformanceError(f"there is no test {cell}")


def read_cells(source: dict[str, Any], rows: list[str]) -> Cells:
    """What each client does, by client and row."""
    cells: Cells = {}
    for entry in source["cell"]:
        test, reason = entry.get("test"), entry.get("reason")
        if (test is None) == (reason is None):
            raise ConformanceError(f"a cell has a test or a reason: {entry}")
        if test is not None:
            check_test(test)
        for row in rows if entry["rows"] == "rest" else entry["rows"]:
            key = (entry["client"], row)
            if entry["rows"] == "rest" and key in cells:
                continue
            if row not in rows or key in cells:
                raise ConformanceError(f"no such row, or said twice: {entry['client']}: {row}")
            cells[key] = link(test) if test is not None else f"*{reason}*"
    for client in source["clients"]:
        if missing := [row for row in rows if (client, row) not in cells]:
            raise ConformanceError(f"{client} has no cell for: {', '.join(missing)}")
    return cells


def link(test: str) -> str:
    """A test as the page shows it."""
    place, _, title = test.partition("::")
    return f"[{title}](../../{place})"


def table(clients: list[str], rows: list[str], cells: Cells, references: list[str]) -> list[str]:
    """A table of rows by clients; what is in a cell is a number of `references`, which grows."""
    lines = [f"| | {' | '.join(clients)} |", f"|---|{'---|' * len(clients)}"]
    for row in rows:
        numbers: list[str] = []
        for client in clients:
            cell = cells[client, row]
            if cell not in references:
                references.append(cell)
            mark = "–" if cell.startswith("*") else "✓"
            numbers.append(f"{mark} {references.index(cell) + 1}")
        lines.append(f"| {row} | {' | '.join(numbers)} |")
    return lines


def render(source: dict[str, Any]) -> str:
    """The whole page, of what conformance.toml says."""
    messages, verbs = message_rows(), verb_rows(source)
    cells = read_cells(source, messages + verbs)
    clients: list[str] = source["clients"]
    references: list[str] = []
    message_table = table(clients, messages, cells, references)
    verb_table = table(clients, verbs, cells, references)
    done = {name: sum(cells[name, row][0] == "[" for row in messages + verbs) for name in clients}
    total = len(messages) + len(verbs)
    counts = ", ".join(f"{name} {count}" for name, count in done.items())
    lines = [
        "# What every client does, and the test that says so",
        "",
        "Written by `make gen` from the schema, from the interfaces of the Python and the",
        "TypeScript client, and from [conformance.toml](conformance.toml); `make check` compares.",
        "✓ is a test, – the reason why there is none; the number is that of the list below. A test",
        f"may stand for several messages. Of {total} rows are tested: {counts}.",
        "",
        "## Messages",
        "",
        *message_table,
        "",
        "## Verbs",
        "",
        *verb_table,
        "",
        "## Tests and reasons",
        "",
        *(f"{number}. {cell}" for number, cell in enumerate(references, 1)),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        text = render(tomllib.loads(SOURCE.read_text("utf-8")))
    except ConformanceError as error:
        sys.exit(f"gen_conformance: {error}")
    Path(sys.argv[1]).write_text(text, "utf-8", newline="\n")
