"""Who may know a session: nobody but those who make and keep it. Prints each line that breaks it.

Outside ``session/``, ``routes/``, ``app.py`` and ``cluster.py`` no module of the server imports
``voxwire_server.session`` (imports for type checking count), and no constructor has a parameter
annotated ``Session``: a part gets the ports that it needs (``voxwire_server.ports``).
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).resolve().parents[1] / "server" / "src" / "voxwire_server"
ROOM = "voxwire_server.session"
MAY = ("session/", "routes/", "app.py", "cluster.py")
NAME = re.compile(r"\bSession\b")


def broken(source: str, path: str) -> Iterator[str]:
    """What breaks the rule in one module.

    Args:
        source: Its text.
        path: Below the server's package, with slashes.
    """
    if path.startswith(MAY):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        if any(name == ROOM or name.startswith(f"{ROOM}.") for name in names):
            yield f"{path}:{node.lineno}: imports {ROOM}"  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from (f"{path}:{line}: a constructor takes Session" for line in takers(node))


def takers(function: ast.FunctionDef) -> Iterator[int]:
    """Lines of the parameters that are annotated with a session."""
    given = function.args
    for parameter in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
        if parameter.annotation is not None and NAME.search(ast.unparse(parameter.annotation)):
            yield parameter.lineno


def main() -> int:
    """Check the whole server."""
    found = [
        line
        for module in sorted(SERVER.rglob("*.py"))
        for line in broken(module.read_text("utf-8"), module.relative_to(SERVER).as_posix())
    ]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
