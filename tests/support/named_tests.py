"""Tests by name: ``path::function`` in Python, ``path::title`` in TypeScript (part of a title)."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def exists(name: str) -> bool:
    """Whether there is such a test."""
    path, _, test = name.partition("::")
    if not test or not (ROOT / path).is_file():
        return False
    if path.endswith(".py"):
        return test in _functions(path)
    return test in (ROOT / path).read_text("utf-8")


@cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, functions) and node.name.startswith("test_")
    )
