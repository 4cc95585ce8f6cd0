"""A line over WebSocket: Pipecat's frames, messages among them."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final

from voxwire._attach import lost
from voxwire._path import PLAYOUT_RATE, Capture
from voxwire._samples import MAX_CHANNELS, Stream
from voxwire._simulate import Gate
from voxwire._websocket import CLOSE_MS, SocketClosed, WebSocket, open_websocket
from voxwire.audio import CAPTURE_RATE
from voxwire.rtvi._frames import (
    Audio,
    BadFrameError,
    Interruption,
    audio_frame,
    message_frame,
    read_frame,
)
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._line import LineLost
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.errors import ErrorCode, SessionError, VoxwireError
from voxwire_protocol.rtvi import RtviError, RtviMessage, decode

__all__ = ["MAX_MESSAGE_BYTES", "SocketLine"]

_log = logging.getLogger("voxwire")

MAX_MESSAGE_BYTES: Final = 1 << 20
"""Largest RTVI text either way: what a Python server takes unless it is told otherwise."""

_SLACK_BYTES: Final = 4096

MAX_AUDIO_QUEUED: Final = 50
"""Unsent pieces above which no more of the user's voice is taken (1 s of 20 ms)."""

WRITE_MS: Final = 10_000
"""A write that takes longer means that the bot does not read any more."""

PING_S: Final = 5.0
PONG_S: Final = 10.0
"""How often the bot's side is asked whether it is there, and how long it may take to answer. A
browser cannot ask."""

_ENDED: Final = (1000, 1001)
"""Close codes of a bot that hangs up; its process that dies closes with none."""

_BAD_TOKEN: Final = 4003
"""What Pipecat's runner closes with when it wants another token, or another Origin."""

_RATES: Final = range(8000, 48_001)


class SocketLine:
    """A WebSocket to ``/ws-client`` of a runner."""

    carrier = wire.Carrier.CARRIER_WEBSOCKET
    trusted_s = 0.0

    def __init__(self, socket: WebSocket, *, name: str, inflow: Inflow, gate: Gate) -> None:
        """Takes an open one; use `dial`."""
        self.name = name
        self.bad_messages = 0
        self.is_lost = False
        self._socket = socket
        self._inflow = inflow
        self._gate = gate
        self._stream: Stream | None = None
        self._format = (0, 0)
        self._voice: deque[bytes] = deque()
        self._spoke = asyncio.Event()
        self._muted = False

    @classmethod
    async def dial(
        cls,
        url: str,
        *,
        name: str,
        headers: Mapping[str, str],
        timeout_ms: int,
        inflow: Inflow,
        gate: Gate,
    ) -> "SocketLine":
        """Opens a line. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        socket = await open_websocket(
            url,
            timeout_ms=timeout_ms,
            subprotocol=None,
            max_bytes=MAX_MESSAGE_BYTES + _SLACK_BYTES,
            headers=headers,
            ping_s=PING_S,
            pong_s=PONG_S,
        )
        return cls(socket, name=name, inflow=inflow, gate=gate)

    async def send(self, text: str) -> None:
        """Writes a message.

        Raises:
            LineLost: The line is gone, or the bot does not read.
        """
        await self._write(message_frame(text))

    async def _write(self, data: bytes) -> None:
        await self._gate.let_pass(len(data))
        try:
            async with asyncio.timeout(WRITE_MS / 1000):
                await self._socket.send(data)
        except TimeoutError:
            raise LineLost(lost("the bot does not read what is sent to it")) from None
        except SocketClosed:
            await asyncio.Event().wait()  # the reader knows why

    async def receive(self) -> RtviMessage | Interruption:
        """Reads what the bot says next; its voice goes where it belongs.

        Raises:
            LineLost: The socket closed; the close code says why.
        """
        while True:
            try:
                data = await self._socket.receive()
            except SocketClosed as closed:
                self.is_lost = True
                raise _end(closed) from None
            await self._gate.let_pass(len(data))
            try:
                said = self._read(data)
            except (BadFrameError, RtviError) as error:
                self.bad_messages += 1
                _log.info("the bot said what nobody understands: %s", error)
                continue
            if said is not None:
                return said

    def _read(self, data: str | bytes) -> RtviMessage | Interruption | None:
        frame = data if isinstance(data, str) else read_frame(data)
        match frame:
            case str():
                return decode(frame, max_bytes=MAX_MESSAGE_BYTES)
            case Interruption():
                self._stream = None
                return frame
            case Audio():
                self._hear(frame)
            case None:
                pass
        return None

    def _hear(self, audio: Audio) -> None:
        found = (audio.sample_rate or PLAYOUT_RATE, audio.num_channels or 1)
        if found[0] not in _RATES or not 0 < found[1] <= MAX_CHANNELS:
            raise BadFrameError(f"audio of {found[0]} Hz and {found[1]} channels")
        if self._stream is None or found != self._format:
            self._format = found
            self._stream = Stream(found[0], PLAYOUT_RATE, num_channels=found[1])
        samples = self._stream.feed(audio.pcm)
        if len(samples):
            self._inflow.push(samples)

    async def carry(self, capture: Capture) -> None:
        """Sends the user's voice, what was kept of it first, until cancelled.

        Raises:
            LineLost: The bot does not read.
        """
        with capture.carried(self._take):
            while True:
                self._spoke.clear()
                while self._voice:
                    await self._write(self._voice.popleft())
                await self._spoke.wait()

    def _take(self, piece: Piece) -> bool:
        if len(self._voice) > MAX_AUDIO_QUEUED:
            return False
        if not self._muted:
            self._voice.append(audio_frame(piece.pcm, sample_rate=CAPTURE_RATE))
            self._spoke.set()
        return True

    def arrived(self) -> None:
        """A socket loses nothing."""

    def mute(self, muted: bool) -> None:
        """Nothing is sent of a user who is not heard; a bot takes that for silence."""
        self._muted = muted
        if muted:
            self._voice.clear()

    def drop(self) -> None:
        """Aborts the socket, as a broken network would."""
        self._socket.abort()

    async def close(self) -> None:
        """Closes the socket, within 0.5 s; aborts it if that takes longer."""
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                await self._socket.close()
        except TimeoutError:
            return
        finally:
            self._socket.abort()


def _end(closed: SocketClosed) -> LineLost:
    reason = f" ({closed.reason})" if closed.reason else ""
    if closed.code in _ENDED:
        return LineLost(lost(f"the bot hung up{reason}"), ended=True)
    if closed.code == _BAD_TOKEN:
        error: VoxwireError = SessionError(
            ErrorCode.UNAUTHORIZED, f"the bot wants another token{reason}"
        )
        return LineLost(error)
    return LineLost(lost(f"the connection to the bot broke with code {closed.code}{reason}"))
