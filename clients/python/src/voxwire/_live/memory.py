"""The devices that a program chose, by name, in a file: for the next time."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from voxwire._arguments import invalid
from voxwire._live.backend import Device, RememberedDevice
from voxwire_protocol.events import DeviceKind

__all__ = ["DeviceMemory", "default_path", "memory_of"]

_log = logging.getLogger("voxwire")

FILE: Final = "devices.json"
MAX_BYTES: Final = 65_536
"""A larger file is none of ours."""


class DeviceMemory:
    """Names of the chosen devices by kind, in a JSON file of mode 0600. Its methods may block.

    A file that cannot be read or written, or holds something else, remembers nothing and is left
    as it is, which is logged: no session fails for it.
    """

    def __init__(self, path: Path) -> None:
        """Takes where the file is, or will be."""
        self._path = path

    def wanted(self, kind: DeviceKind) -> Device:
        """What ``True`` stands for: the device that is remembered, while it is there."""
        name = (self._read() or {}).get(kind)
        return RememberedDevice(name if isinstance(name, str) else None)

    def choose(self, kind: DeviceKind, name: str | None) -> None:
        """Remembers the device of that name; None = forgets the one that is remembered."""
        found = self._read()
        if found is None:
            _log.warning("the chosen %s is not remembered: %s is another's", kind.value, self._path)
            return
        if found.get(kind) == name:
            return
        kept = {one: value for one, value in found.items() if one != kind}
        try:
            self._write(kept if name is None else {**kept, kind.value: name})
        except OSError as error:
            _log.warning("the chosen %s is not remembered: %s", kind.value, error)

    def _read(self) -> dict[str, object] | None:
        """What the file holds; None = what is none of ours, and is not written over."""
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES)
            found: object = json.loads(text) if text.strip() else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            return None
        return cast("dict[str, object]", found) if isinstance(found, dict) else None

    def _write(self, names: Mapping[str, object]) -> None:
        """Puts a whole file in the place of the one before."""
        path = self._path.resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            fresh.unlink()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(names, file, ensure_ascii=False, indent=2)
            fresh.replace(path)
        except BaseException:
            with suppress(OSError):
                fresh.unlink()
            raise


def memory_of(asked: object) -> DeviceMemory | None:
    """What ``remember_devices`` asks for; None = nothing is remembered.

    Raises:
        UsageError: INVALID_ARGUMENT: it is neither bool nor path, or there is no home folder.
    """
    if asked is False:
        return None
    if asked is True:
        return DeviceMemory(default_path())
    if not isinstance(asked, str | os.PathLike) or not asked:
        kind = type(cast("object", asked)).__name__
        raise invalid(f"remember_devices must be True or the path of a file, not {kind}")
    return DeviceMemory(Path(cast("str", asked)))


def default_path() -> Path:
    """Where the file of this user is, by the system's rule (XDG Base Directory on Linux).

    Raises:
        UsageError: INVALID_ARGUMENT: there is no home folder.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise invalid(
            "there is no home folder: remember_devices needs the path of a file"
        ) from None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        base = base if base.is_absolute() else home / ".config"
    return base / "voxwire" / FILE
