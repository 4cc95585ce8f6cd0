"""What our packages export: each name is what it says, whatever was imported before it."""

import ast
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, GenericAlias

import pytest

PACKAGES = ("voxwire_protocol", "voxwire_server", "voxwire")

# Runs in an interpreter of its own. `order` is what is imported first; it prints what is wrong.
ORDERS = """
import importlib, pkgutil, sys, types
package, names = sys.argv[1], sys.argv[2:]

def forget():
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        del sys.modules[name]

def submodules():
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return [name for _, name, _ in found if not name.startswith("_")]

def told(order, name):
    scope = {}
    exec(f"from {package} import {name}", scope)
    value = scope[name]
    if isinstance(value, types.ModuleType):
        print(f"{name} is the module {value.__name__} ({order})")
    if value is not getattr(importlib.import_module(package), name):
        print(f"{name} is two things ({order})")
    return value

told("the first import of all", names[0])
homes = {getattr(importlib.import_module(package), name).__module__: name for name in names}
for home, name in homes.items():
    forget()
    told("first", name)
    if home.split(".")[0] == package:
        forget()
        importlib.import_module(home)
        told("after its own module", name)
forget()
for submodule in submodules():
    importlib.import_module(f"{package}.{submodule}")
for name in names:
    told("after every submodule", name)
"""


def packages() -> list[str]:
    """Every package of ours that exports names."""
    found: list[str] = []
    for root in PACKAGES:
        path = import_module(root).__path__
        below = [m.name for m in pkgutil.walk_packages(path, f"{root}.") if m.ispkg]
        found += [name for name in (root, *below) if hasattr(import_module(name), "__all__")]
    return found


@pytest.mark.parametrize("package", packages())
def test_no_exported_name_is_also_that_of_a_submodule(package: str) -> None:
    module = import_module(package)
    submodules = {name for _, name, _ in pkgutil.iter_modules(module.__path__)}
    assert not submodules & {*module.__all__, *getattr(module, "_HOMES", {})}


@pytest.mark.parametrize("package", ["voxwire_server", "voxwire"])
def test_an_exported_name_is_one_thing_in_any_order_of_imports(package: str) -> None:
    names = [name for name in import_module(package).__all__ if _has_module(package, name)]
    ended = subprocess.run(
        [sys.executable, "-c", ORDERS, package, *names],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def _has_module(package: str, name: str) -> bool:
    """Whether a value knows where it was made: constants and unions do not."""
    return hasattr(getattr(import_module(package), name), "__module__")


@pytest.mark.parametrize("package", PACKAGES)
def test_an_exported_class_or_function_has_its_own_name_and_says_what_it_is(package: str) -> None:
    module = import_module(package)
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if isinstance(value, FunctionType | type) and not isinstance(value, GenericAlias):
            assert value.__qualname__ == name
            assert (value.__doc__ or "").strip(), name


def test_a_type_checker_is_told_the_same_homes_as_the_interpreter() -> None:
    module = import_module("voxwire_server")
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    told = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == module._HOMES
    assert sorted(told) == sorted(module.__all__)


def test_both_testing_modules_have_the_same_clock() -> None:
    ours, theirs = (import_module(f"{name}.testing") for name in ("voxwire_server", "voxwire"))
    for name in ("Clock", "VirtualTime", "in_virtual_time"):
        assert name in ours.__all__
        assert name in theirs.__all__
        assert getattr(ours, name) is getattr(theirs, name)
