"""Every class of our packages, for tests that hold a rule of all of them."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Final

__all__ = ["OURS", "our_classes"]

OURS: Final = ("voxwire_protocol", "voxwire_server", "voxwire")


def our_classes() -> Iterator[type]:
    """Each class where it is defined; none of a module whose SDK this Python has not."""
    for name in OURS:
        package = importlib.import_module(name)
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if info.name.endswith("__main__"):
                continue
            try:
                module = importlib.import_module(info.name)
            except ImportError:
                continue
            for found in vars(module).values():
                if inspect.isclass(found) and found.__module__ == info.name:
                    yield found
