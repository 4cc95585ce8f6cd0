"""The routes of Pipecat's own runner, read from the wheel that is installed.

``python -m tests.support.runner_routes`` prints the table of protocol/spec/rtvi.md with the rows of
the wheel; what we do about a route that is new stays to be written.
"""

import ast
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from tests.support.tables import rows

__all__ = ["HEADING", "known", "runner_routes"]

HEADING = "Route of Pipecat's runner"
_METHODS = ("get", "post", "put", "patch", "delete", "websocket", "api_route", "mount")


def runner_routes() -> list[str]:
    """Every route that ``pipecat.runner.run`` can register, as ``POST /start``, in its order."""
    path = Path(str(distribution("pipecat-ai").locate_file("pipecat/runner/run.py")))
    tree = ast.parse(path.read_text("utf-8"))
    return list(dict.fromkeys(route for call in _calls(tree) for route in _routes(call)))


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    for call in sorted(calls, key=lambda call: call.lineno):
        to = call.func
        on_app = isinstance(to, ast.Attribute) and isinstance(to.value, ast.Name)
        if on_app and to.value.id == "app" and to.attr in _METHODS:  # type: ignore[attr-defined]
            yield call


def _routes(call: ast.Call) -> Iterator[str]:
    assert isinstance(call.func, ast.Attribute)
    path = call.args[0]
    assert isinstance(path, ast.Constant), "a route of the runner without a constant path"
    match call.func.attr:
        case "websocket":
            methods = ["WS"]
        case "mount":
            methods = ["GET"]
        case "api_route":
            [listed] = [k.value for k in call.keywords if k.arg == "methods"]
            methods = ast.literal_eval(listed)
        case method:
            methods = [method.upper()]
    yield from (f"{method} {path.value}" for method in methods)


def known() -> dict[str, tuple[str, str]]:
    """What the specification says of each: ``served``, ``in part`` or ``refused``, and why."""
    return {row[0]: (row[1], row[2]) for row in rows("rtvi.md", HEADING)[1:]}


def main() -> None:
    """Print the table."""
    said = known()
    print(f"| {HEADING} | here | |\n|---|---|---|")
    for route in runner_routes():
        here, why = said.get(route, ("?", "?"))
        print(f"| `{route}` | {here} | {why} |")


if __name__ == "__main__":
    main()
