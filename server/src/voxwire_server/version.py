"""Which server this is."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["server_version"]


def server_version() -> str:
    """Version of the installed server."""
    try:
        return version("voxwire-server")
    except PackageNotFoundError:
        return "0"
