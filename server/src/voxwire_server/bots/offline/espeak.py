"""Asyncio client of the espeak-ng helper process.

One helper serves every session of an event loop: ``shared_espeak()`` returns it. It starts on
first use, starts again if it dies, and stays until ``aclose()``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from voxwire_server.bots.offline.espeak_protocol import (
    HEADER_BYTES,
    SAMPLE_RATE,
    Kind,
    decode,
    encode,
    encode_json,
    unpack_header,
)
from voxwire_server.bots.offline.extras import require
from voxwire_server.bots.offline.word_spans import WordSpan

__all__ = [
    "SAMPLE_RATE",
    "EspeakClient",
    "EspeakError",
    "PcmChunk",
    "WordSpan",
    "shared_espeak",
]

_WORKER = "voxwire_server.bots.offline.espeak_worker"
_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_START_TIMEOUT_S = 20.0
_CLOSE_TIMEOUT_S = 2.0
_LAST_WORDS_S = 1.0
_SILENCE_MS = 5000
_MAX_CHARS = 5000
_STDERR_BYTES = 2000


class EspeakError(RuntimeError):
    """The helper refused the text or the voice, did not start, or died or hung twice in a row."""


class _HelperDiedError(EspeakError):
    """The helper process went away, or was killed for its silence, while a request was open."""


@dataclass(frozen=True, slots=True)
class PcmChunk:
    """A piece of speech.

    Attributes:
        pcm: int16 little-endian PCM, mono, ``SAMPLE_RATE`` Hz, about 60 ms.
    """

    pcm: bytes


class _Helper:
    """One running helper process and the requests that are open in it."""

    def __init__(self, process: asyncio.subprocess.Process, silence_ms: int) -> None:
        self._process = process
        self._silence_ms = silence_ms
        self._given_up = False
        self._num_replies = 0
        self._requests: dict[int, asyncio.Queue[tuple[Kind, bytes] | None]] = {}
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
    async def start(cls, silence_ms: int) -> _Helper:
        """Start a process and wait until its engine is ready.

        Args:
            silence_ms: Longest silence while a request waits.

        Raises:
            MissingExtraError: The ``offline`` extra is not installed.
            EspeakError: The helper did not come up.
        """
        require("espeakng_loader", "speech output")
        path = os.pathsep.join(filter(None, (str(_SOURCE_ROOT), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        helper = cls(process, silence_ms)
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
            raise EspeakError(
                f"the espeak-ng helper said nothing in {_START_TIMEOUT_S} s"
            ) from None
        finally:
            self._requests.pop(0, None)
        if reply is None:
            raise EspeakError(f"the espeak-ng helper did not start: {self._last_words()}")

    async def request(self, **fields: Any) -> AsyncGenerator[PcmChunk | WordSpan]:
        """Speak one sentence; leaving the iterator early cancels it in the helper."""
        request_id = next(self._ids) & 0xFFFFFFFF
        replies = self._open(request_id)
        finished = False
        try:
            self._send(encode_json(Kind.SYNTHESIZE, request_id, fields))
            while not finished:
                kind, payload = await self._reply(replies)
                finished = kind in (Kind.DONE, Kind.FAILED)
                for item in _unpack(kind, payload):
                    yield item
        finally:
            self._requests.pop(request_id, None)
            if not finished and self.alive:
                with suppress(_HelperDiedError):
                    self._send(encode(Kind.CANCEL, request_id))

    async def _reply(self, replies: asyncio.Queue[tuple[Kind, bytes] | None]) -> tuple[Kind, bytes]:
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
                raise _HelperDiedError(f"the espeak-ng helper died: {self._last_words()}")
            return reply
        self._kill()
        raise _HelperDiedError(
            f"the espeak-ng helper said nothing for {self._silence_ms} ms and was killed"
        )

    def _open(self, request_id: int) -> asyncio.Queue[tuple[Kind, bytes] | None]:
        replies: asyncio.Queue[tuple[Kind, bytes] | None] = asyncio.Queue()
        self._requests[request_id] = replies
        return replies

    def _send(self, message: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing() or not self.alive:
            raise _HelperDiedError(f"the espeak-ng helper is gone: {self._last_words()}")
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
        """Close the pipe, wait for the process to end (kill it if it will not), free everything."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._kill()
        tasks = (self._reading, self._drained)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # asyncio sees the end of a pipe only while it reads it, and of the process only after that.
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()
        await self._process.wait()


def _unpack(kind: Kind, payload: bytes) -> list[PcmChunk | WordSpan]:
    if kind is Kind.AUDIO:
        return [PcmChunk(payload)]
    if kind is Kind.WORDS:
        return [WordSpan(*row) for row in decode(payload)]
    if kind is Kind.FAILED:
        raise EspeakError(decode(payload)["reason"])
    return []


class EspeakClient:
    """Speaks sentences through a helper process that it starts, restarts and ends.

    Owned by the event loop it was made in; not thread safe.
    """

    def __init__(self, *, silence_ms: int = _SILENCE_MS) -> None:
        """Make a client; nothing starts before the first use.

        Args:
            silence_ms: Longest silence of the helper while a sentence waits for it; then it is
                killed, and the next sentence gets a new one.
        """
        self._silence_ms = silence_ms
        self._helper: _Helper | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The helper's process id, or None while none is running."""
        return self._helper.pid if self._helper is not None and self._helper.alive else None

    async def warm(self, voice: str = "en-us") -> None:
        """Start the helper and speak one silent word, so that the first sentence is fast.

        Args:
            voice: The voice to load.

        Raises:
            MissingExtraError: The ``offline`` extra is not installed.
            EspeakError: The helper did not start.
        """
        async for _ in self.synthesize("warm", voice=voice):
            pass

    async def synthesize(
        self, text: str, *, voice: str = "en-us", rate: int = 160, pitch: int = 50
    ) -> AsyncGenerator[PcmChunk | WordSpan]:
        """Speak one sentence.

        Cancel-safe: closing the iterator, or cancelling the task that reads it, stops the
        synthesis after the chunk it is in. Close it with ``aclosing`` when you leave it early.

        Args:
            text: The sentence, at most 5000 code points.
            voice: An espeak-ng voice, optionally with a variant, e.g. ``en-us+f3``.
            rate: Words per minute, 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.

        Yields:
            Chunks of audio in order, and the spans of the words in order; every whitespace token
            of ``text`` gets exactly one, at the latest after the last chunk.

        Raises:
            ValueError: The text is too long, or a parameter is out of range.
            MissingExtraError: The ``offline`` extra is not installed.
            EspeakError: The helper refused, died, or hung; a sentence of which nothing has been
                delivered is tried once more in a new helper first.
        """
        _check(text, rate, pitch)
        request = {"text": text.replace("\0", " "), "voice": voice, "rate": rate, "pitch": pitch}
        for last_try in (False, True):
            delivered = False
            try:
                async with aclosing((await self._running()).request(**request)) as replies:
                    async for item in replies:
                        delivered = True
                        yield item
                return
            except _HelperDiedError as error:
                if last_try or delivered:
                    raise EspeakError(str(error)) from error

    async def _running(self) -> _Helper:
        async with self._starting:
            if self._helper is not None and not self._helper.alive:
                helper, self._helper = self._helper, None
                await helper.aclose()
            if self._helper is None:
                self._helper = await _Helper.start(self._silence_ms)
            return self._helper

    async def aclose(self) -> None:
        """End the helper; no process, task or descriptor is left. The next use starts a new one."""
        async with self._starting:
            helper, self._helper = self._helper, None
            if helper is not None:
                await helper.aclose()


def _check(text: str, rate: int, pitch: int) -> None:
    if len(text) > _MAX_CHARS:
        raise ValueError(f"a sentence of {len(text)} code points exceeds {_MAX_CHARS}")
    if not 80 <= rate <= 450:
        raise ValueError(f"rate must be 80 to 450 words per minute, not {rate}")
    if not 0 <= pitch <= 100:
        raise ValueError(f"pitch must be 0 to 100, not {pitch}")


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, EspeakClient] = WeakKeyDictionary()


def shared_espeak() -> EspeakClient:
    """Return the running event loop's client; whoever runs the server closes it at the end."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = EspeakClient()
    return client
