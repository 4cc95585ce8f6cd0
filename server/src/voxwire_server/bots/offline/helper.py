"""Asyncio client of a helper process: what blocks or may crash runs there, not in the server.

``HelperClient`` starts its process on first use, starts it again if it dies, kills it if it
hangs, and keeps it until ``aclose()``. One helper serves every session of an event loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from itertools import count
from pathlib import Path

from voxwire_server.bots.offline.extras import require
from voxwire_server.bots.offline.helper_wire import (
    HEADER_BYTES,
    Kind,
    decode,
    encode,
    unpack_header,
)

__all__ = ["HelperClient", "HelperError"]

_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_START_TIMEOUT_S = 60.0
_CLOSE_TIMEOUT_S = 2.0
_LAST_WORDS_S = 1.0
_SILENCE_MS = 5000
_STDERR_BYTES = 2000

Reply = tuple[Kind, bytes]


class HelperError(RuntimeError):
    """The helper refused the request, did not start, or died or hung twice in a row."""


class _HelperDiedError(HelperError):
    """The helper process went away, or was killed for its silence, while a request was open."""


class _Helper:
    """One running helper process and the requests that are open in it."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, silence_ms: int) -> None:
        self._process = process
        self._name = name
        self._silence_ms = silence_ms
        self._given_up = False
        self._num_replies = 0
        self._requests: dict[int, asyncio.Queue[Reply | None]] = {}
        self._ids = count(1)
        self._stderr = b""
        self._drained = asyncio.create_task(self._drain())
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        ended = self._process.returncode is not None or self._reading.done()
        return not ended and not self._given_up

    @classmethod
    async def start(
        cls, worker: str, name: str, *, silence_ms: int, roots: Sequence[Path]
    ) -> _Helper:
        """Start a process and wait until its engine is ready.

        Args:
            worker: The module that it runs.
            name: What messages call it.
            silence_ms: Longest silence while a request waits.
            roots: Where its modules are, besides the server's.

        Raises:
            HelperError: The helper did not come up.
        """
        places = (str(_SOURCE_ROOT), *map(str, roots), os.environ.get("PYTHONPATH"))
        path = os.pathsep.join(filter(None, places))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            worker,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        )
        helper = cls(process, name, silence_ms)
        try:
            await helper._wait_ready()
        except BaseException:
            await helper.aclose()
            raise
        return helper

    async def _wait_ready(self) -> None:
        replies = self._open(0)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                reply = await replies.get()
        except TimeoutError:
            raise HelperError(f"{self._name} said nothing in {_START_TIMEOUT_S} s") from None
        finally:
            self._requests.pop(0, None)
        if reply is None:
            raise HelperError(f"{self._name} did not start: {self._last_words()}")

    async def request(self, payload: bytes) -> AsyncGenerator[Reply]:
        """Ask for something; leaving the iterator early cancels it in the helper."""
        request_id = next(self._ids) & 0xFFFFFFFF
        replies = self._open(request_id)
        finished = False
        try:
            self._send(encode(Kind.ASK, request_id, payload))
            while not finished:
                kind, answer = await self._reply(replies)
                finished = kind in (Kind.DONE, Kind.FAILED)
                if kind is Kind.FAILED:
                    raise HelperError(decode(answer)["reason"])
                yield kind, answer
        finally:
            self._requests.pop(request_id, None)
            if not finished and self.alive:
                with suppress(_HelperDiedError):
                    self._send(encode(Kind.CANCEL, request_id))

    async def _reply(self, replies: asyncio.Queue[Reply | None]) -> Reply:
        """The next reply to a request.

        A helper that says nothing to anybody for ``silence_ms`` hangs and is killed. The time is
        waited in two halves: after a stall of this process, what came meanwhile is read first.
        """
        quiet = 0
        while quiet < 2:
            before = self._num_replies
            try:
                async with asyncio.timeout(self._silence_ms / 2000):
                    reply = await replies.get()
            except TimeoutError:
                quiet = quiet + 1 if self._num_replies == before else 0
                continue
            if reply is None:
                raise _HelperDiedError(f"{self._name} died: {self._last_words()}")
            return reply
        self._kill()
        raise _HelperDiedError(
            f"{self._name} said nothing for {self._silence_ms} ms and was killed"
        )

    def _open(self, request_id: int) -> asyncio.Queue[Reply | None]:
        replies: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._requests[request_id] = replies
        return replies

    def _send(self, message: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing() or not self.alive:
            raise _HelperDiedError(f"{self._name} is gone: {self._last_words()}")
        stdin.write(message)

    async def _read(self) -> None:
        """Hand every reply to its request until the helper's output ends."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while True:
                kind, request_id, payload_bytes = unpack_header(
                    await stdout.readexactly(HEADER_BYTES)
                )
                payload = await stdout.readexactly(payload_bytes)
                self._num_replies += 1
                replies = self._requests.get(request_id)
                if replies is not None:
                    replies.put_nowait((kind, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            await asyncio.wait([self._drained], timeout=_LAST_WORDS_S)  # it may have said why
        except ValueError as error:
            self._stderr = f"it sent what is no message: {error}".encode()
            self._kill()
        finally:
            for replies in self._requests.values():
                replies.put_nowait(None)

    async def _drain(self) -> None:
        """Keep the end of what the helper writes to stderr, for the error that quotes it."""
        stderr = self._process.stderr
        assert stderr is not None
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data)[-_STDERR_BYTES:]

    def _last_words(self) -> str:
        lines = self._stderr.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"

    def _kill(self) -> None:
        self._given_up = True
        with suppress(ProcessLookupError):
            self._process.kill()

    async def aclose(self) -> None:
        """Close the pipe, wait for the process to end (kill it if it will not), free everything.

        Cancelled, it waits for nothing: the process is killed.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._kill()
        except asyncio.CancelledError:
            self._kill()
            raise
        finally:
            tasks = (self._reading, self._drained)
            for task in tasks:
                task.cancel()
            # asyncio sees the end of a pipe only while it reads it, and of the process only then
            transport = getattr(self._process, "_transport", None)
            if transport is not None:
                transport.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._process.wait()


class HelperClient:
    """Asks a helper process that it starts, restarts and ends.

    Owned by the event loop it was made in; not thread safe.
    """

    worker = ""
    """The module that the process runs: it calls ``helper_worker.serve``."""

    name = "the helper"
    """What messages call it."""

    package = ""
    """The import name of what the process needs."""

    purpose = ""
    """What it is for, as the subject of a message."""

    extra = "offline"
    """The extra that brings the package."""

    roots: Sequence[Path] = ()
    """Where its modules are, besides the server's."""

    def __init__(self, *, silence_ms: int = _SILENCE_MS) -> None:
        """Make a client; nothing starts before the first use.

        Args:
            silence_ms: Longest silence of the helper while a request waits for it; then it is
                killed, and the next request gets a new one.
        """
        self._silence_ms = silence_ms
        self._helper: _Helper | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The helper's process id, or None while none is running."""
        return self._helper.pid if self._helper is not None and self._helper.alive else None

    async def start(self) -> None:
        """Start the helper, if none is running.

        Raises:
            MissingExtraError: What it needs is not installed.
            HelperError: It did not come up.
        """
        await self._running()

    async def request(self, payload: bytes) -> AsyncGenerator[Reply]:
        """Ask the helper for something.

        Cancel-safe: closing the iterator, or cancelling the task that reads it, cancels the
        request in the helper. Close it with ``aclosing`` when you leave it early.

        Args:
            payload: The request, in a form that the helper understands.

        Yields:
            The replies in order, the last one is ``DONE``.

        Raises:
            MissingExtraError: What the helper needs is not installed.
            HelperError: The helper refused, died, or hung; a request of which nothing has been
                delivered is tried once more in a new helper first.
        """
        for last_try in (False, True):
            delivered = False
            try:
                async with aclosing((await self._running()).request(payload)) as replies:
                    async for reply in replies:
                        delivered = True
                        yield reply
                return
            except _HelperDiedError as error:
                if last_try or delivered:
                    raise HelperError(str(error)) from error

    async def _running(self) -> _Helper:
        async with self._starting:
            if self._helper is not None and not self._helper.alive:
                helper, self._helper = self._helper, None
                await helper.aclose()
            if self._helper is None:
                require(self.package, self.purpose, self.extra)
                self._helper = await _Helper.start(
                    self.worker, self.name, silence_ms=self._silence_ms, roots=self.roots
                )
            return self._helper

    async def aclose(self) -> None:
        """End the helper; no process, task or descriptor is left. The next use starts a new one."""
        async with self._starting:
            helper, self._helper = self._helper, None
            if helper is not None:
                await helper.aclose()
