"""Which client this is."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["library_version"]


@cache
def library_version() -> str:
    """Version of the installed client; 0.0.0 when it runs from a source tree."""
    try:
        return version("voxwire")
    except PackageNotFoundError:
        return "0.0.0"
