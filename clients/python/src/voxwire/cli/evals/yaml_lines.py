"""YAML as Pipecat's harness reads it, with the line of everything that is in it.

Whole numbers are plain decimals (``012`` stays a text, for keys), ``!include PATH`` puts another
file in place. Stricter than there: a key that is given twice is an error, since the first of both
would be held against nothing.
"""

import re
from pathlib import Path
from typing import Any, Final, cast

from voxwire_protocol.errors import ErrorCode, UsageError

try:
    import yaml
except ImportError:
    raise UsageError(
        ErrorCode.MISSING_EXTRA, "scenarios are YAML: pip install 'voxwire[eval]'"
    ) from None

__all__ = ["Lines", "Listed", "Mapped", "ScenarioError", "load_yaml"]

MAX_INCLUDED: Final = 16
"""How deep files may include each other."""


class ScenarioError(UsageError):
    """A scenario file is wrong; the reason says where, and what to do."""

    def __init__(self, lines: "Lines", reason: str) -> None:
        """Names the place."""
        super().__init__(ErrorCode.INVALID_ARGUMENT, f"{lines.path}:{lines.line}: {reason}")


class Lines:
    """Where a mapping or a list stands.

    Attributes:
        path: The file, an included one for what comes from there.
        line: Of its beginning, from 1.
        of: The line of each key, or of each item.
    """

    def __init__(self, path: Path, line: int) -> None:
        """Notes where it begins."""
        self.path = path
        self.line = line
        self.of: dict[Any, int] = {}

    def at(self, key: object) -> "Lines":
        """The place of a key or an item; of the whole where there is none."""
        return Lines(self.path, self.of.get(key, self.line))


class Mapped(dict[Any, Any]):
    """A mapping that knows its lines."""

    lines: Lines


class Listed(list[Any]):
    """A list that knows its lines."""

    lines: Lines


class _Loader(yaml.SafeLoader):
    """Of one file."""

    path: Path
    folder: Path
    depth: int


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:int"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
cast(Any, _Loader).add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), list("-+0123456789")
)


def _mapping(loader: _Loader, node: yaml.Node) -> Mapped:
    if not isinstance(node, yaml.MappingNode):
        raise ScenarioError(_place(loader, node), "this must be a mapping")
    written = {id(key_node) for key_node, _ in node.value}  # and not merged in by <<
    own: set[Any] = set()
    loader.flatten_mapping(node)
    found = Mapped()
    found.lines = _place(loader, node)
    for key_node, value_node in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
        key = _construct(loader, key_node)
        try:
            twice = key in own
        except TypeError:
            raise ScenarioError(_place(loader, key_node), "a key must be a plain text") from None
        if twice:
            raise ScenarioError(_place(loader, key_node), f"a second {key!r}: keep one of them")
        if id(key_node) in written:
            own.add(key)
        found.lines.of[key] = key_node.start_mark.line + 1
        found[key] = _construct(loader, value_node)
    return found


def _list(loader: _Loader, node: yaml.Node) -> Listed:
    if not isinstance(node, yaml.SequenceNode):
        raise ScenarioError(_place(loader, node), "this must be a list")
    found = Listed()
    found.lines = _place(loader, node)
    for number, item in enumerate(cast("list[yaml.Node]", node.value)):
        found.lines.of[number] = item.start_mark.line + 1
        found.append(_construct(loader, item))
    return found


def _include(loader: _Loader, node: yaml.Node) -> Any:
    place = _place(loader, node)
    if not isinstance(node, yaml.ScalarNode):
        raise ScenarioError(place, "!include names one file: !include judge.yaml")
    path = loader.folder / str(loader.construct_scalar(node))
    if loader.depth >= MAX_INCLUDED:
        raise ScenarioError(place, f"more than {MAX_INCLUDED} files include each other")
    try:
        return load_yaml(path, folder=loader.folder, depth=loader.depth + 1)
    except OSError as error:
        reason = f"cannot read the included file {path}: {error.strerror}"
        raise ScenarioError(place, reason) from error


def _construct(loader: _Loader, node: yaml.Node) -> Any:
    return cast(Any, loader).construct_object(node, deep=True)


def _place(loader: _Loader, node: yaml.Node) -> Lines:
    return Lines(loader.path, node.start_mark.line + 1)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _list)
_Loader.add_constructor("!include", _include)


def load_yaml(path: Path, *, folder: Path | None = None, depth: int = 0) -> Any:
    """Reads a file; mappings are `Mapped`, lists `Listed`.

    Args:
        path: The file.
        folder: What included files are relative to, those of included files too; None = its own.
        depth: How many files include this one.

    Raises:
        ScenarioError: It is no YAML.
        OSError: It cannot be read.
    """
    text = path.read_bytes()
    try:
        loader = _Loader(text)
        loader.path, loader.folder, loader.depth = path, folder or path.parent, depth
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        what = " ".join(filter(None, (error.context, error.problem)))
        raise ScenarioError(Lines(path, line), f"this is no YAML: {what}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ScenarioError(Lines(path, 1), f"this is no YAML: {what}") from error
