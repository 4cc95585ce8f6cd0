"""A session of a client in another language, directed over its stdin and stdout."""

import asyncio
import json
import re
import time
from dataclasses import fields
from types import TracebackType
from typing import Any, TypeVar, get_args

import numpy as np

import voxwire
from voxwire import Block, Span, SpanKind
from voxwire_protocol.errors import make_error

__all__ = ["Driven"]

EventT = TypeVar("EventT")

_LIMIT_BYTES = 1 << 20
_EVENTS = {kind.__name__: kind for kind in get_args(voxwire.Event)}
_NAMES = {"error": "ErrorEvent", "flush": "Flushed"}


def event_of(line: dict[str, Any]) -> Any:
    """The event that a line of the record says; enums stay the words that they are equal to."""
    name: str = line["type"]
    kind = _EVENTS.get(_NAMES.get(name) or name.title().replace("_", ""))
    if kind is None:
        return None
    if "message_type" in line:
        line = {**line, "type": line["message_type"]}
    return kind(**{field.name: line[field.name] for field in fields(kind) if field.name in line})


class _Simulate:
    """Faults, as `voxwire.Session.simulate` has them; each is on its way when it returns."""

    def __init__(self, session: "Driven") -> None:
        """Prepares."""
        self._session = session
        self._orders: set[asyncio.Task[None]] = set()

    def drop_media(self) -> None:
        """The connection of the audio falls silent."""
        order = asyncio.get_running_loop().create_task(self._session.do(op="drop_media"))
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)


class Driven:
    """The session; a context manager. Has of `voxwire.Session` what tests use."""

    def __init__(
        self,
        command: list[str],
        speaker: voxwire.Speaker | None = None,
        *,
        transport: str = "websocket",
    ) -> None:
        """Prepares."""
        self.id = ""
        self.transport = transport
        self.simulate = _Simulate(self)
        self.connection = "connected"
        self.position_ms = 0
        self._command = command
        self._speaker = speaker
        self._early: list[bytes] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._offset_s: float | None = None
        self._rate = 1
        self._ready = asyncio.Event()
        self._failure: voxwire.VoxwireError | None = None

    async def __aenter__(self) -> "Driven":
        """Starts the program and waits until its session is up.

        Raises:
            VoxwireError: It cannot be had.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LIMIT_BYTES,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        try:
            await self._ready.wait()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the session and waits for the end of the program."""
        assert self._reader is not None
        try:
            await self.close()
            async with asyncio.timeout(30):
                await asyncio.wait({self._reader})
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """Leaves nothing of the program."""
        assert self._process is not None and self._reader is not None
        if self._process.returncode is None and not self._reader.done():
            self._process.kill()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._process.wait()

    def __aiter__(self) -> "Driven":
        """Iterates over the events until the session ends."""
        return self

    async def __anext__(self) -> Any:
        """Returns the next event.

        Raises:
            VoxwireError: The session failed.
        """
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)
            if self._failure is not None:
                raise self._failure
            raise StopAsyncIteration
        return event

    async def wait_for(self, event_type: type[EventT], timeout_ms: float = 10_000) -> EventT:
        """Reads events up to and including the next one of a type."""
        passed: list[Any] = []
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                async for event in self:
                    if isinstance(event, event_type):
                        return event
                    passed.append(event)
        except TimeoutError:
            name = event_type.__name__
            raise AssertionError(f"no {name} within {timeout_ms:g} ms, but {passed}") from None
        raise AssertionError(f"the session ended before {event_type.__name__} came")

    async def send_text(self, text: str) -> None:
        """Says something to the bot in writing."""
        await self.do(op="send_text", text=text)

    async def interrupt(self) -> None:
        """Cuts the bot off."""
        await self.do(op="interrupt")

    async def close(self) -> None:
        """Ends the session."""
        await self.do(op="close")

    async def told(self, kind: str) -> dict[str, Any]:
        """The next line of a type that is no event: `tool_call`, `tool_stopped`, `answered`."""
        async with asyncio.timeout(30):
            while (line := await self._told.get())["type"] != kind:
                pass
        return line

    async def do(self, **line: Any) -> None:
        """Gives an order; `clients/mobile-bindings/rs/src/drive.rs` says which there are."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended; its reader is told how

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None and process.stderr is not None
        try:
            async for raw in process.stdout:
                await self._take(json.loads(raw))
            said = (await process.stderr.read()).decode()
            if code := await process.wait():
                self._failure = _failure_of(code, said)
        finally:
            self._events.put_nowait(None)
            self._ready.set()
            if self._speaker is not None:
                self._speaker.close()

    async def _take(self, line: dict[str, Any]) -> None:
        match line["type"]:
            case "ready":
                self.id, self._rate = line["session_id"], line["sample_rate"]
                if self._speaker is not None:
                    self._speaker.open(self._rate)
                for data in self._early:
                    self.delivered(data)
                await self.do(op="clock", echo=time.monotonic())
            case "clock":
                # What the way there and back took is shared out evenly.
                self._offset_s = (line["echo"] + time.monotonic()) / 2 - line["t_s"]
                self._ready.set()
            case "received" if not self.id:
                self._early.append(bytes.fromhex(line["data"]))
            case "received":
                self.delivered(bytes.fromhex(line["data"]))
            case "block":
                self._play(line)
            case _:
                event = event_of(line)
                if isinstance(event, voxwire.ConnectionChanged):
                    self.connection = event.state
                if isinstance(event, voxwire.PathChanged):
                    self.transport = event.carrier
                if event is None:
                    self._told.put_nowait(line)
                else:
                    self._events.put_nowait(event)

    def delivered(self, data: bytes) -> None:
        """A reliable message of the server was delivered; a ledger listens here."""

    def _play(self, line: dict[str, Any]) -> None:
        self.position_ms = line["position"] * 1000 // self._rate
        if self._offset_s is None or self._speaker is None:
            return
        spans = tuple(Span(*span[:3], SpanKind(span[3])) for span in line["spans"])
        length = sum(span.length for span in spans)
        samples = np.array(line["samples"] or [0] * length, np.int16)
        block = Block(samples, spans, line["position"])
        self._speaker.write(block, line["at_s"] + self._offset_s)


def _failure_of(code: int, said: str) -> voxwire.VoxwireError:
    """The error that a program has ended with."""
    found = re.fullmatch(r"voxwire: (\w+): (.*)\n", said)
    if found is None:
        raise AssertionError(f"it ended with {code} and said {said!r}")
    return make_error(voxwire.ErrorCode[found[1]], found[2])
