"""What the offline bot needs beyond the server, checked without importing it."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["MissingExtraError", "require"]

INSTALL = "pip install 'voxwire-server[offline]'"


class MissingExtraError(ImportError):
    """A package of the ``offline`` extra is not installed; the message says how to install it."""


def require(package: str, purpose: str) -> None:
    """Check that a package of the extra is there, without importing it.

    Args:
        package: The import name, e.g. ``espeakng_loader``.
        purpose: What it is for, as the subject of the message, e.g. "speech output".

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec(package) is None:
        raise MissingExtraError(f"{purpose} needs {package!r}: run {INSTALL}", name=package)
