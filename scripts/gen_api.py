"""Writes clients/python/API.md, every public name of `voxwire`: `gen_api.py TARGET`.

Signatures, fields, units and errors are those of the source and its docstrings. What shows a name
in use is an example that runs; a name or a verb of `Session` that none shows is an error, and so is
one without a docstring. Runs in the venv.
"""

import ast
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path

import voxwire

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PLACES = ["client/tour.py", "python_embed.py", "wav_batch.py", "fastapi_app.py"]
"""Examples, those first that are linked first."""

EVENTS = {event.__name__ for event in typing.get_args(voxwire.Event)}
Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class ApiError(Exception):
    """What the page would have to say is not there."""


def group_of(name: str) -> str:
    """The chapter of a name."""
    thing = getattr(voxwire, name)
    if name in EVENTS or name == "Event":
        return "Events"
    if (inspect.isclass(thing) and issubclass(thing, Exception)) or name == "ErrorCode":
        return "Errors"
    if isinstance(thing, EnumType):
        return "Words of a closed list"
    return "Values and protocols" if inspect.isclass(thing) else "Functions"


def defined(thing: object) -> Defined:
    """Where something is defined, as its source has it."""
    path = inspect.getsourcefile(typing.cast("type", thing))
    name: str = typing.cast("type", thing).__name__
    if path is not None:
        for node in ast.parse(Path(path).read_text("utf-8")).body:
            if isinstance(node, Defined) and node.name == name and not _overload(node):
                return node
    raise ApiError(f"{name} is not defined in a module of ours")


def _overload(node: Defined) -> bool:
    return any("overload" in ast.unparse(it) for it in node.decorator_list)


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str = "") -> str:
    """How it is called, without `self`."""
    arguments = re.sub(r"^self(, )?", "", ast.unparse(node.args))
    result = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    lead = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{lead}{prefix}{node.name}({arguments}){result}"


def explained(node: Defined, name: str) -> list[str]:
    """A docstring: what it says first as text, the rest as it stands."""
    text = ast.get_docstring(node)
    if not text:
        raise ApiError(f"{name} has no docstring")
    first, _, rest = text.partition("\n\n")
    lines = [" ".join(first.split()), ""]
    if rest:
        lines += [f"    {line}".rstrip() for line in rest.splitlines()] + [""]
    return lines


def fields(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a dataclass, or the members of an enum, with the string below each."""
    for at, child in enumerate(node.body):
        line = ast.unparse(child) if isinstance(child, ast.AnnAssign | ast.Assign) else "_"
        if line.startswith("_"):
            continue
        below = node.body[at + 1] if at + 1 < len(node.body) else None
        said = below.value if isinstance(below, ast.Expr) else None
        text = said.value if isinstance(said, ast.Constant) else ""
        yield f"- `{line}`" + (f": {' '.join(str(text).split())}" if text else "")


def members(thing: type) -> Iterator[tuple[str, Defined]]:
    """The methods and properties of a class of ours, as a program may use them."""
    for kind in thing.__mro__:
        if kind.__module__.split(".")[0] in ("voxwire", "voxwire_protocol"):
            for child in defined(kind).body if kind is not thing else defined(thing).body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    setter = any(".setter" in ast.unparse(it) for it in child.decorator_list)
                    if not child.name.startswith("_") and not setter:
                        yield child.name, child


def shown_by(pattern: str) -> str:
    """A link to the first example that uses a name."""
    others = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py"))
    for place in [*PLACES, *(other for other in others if other not in PLACES)]:
        text = (EXAMPLES / place).read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, Defined):
                piece = ast.get_source_segment(text, node) or ""
                decorated = "".join(ast.unparse(it) for it in node.decorator_list)
                if re.search(pattern, piece + decorated):
                    return f"Example: `{node.name}` in [{place}](../../examples/{place})."
    raise ApiError(f"no example has {pattern}")


def class_lines(name: str, thing: type) -> Iterator[str]:
    """What a class has."""
    node = defined(thing)
    assert isinstance(node, ast.ClassDef)
    yield from explained(node, name)
    listed = list(fields(node))
    yield from [*listed, ""] if listed else []
    for member, child in members(thing):
        is_property = any("property" in ast.unparse(it) for it in child.decorator_list)
        returns = "" if child.returns is None else f": {ast.unparse(child.returns)}"
        head = f"{name}.{member}{returns}" if is_property else signature(child, f"{name}.")
        yield from (f"**`{head}`**", "", *explained(child, f"{name}.{member}"))
        if name == "Session":
            yield from (shown_by(rf"\bsession\.{member}\b"), "")


def render() -> str:
    """The page."""
    chapters: dict[str, list[str]] = {
        "Functions": [], "Values and protocols": [], "Events": [], "Errors": [],
        "Words of a closed list": [],
    }  # fmt: skip
    for name in voxwire.__all__:
        lines = chapters[group_of(name)]
        thing = getattr(voxwire, name)
        lines += [f"### {name}", ""]
        if name == "Event":
            lines += ["Any of the events of this chapter, for annotations and `match`.", ""]
        elif inspect.isclass(thing):
            lines += class_lines(name, thing)
        else:
            node = defined(thing)
            assert not isinstance(node, ast.ClassDef)
            lines += [f"`{signature(node)}`", "", *explained(node, name)]
        lines += [shown_by(rf"\bvoxwire\.{name}\b"), ""]
    head = [
        "# The Python API",
        "",
        "Written by `make gen` from the source of `voxwire`; `make check` compares. Units are in",
        "the names (`_ms`, `_bytes`, `_samples`, `_db`). The same names without `async`:",
        "`voxwire.sync`; for tests: `voxwire.testing`; both are in the [README](README.md).",
        "",
    ]
    body = [line for title, lines in chapters.items() for line in (f"## {title}", "", *lines)]
    return "\n".join([*head, *body]).rstrip() + "\n"


if __name__ == "__main__":
    try:
        page = render()
    except ApiError as error:
        sys.exit(f"gen_api: {error}")
    Path(sys.argv[1]).write_text(page, "utf-8", newline="\n")
