"""Keys and TURN secret that stand in files: read at the start, and anew when somebody says so.

A file that cannot be used changes nothing: what was read before stays. No text here holds a secret.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from stat import S_IRWXO, S_IWGRP
from typing import Final, Literal

from voxwire_server.config import Settings
from voxwire_server.ice_servers import IceServers, IceServersError
from voxwire_server.keys import KeyRing, KeyRingError

__all__ = ["FileError", "KeyFiles", "Outcome", "open_to_others", "read_secret"]

_log = logging.getLogger("voxwire.keys")

Outcome = Literal["ok", "failed"]
_MAX_BYTES: Final = 65_536


class FileError(ValueError):
    """A file of secrets cannot be used; the text names it and holds nothing of it."""


def read_secret(setting: str, path: str) -> str:
    """The text of a file of secrets, without the white space around it.

    Args:
        setting: What names the file.
        path: The file.

    Raises:
        FileError: It cannot be read, or there is nothing in it.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode().strip()
    except OSError as error:
        raise FileError(f"{setting}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(f"{setting}: {path} is no text") from None
    if len(data) > _MAX_BYTES:
        raise FileError(f"{setting}: {path} is above {_MAX_BYTES} bytes")
    if not text:
        raise FileError(f"{setting}: {path} is empty")
    return text


def open_to_others(path: str) -> str:
    """Why a file of secrets is not safe where it is, and what to do; empty = it is.

    Raises:
        OSError: It is not there.
    """
    mode = Path(path).stat().st_mode
    if not mode & (S_IRWXO | S_IWGRP):
        return ""
    return f"{path} is open to others (mode {mode & 0o777:04o}): chmod 0640"


class KeyFiles:
    """The files of a server's settings that are read while it runs.

    Args:
        settings: Which files.
        ring: Gets the keys.
        ice: Gets the TURN secret.
        told: Is told what came of each file that was read again.
    """

    def __init__(
        self,
        settings: Settings,
        ring: KeyRing,
        ice: IceServers,
        *,
        told: Callable[[str, Outcome], object] = lambda _file, _outcome: None,
    ) -> None:
        self._settings = settings
        self._ring = ring
        self._ice = ice
        self._told = told
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    @staticmethod
    def ring_of(settings: Settings) -> KeyRing:
        """The keys of the settings, from wherever they are.

        Raises:
            KeyRingError: They cannot be used.
            FileError: Their file cannot be read.
        """
        keys = settings.keys
        if settings.keys_file:
            keys = read_secret("VOXWIRE_KEYS_FILE", settings.keys_file)
        return KeyRing.parse(key=settings.key, keys=keys)

    @staticmethod
    def turn_secret_of(settings: Settings) -> str:
        """The TURN secret of the settings; empty = none.

        Raises:
            FileError: Its file cannot be read.
        """
        if settings.turn_secret_file:
            return read_secret("VOXWIRE_TURN_SECRET_FILE", settings.turn_secret_file)
        return settings.turn_secret

    def begin(self) -> None:
        """Read them again, and come back at once; needs a running event loop."""
        task = asyncio.get_running_loop().create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Read every file again. Sessions go on; a file that cannot be used changes nothing."""
        async with self._turn:
            if self._settings.keys_file:
                await self._again("keys", self._read_keys)
            if self._settings.turn_secret_file:
                await self._again("turn_secret", self._read_turn_secret)

    async def _again(self, file: str, read: Callable[[], Callable[[], str]]) -> None:
        outcome: Outcome = "failed"
        try:
            take = await asyncio.to_thread(read)
            _log.info("%s", take())
            outcome = "ok"
        except (FileError, KeyRingError, IceServersError) as error:
            _log.error("%s; what was read before stays", error)
        except Exception:
            _log.exception("a file of secrets could not be read; what was read before stays")
        self._told(file, outcome)

    def _read_keys(self) -> Callable[[], str]:
        ring = self.ring_of(self._settings)

        def take() -> str:
            self._ring.become(ring)
            return f"tokens are checked with the keys {', '.join(ring.kids)}; the first one signs"

        return take

    def _read_turn_secret(self) -> Callable[[], str]:
        secret = self.turn_secret_of(self._settings)

        def take() -> str:
            self._ice.become(secret)
            return "TURN credentials are minted with the secret that was read"

        return take

    async def close(self) -> None:
        """Read nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
