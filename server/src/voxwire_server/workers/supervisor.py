"""Several workers behind one port: it accepts connections, hands them over, and begins a worker
anew that has ended. It serves nobody itself, so nothing that goes wrong in a bot can end it.
"""

import asyncio
import logging
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_server.config import Settings
from voxwire_server.key_files import FileError, KeyFiles
from voxwire_server.keys import KeyRingError
from voxwire_server.listeners import port_of
from voxwire_server.shared_secret import NO_SECRET, shared_secrets
from voxwire_server.workers.handing import Ready
from voxwire_server.workers.own_engine import NoEngineError, OwnEngine
from voxwire_server.workers.process import WorkerProcess
from voxwire_server.workers.shares import next_of

__all__ = ["Supervisor", "WorkersError", "why_no_workers"]

_log = logging.getLogger("voxwire.workers")

_AT_ONCE: Final = 64
"""Connections that are handed over before signals and workers have a turn."""
_LIVED_S: Final = 60.0
"""A worker that lived so long had nothing wrong at its start, seconds."""
_FULL_S: Final = 1.0
_AGAIN_S: Final = 0.5
_MOST_S: Final = 30.0
_LAST_S: Final = 10.0
"""What workers have to end beyond their own time, seconds."""


class WorkersError(Exception):
    """The workers do not run. The text is for the person who starts them; empty = a worker has said
    why.
    """


def why_no_workers(settings: Settings) -> str:
    """Why a server with these settings cannot have several workers; empty = it can."""
    if sys.platform != "linux":
        return "several workers need Linux: connections are handed over by Unix sockets"
    if settings.admin_key and not settings.admin_address:
        return (
            "each worker has operator's routes of its own, at addresses of their own: set"
            " VOXWIRE_ADMIN_ADDRESS, for instance to 127.0.0.1:9100; the second one has 9101 then"
        )
    if settings.engine and not settings.engine.startswith("unix:") and not settings.peer_url:
        return (
            "workers with an engine of your own are reached by those of other machines, too: set"
            " VOXWIRE_PEER_URL, for instance to ws://10.0.0.5:7861; the second one has 7862 then"
        )
    try:
        parts_of(settings.peer_url or "ws://0.0.0.0:0")
    except ValueError:
        return (
            "VOXWIRE_PEER_URL of several workers is ws://ADDRESS:PORT, with the port of the first"
        )
    return _why_no_secret(settings) if settings.engine else ""


def _why_no_secret(settings: Settings) -> str:
    """Why others at the same engine cannot read what these workers keep; empty = they can."""
    try:
        ring = KeyFiles.ring_of(settings)
    except (FileError, KeyRingError) as error:
        return str(error)
    return "" if shared_secrets(settings, ring) else NO_SECRET


def parts_of(peer_url: str) -> tuple[str, str, int]:
    """Scheme, host and port of the first worker's address.

    Raises:
        ValueError: It is not of the form ``ws://ADDRESS:PORT``.
    """
    parts = urlsplit(peer_url)
    if parts.scheme != "ws" or parts.port is None:
        raise ValueError(peer_url)
    return parts.scheme, parts.netloc.rpartition(":")[0], parts.port


class Supervisor:
    """Runs the workers of one machine.

    Args:
        settings: Those of each; ``workers`` says how many there are.
        listener: Where clients come to; it does not block.
        announce: Told of the bots, once the first worker takes connections.
    """

    def __init__(
        self, settings: Settings, listener: socket.socket, *, announce: Callable[[Ready], None]
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._announce = announce
        self._workers: dict[int, WorkerProcess] = {}
        self._folder = Path()
        self._engine = settings.engine
        self._engine_key = settings.engine_key
        if not settings.engine:  # nobody else reads what stands in an engine of their own
            self._engine_key = self._engine_key or secrets.token_hex()
        self._leaving = asyncio.Event()
        self._insisting: asyncio.Task[None] | None = None
        self._accepting = False
        self._has_served = False
        self._failed: str | None = None

    async def run(self) -> None:
        """Serve until told to end, by SIGTERM or Ctrl-C.

        Raises:
            WorkersError: They do not run.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, number)
        loop.add_signal_handler(signal.SIGHUP, self._tell, signal.SIGHUP)
        try:
            with tempfile.TemporaryDirectory(prefix="voxwire-") as folder:
                self._folder = Path(folder)
                await self._run()
        except NoEngineError as error:
            raise WorkersError(str(error)) from error
        finally:
            if self._insisting is not None:
                self._insisting.cancel()
        if self._failed is not None:
            raise WorkersError(self._failed)

    async def _run(self) -> None:
        if self._engine:
            await self._keep_all()
            return
        async with OwnEngine(self._folder) as engine:
            self._engine = engine.url
            await self._keep_all()

    async def _keep_all(self) -> None:
        await asyncio.gather(*map(self._keep, range(self._settings.workers)))

    async def _keep(self, number: int) -> None:
        """Run a worker, and another one in its place whenever it ends."""
        loop = asyncio.get_running_loop()
        wait_s = _AGAIN_S
        while not self._leaving.is_set():
            began_s = loop.time()
            try:
                worker = await self._begun(number)
            except (OSError, RuntimeError) as error:  # no memory, descriptor, process or thread
                what, why = "a worker cannot be begun", str(error)
                said = f"{what}: {why}"
            else:
                code = await self._over(number, worker)
                what = "a worker has ended; its sessions go on in others"
                why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                said = ""  # by itself, and the next one would say the same
            if self._leaving.is_set():
                return
            if not self._has_served:
                self._failed = said
                self._leave(signal.SIGTERM)
                return
            if loop.time() - began_s >= _LIVED_S:
                wait_s = _AGAIN_S
            _log.error(what, extra={"worker": number, "why": why, "begun_anew_in_s": wait_s})
            try:
                async with asyncio.timeout(wait_s):
                    await self._leaving.wait()
            except TimeoutError:
                wait_s = min(2 * wait_s, _MOST_S)

    async def _begun(self, number: int) -> WorkerProcess:
        worker = await WorkerProcess.start(
            self._assignment(number), on_ready=lambda ready: self._is_ready(number, ready)
        )
        self._workers[number] = worker
        if self._leaving.is_set():  # told to end meanwhile
            worker.send(signal.SIGTERM)
        return worker

    async def _over(self, number: int, worker: WorkerProcess) -> int:
        """Wait until it has ended; its exit code, or minus the number of a signal."""
        code = await worker.ended()
        del self._workers[number]
        if not any(it.is_ready for it in self._workers.values()):  # who comes waits for one
            self._accept_no_more()
        return code

    def _assignment(self, number: int) -> dict[str, Any]:
        settings = self._settings
        own: dict[str, Any] = {
            "workers": 1,
            "engine": self._engine,
            "engine_key": self._engine_key,
            "peer_url": self._peer_url(number),
        }
        if settings.log_file:
            path = Path(settings.log_file)
            own["log_file"] = str(path.with_stem(f"{path.stem}-{number}"))
        if settings.admin_address:
            host, _, port = settings.admin_address.rpartition(":")
            own["admin_address"] = f"{host}:{int(port) + number if int(port) else 0}"
        return {
            "settings": {**settings.model_dump(mode="json"), **own},
            "port": port_of(self._listener),
        }

    def _peer_url(self, number: int) -> str:
        """Where the others reach a worker: a Unix socket, or the how-manieth port of an address."""
        if not self._settings.peer_url:
            return f"unix:{self._folder / f'worker-{number}.sock'}"
        scheme, host, port = parts_of(self._settings.peer_url)
        return f"{scheme}://{host}:{port + number}"

    # connections

    def _is_ready(self, number: int, ready: Ready) -> None:
        _log.info("a worker takes connections", extra={"worker": number})
        if not self._has_served:
            self._has_served = True
            self._announce(ready)
        self._accept_again()

    def _accept_again(self) -> None:
        if not self._accepting and any(it.is_ready for it in self._workers.values()):
            self._accepting = True
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept_no_more(self) -> None:
        if self._accepting:
            self._accepting = False
            asyncio.get_running_loop().remove_reader(self._listener)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptor is left: who comes waits
                _log.error("connections are not accepted", extra={"why": error.strerror})
                self._accept_no_more()
                asyncio.get_running_loop().call_later(_FULL_S, self._accept_again)
                return
            with connection:
                self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        left = [worker for worker in self._workers.values() if worker.is_ready]
        while worker := next_of(left, SYSTEM_CLOCK.now_ms()):
            try:
                worker.hand_over(connection)
            except OSError:
                left.remove(worker)
            else:
                return
        _log.warning("no worker takes a connection: it is closed")

    # the end

    def _leave(self, number: int) -> None:
        if self._insisting is None:
            self._insisting = asyncio.get_running_loop().create_task(self._insist())
        self._leaving.set()
        self._tell(number)

    def _tell(self, number: int) -> None:
        for worker in self._workers.values():
            worker.send(number)

    async def _insist(self) -> None:
        """A worker that does not end in its time is ended."""
        own_ms = self._settings.drain_ms + self._settings.end_timeout_ms
        await asyncio.sleep(own_ms / 1000 + _LAST_S)
        self._tell(signal.SIGKILL)
