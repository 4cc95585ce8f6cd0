"""What a bot's file lacks when it fails: a package, or a key; and what to do about it."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from traceback import walk_tb
from typing import Final

from voxwire_server.bots.needs import how_to_set

__all__ = ["missing_key", "missing_package"]

_PIPECAT: Final = "pipecat-ai"
_IN_PIPECAT: Final = re.compile(r"pipecat\.\w+\.(\w+)")
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")


def missing_package(error: BaseException, name: str) -> str:
    """Which package to install, when a module is missing.

    Pipecat's services put an ``ImportError`` of their own over the one that names the module.

    Args:
        error: What was raised.
        name: The file's name.

    Returns:
        A sentence; empty = something else is wrong.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__
    if cause is None or not cause.name:
        return ""
    extra = _extra(cause)
    install = f"'{_PIPECAT}[{extra}]'" if extra else cause.name.partition(".")[0]
    return f"{name} needs the module {cause.name}, which is not installed: pip install {install}"


def missing_key(error: BaseException, path: Path) -> str:
    """Which variable to set, when ``os.environ["NAME"]`` is what failed.

    Args:
        error: What was raised.
        path: The bot's file.

    Returns:
        A sentence; empty = something else is wrong.
    """
    if not isinstance(error, KeyError) or not error.args:
        return ""
    name = error.args[0]
    frames = [frame.f_code.co_qualname for frame, _ in walk_tb(error.__traceback__)]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return ""
    if not frames or frames[-1] != "_Environ.__getitem__":
        return ""
    return f"{path.name} needs {name}: {how_to_set([name], path.parent / '.env')}"


def _extra(error: ModuleNotFoundError) -> str:
    """The extra of Pipecat that brings what one of its modules asked for; empty = none did."""
    try:
        extras = set(metadata(_PIPECAT).get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        return ""
    for frame, _ in reversed(list(walk_tb(error.__traceback__))):
        found = _IN_PIPECAT.match(str(frame.f_globals.get("__name__")))
        if found and (extra := found[1].replace("_", "-")) in extras:
            return extra
    return ""
