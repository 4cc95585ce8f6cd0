"""Sessions on file: what came over the wire and when, to be gone through again in a test.

::

    with record("talk.voxrec") as environment:                # once, against the real bot
        async with voxwire.connect(url, environment=environment) as session: ...

    @in_virtual_time
    async def test_what_is_shown() -> None:                   # from then on, in a moment
        async with voxwire.connect(URL, environment=replay("talk.voxrec")) as session: ...

The audio goes over the WebSocket while it is recorded. The file has the server's messages with the
moments of their arrival and nothing else; tokens and credentials are taken out of them. What was
said is in it: it is for you alone to read (mode 0600).
"""

import asyncio
import base64
import json
import math
import os
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from google.protobuf.message import DecodeError

from voxwire._arguments import invalid
from voxwire._environment import Environment
from voxwire._websocket import SocketClosed, WebSocket, refusal
from voxwire.testing.mailbox import Mailbox
from voxwire.testing.redaction import without_secrets
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.virtual_time import running_clock

__all__ = ["record", "replay"]

VERSION: Final = 1

_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError, OverflowError)


@contextmanager
def record(
    path: str | os.PathLike[str], environment: Environment | None = None
) -> Generator[Environment]:
    """Writes what servers say to the sessions of an environment into a file, in place of another.

    Args:
        path: Of the file; what is there is replaced.
        environment: What is recorded; None = the machine's network.

    Yields:
        The environment to connect with. It has no WebRTC.

    Raises:
        OSError: The file cannot be written.
    """
    around = environment or Environment()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", buffering=1) as file:
        os.chmod(path, 0o600)
        file.write(json.dumps({"voxwire_recording": VERSION}) + "\n")
        tape = _Tape(file, around)
        yield replace(around, dial=tape.dial, webrtc=False)


def replay(path: str | os.PathLike[str]) -> Environment:
    """An environment in which the server says what was recorded, when it was; whatever is dialled.

    What the client sends is acknowledged and has no effect. In virtual time it takes none, if it
    is made there.

    Args:
        path: Of a file that `record` wrote.

    Raises:
        UsageError: INVALID_ARGUMENT: it is no such file.
        OSError: It cannot be read.
    """
    sockets = _read(Path(path))
    left = deque(sockets)
    clock = running_clock()
    sent = _Sent()

    async def dial(url: str, *, timeout_ms: int) -> WebSocket:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await asyncio.sleep(left[0][0] / 1000 if left else 0)
            if not left:
                raise ConnectionRefusedError
        except (TimeoutError, ConnectionRefusedError) as error:
            raise refusal(error, url) from error
        return _Player(left.popleft()[1], clock, sent)

    return Environment(dial=dial, clock=clock, jitter=lambda: 0.5, webrtc=False)


@dataclass(frozen=True, slots=True)
class _Line:
    """What happened on a socket, so long after it was opened: a message, or its end."""

    after_ms: float
    data: bytes | None = field(repr=False)
    code: int = 0


@dataclass(slots=True)
class _Sent:
    """The highest number of what the client has sent, over all its sockets."""

    last: int = 0


class _Tape:
    """Numbers the sockets of a recording, and writes lines."""

    def __init__(self, file: IO[str], around: Environment) -> None:
        self._file = file
        self._around = around
        self._sockets = 0

    async def dial(self, url: str, *, timeout_ms: int) -> WebSocket:
        began_ms = self._around.clock.now_ms()
        socket = await self._around.dial(url, timeout_ms=timeout_ms)
        number, self._sockets = self._sockets, self._sockets + 1
        opened_ms = self._around.clock.now_ms()

        def write(**what: Any) -> None:
            after_ms = round(self._around.clock.now_ms() - opened_ms, 3)
            if not self._file.closed:
                line = {"socket": number, "after_ms": after_ms, **what}
                self._file.write(json.dumps(line) + "\n")

        write(opened_after_ms=round(opened_ms - began_ms, 3))
        return _Recorded(socket, write)


class _Recorded:
    """A socket whose messages are written down as they are read."""

    def __init__(self, socket: WebSocket, write: Callable[..., None]) -> None:
        self._socket = socket
        self._write = write

    async def send(self, data: bytes) -> None:
        await self._socket.send(data)

    async def receive(self) -> str | bytes:
        try:
            data = await self._socket.receive()
        except SocketClosed as closed:
            self._write(closed=closed.code)
            raise
        if isinstance(data, bytes):
            self._write(data=base64.b64encode(without_secrets(data)).decode())
        return data

    async def close(self) -> None:
        await self._socket.close()

    def abort(self) -> None:
        self._socket.abort()


def _read(path: Path) -> list[tuple[float, list[_Line]]]:
    """How long each socket took to open, and its lines; in the order of their opening."""
    sockets: dict[int, tuple[float, list[_Line]]] = {}
    try:
        first, *lines = path.read_text("utf-8").splitlines()
        if json.loads(first).get("voxwire_recording") != VERSION:
            raise invalid(f"{path.name} was recorded by another version")
        for text in lines:
            told = json.loads(text)
            if "opened_after_ms" in told:
                sockets[int(told["socket"])] = _ms(told["opened_after_ms"]), []
                continue
            data = told.get("data")
            line = _Line(
                _ms(told["after_ms"]),
                None if data is None else base64.b64decode(data, validate=True),
                int(told.get("closed", 0)),
            )
            sockets[int(told["socket"])][1].append(line)
    except (*_DAMAGED, RecursionError) as error:
        raise invalid(f"{path.name} is no recording of a session") from error
    return [sockets[number] for number in sorted(sockets)]


def _ms(told: Any) -> float:
    """A time of the file.

    Raises:
        ValueError: It is none.
    """
    ms = float(told)
    if not 0 <= ms < math.inf:
        raise ValueError(told)
    return ms


class _Player:
    """A socket on which the server says what it said."""

    def __init__(self, lines: list[_Line], clock: Clock, sent: "_Sent") -> None:
        self._inbox = Mailbox()
        self._sent = sent
        self._lines = deque(lines)
        self._clock = clock
        self._opened_ms = clock.now_ms()
        self._timer: Timer | None = None
        self._happen()

    def _happen(self) -> None:
        """What is due happens, in order; then the next is waited for."""
        while self._lines and self._inbox.closed is None:
            wait_ms = self._opened_ms + self._lines[0].after_ms - self._clock.now_ms()
            if wait_ms > 0:
                self._timer = self._clock.call_later(wait_ms, self._happen)
                return
            line = self._lines.popleft()
            if line.data is None:
                self._end(SocketClosed(line.code))
            else:
                self._inbox.put(self._acknowledging(line.data))

    def _acknowledging(self, data: bytes) -> bytes:
        """The message, as a server says it that has what this client has sent."""
        try:
            envelope = wire.Envelope.FromString(data)
        except DecodeError:
            return data
        if envelope.WhichOneof("payload") == "welcome":
            envelope.welcome.last_seq = self._sent.last
        elif envelope.ack:
            envelope.ack = self._sent.last
        else:
            return data
        return envelope.SerializeToString()

    def _end(self, closed: SocketClosed) -> None:
        if self._inbox.close(closed) and self._timer is not None:
            self._timer.cancel()

    async def send(self, data: bytes) -> None:
        if self._inbox.closed is not None:
            raise self._inbox.closed
        envelope = wire.Envelope.FromString(data)
        if envelope.seq > self._sent.last:
            self._sent.last = envelope.seq
            ack = wire.Envelope(ack=self._sent.last, ack_only=wire.Ack())
            self._inbox.put(ack.SerializeToString())
        await asyncio.sleep(0)

    async def receive(self) -> bytes:
        return await self._inbox.receive()

    async def close(self) -> None:
        self._end(SocketClosed(1000))

    def abort(self) -> None:
        self._end(SocketClosed())
