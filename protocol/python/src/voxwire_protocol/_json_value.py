"""Part of ``json_schema`` and ``json_text``: what a value must be before anything else is asked."""

import math
from typing import Final, cast

__all__ = ["MAX_VALUE_DEPTH", "MAX_VALUE_NODES", "value_fault"]

MAX_VALUE_DEPTH: Final = 32
"""Deepest nesting of a value."""

MAX_VALUE_NODES: Final = 10_000
"""Most objects, arrays and scalars in a value."""


def value_fault(value: object) -> str:
    """What keeps a value from being checked at all; "" = nothing."""
    level: list[object] = [value]
    nodes = 0
    for _ in range(MAX_VALUE_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_VALUE_NODES:
            return f"has more than {MAX_VALUE_NODES} parts"
        below: list[object] = []
        for node in level:
            if isinstance(node, dict):
                fields = cast("dict[object, object]", node)
                if not all(isinstance(name, str) for name in fields):
                    return "is not JSON"
                below.extend(fields.values())
            elif isinstance(node, list):
                below.extend(cast("list[object]", node))
            elif isinstance(node, float):
                if not math.isfinite(node):
                    return "is not JSON"
            elif not (node is None or isinstance(node, str | int)):
                return "is not JSON"
        if not below:
            return ""
        level = below
    return f"is nested more than {MAX_VALUE_DEPTH} deep"
