"""A Redis server of a service's own: on a Unix socket in a private folder, with nothing on disk."""

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from voxwire_server.workers.leash import leash

__all__ = ["NoEngineError", "OwnEngine"]

_log = logging.getLogger("voxwire.workers")

_PROGRAMS: Final = ("redis-server", "valkey-server")
_STARTS_S: Final = 10.0
_ENDS_S: Final = 2.0
_POLL_S: Final = 0.02
_AGAIN_S: Final = 0.5
_MISSING: Final = (
    "several workers need a Redis server, and there is none on this machine: install one"
    " ({install}), or say where one is with VOXWIRE_ENGINE=redis://host:6379"
)
_SETTINGS: Final = """\
port 0
unixsocket {path}
unixsocketperm 700
dir {folder}
daemonize no
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
loglevel warning
"""


class NoEngineError(Exception):
    """There is no Redis server that could be started. The text is for the person who starts it."""


class OwnEngine:
    """A Redis server for the workers of one machine, as long as the block lasts. When it ends by
    itself it is begun anew, empty: the workers tell it again what they have.

    Args:
        folder: A private one; the socket is made in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "engine.sock"
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.url = f"unix://{self._path}"
        """Where it listens, as ``VOXWIRE_ENGINE`` has it."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            NoEngineError: There is none, or it does not start.
        """
        process = await self._start()
        self._watch = asyncio.get_running_loop().create_task(self._keep(process))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        if self._process is not None:
            await _end(self._process)

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        while True:
            code = await process.wait()
            _log.error("the engine of the workers has ended: it is begun anew, exit code %d", code)
            await asyncio.sleep(_AGAIN_S)
            while True:
                try:
                    process = await self._start()
                    break
                except NoEngineError as error:
                    _log.error("the engine does not start: %s", error)
                    await asyncio.sleep(_AGAIN_S)

    async def _start(self) -> asyncio.subprocess.Process:
        program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
        if program is None:
            install = (
                "brew install redis" if sys.platform == "darwin" else "apt install redis-server"
            )
            raise NoEngineError(_MISSING.format(install=install))
        try:
            self._path.unlink(missing_ok=True)
            process = self._process = await asyncio.create_subprocess_exec(
                *(program, "-"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the supervisor
                preexec_fn=leash(),
            )
        except (OSError, RuntimeError) as error:  # no memory, descriptor, process or thread
            raise NoEngineError(f"{program} cannot be begun: {error}") from error
        assert process.stdin is not None
        settings = _SETTINGS.format(path=self._path, folder=self._folder)
        process.stdin.write(settings.encode())
        process.stdin.close()
        try:
            async with asyncio.timeout(_STARTS_S):
                while not await self._answers():
                    if process.returncode is not None:
                        raise NoEngineError(f"{program} ends at once, exit {process.returncode}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            await _end(process)
            raise NoEngineError(f"{program} does not start within {_STARTS_S:.0f} s") from None
        return process

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return bool(await reader.read(64))
        except OSError:
            return False
        finally:
            writer.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_ENDS_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
