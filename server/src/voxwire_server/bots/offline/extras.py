"""What the offline bot needs beyond the server, checked without importing it."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["MissingExtraError", "has", "require"]


class MissingExtraError(ImportError):
    """A package of an extra is not installed; the message says how to install it."""


def has(*packages: str) -> bool:
    """Whether packages are there, by their import names; none is imported."""
    return all(find_spec(package) is not None for package in packages)


def require(package: str, purpose: str, extra: str = "offline") -> None:
    """Check that a package of an extra is there, without importing it.

    Args:
        package: The import name, e.g. ``hibari``.
        purpose: What it is for, as the subject of the message, e.g. "speech output".
        extra: The extra that brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if not has(package):
        install = f"pip install 'voxwire-server[{extra}]'"
        raise MissingExtraError(f"{purpose} needs {package!r}: run {install}", name=package)
