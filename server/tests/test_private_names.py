"""Our classes take no private name of a class of the standard library that they extend.

Such names come and go with the interpreter: Python 3.13 gave `threading.Thread` a `_handle`.
"""

import ast
import inspect
import sys
import textwrap
import threading

from tests.support.classes import our_classes

APART = {"enum", "typing", "abc"}
"""Their bases put such names into every class that extends them; that is how they work."""
APART_NAMES = ("__", "_abc_")


def private(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.startswith(APART_NAMES)}


def assigned(owner: type) -> set[str]:
    """Attributes that the methods of a class give to `self`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError):  # written in C
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def taken(owner: type) -> list[str]:
    """Private names that a class shares with a base from the standard library."""
    mine = private({*vars(owner), *assigned(owner)})
    found: list[str] = []
    for base in owner.__mro__[1:]:
        top = base.__module__.split(".")[0]
        if top in sys.stdlib_module_names - APART:
            theirs = private({*vars(base), *assigned(base)})
            found += [f"{owner.__qualname__} / {base.__qualname__}.{n}" for n in mine & theirs]
    return sorted(found)


class Clashing(threading.Thread):
    def _bootstrap_inner(self) -> None: ...

    def begin(self) -> None:
        self._target = None


def test_a_clash_is_found() -> None:
    names = {name.rsplit(".", 1)[1] for name in taken(Clashing)}
    assert names == {"_bootstrap_inner", "_target"}


def test_no_class_takes_a_private_name_of_the_standard_library() -> None:
    classes = list(our_classes())
    assert len(classes) > 300
    assert [clash for owner in classes for clash in taken(owner)] == []
