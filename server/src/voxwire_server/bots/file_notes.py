"""What can be read in the source of a bot's file without running it. Pure."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from voxwire_server.bots.needs import how_to_set

__all__ = ["is_ours", "names", "of_entries", "of_keys", "of_settings"]

_OURS: Final = "BotSession"
_RUNNER: Final = "pipecat.runner"
_ENTRIES: Final = "transport_params"
_ASKS: Final = ("os.getenv", "os.environ.get")


def is_ours(source: str) -> bool:
    """Whether a file names ``BotSession`` and imports nothing of Pipecat's runner itself; every
    other one may, or whatever it imports.
    """
    return names(source, _OURS) and not any(_imports_runner(node) for node in _walk(source))


def names(source: str, name: str) -> bool:
    """Whether a file's code has a name in it: comments and texts do not count, except for an
    annotation in quotes.
    """
    return any(_is_named(node, name) for node in _walk(source))


def of_settings(
    settings: Mapping[str, str | None], path: Path, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """A sentence on each variable of a file's ``.env`` that has another value already, which is
    the one that counts. The values are not told: they may be keys.

    Args:
        settings: What the ``.env`` beside the file says.
        path: The bot's file.
        environment: As it is before that is read.
    """
    return tuple(
        f"{path.parent / '.env'} sets {name}, which has another value already, in the environment"
        f" or from another bot's .env: {path.name} gets that one"
        for name, value in settings.items()
        if value is not None and environment.get(name, value) != value
    )


def of_entries(source: str, name: str, served: Collection[str]) -> tuple[str, ...]:
    """A sentence on the entries of ``transport_params`` that this server does not serve.

    Args:
        source: The file's text.
        name: The file's name.
        served: The entries that are.
    """
    entries = [key for node in _walk(source) for key in _keys(node)]
    others = [key for key in dict.fromkeys(entries) if key not in served]
    if not others:
        return ()
    told = ", ".join(repr(key) for key in others)
    return (f"{name}: of transport_params this server does not serve yet: {told}",)


def of_keys(source: str, path: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence on each variable that the file cannot do without (``os.environ["KEY"]``) or asks
    for as a key (``os.getenv("SOME_API_KEY")``), and that is not set.
    """
    names = dict.fromkeys(name for node in _walk(source) if (name := _variable(node)))
    return tuple(
        f"{path.name} reads {name}, which is not set: {how_to_set([name], path.parent / '.env')}"
        for name in names
        if not environment.get(name)
    )


def _is_named(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Name(id=found) | ast.Attribute(attr=found) | ast.alias(name=found):
            return found == name
        case ast.arg(annotation=ast.Constant(value=str(quoted))):
            return quoted.rpartition(".")[2] == name
        case _:
            return False


def _imports_runner(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module=str(module)):
            modules = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        case ast.Import():
            modules = [alias.name for alias in node.names]
        case _:
            return False
    return any(f"{module}.".startswith(f"{_RUNNER}.") for module in modules)


def _walk(source: str) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return iter(())


def _keys(node: ast.AST) -> list[str]:
    """The keys of a dictionary that is assigned to ``transport_params``, or is passed there."""
    value: ast.AST | None = None
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == _ENTRIES for target in targets):
            value = node.value
    elif isinstance(node, ast.Call) and _called(node) == "create_transport" and len(node.args) > 1:
        value = node.args[1]
    if not isinstance(value, ast.Dict):
        return []
    keys = (key.value for key in value.keys if isinstance(key, ast.Constant))
    return [key for key in keys if isinstance(key, str)]


def _variable(node: ast.AST) -> str:
    """The environment variable that a node reads and has no other value for."""
    argument: ast.AST | None = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
        argument = node.slice if isinstance(node.ctx, ast.Load) else None
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in _ASKS and len(node.args) == 1:
        name = getattr(node.args[0], "value", "")
        argument = node.args[0] if str(name).endswith("_API_KEY") else None
    found = argument.value if isinstance(argument, ast.Constant) else ""
    return found if isinstance(found, str) else ""


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))
