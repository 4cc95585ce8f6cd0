"""A line over WebRTC: the bot's and the user's voice, and the data channel ``chat``."""

import asyncio
import contextlib
import logging
import time
from typing import Final

from voxwire._attach import lost
from voxwire._ice import IceChoice
from voxwire._path import BLOCK_MS, PLAYOUT_RATE, Arrived, Capture, arrived_at
from voxwire._relaying import Relaying
from voxwire._simulate import Gate
from voxwire.audio import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire.rtvi._frames import Interruption
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._line import LineLost
from voxwire.rtvi._offers import Offers
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, SignalingError, TransportError, VoxwireError
from voxwire_protocol.rtc import BadSdpError, Here, Peer
from voxwire_protocol.rtvi import (
    CHAT_LABEL,
    MAX_MESSAGE_BYTES,
    ChatText,
    PeerLeft,
    Ping,
    RtviError,
    RtviMessage,
    TrackStatus,
    read_chat,
    write_chat,
)

__all__ = ["MAX_MESSAGE_BYTES", "RtcLine"]

_log = logging.getLogger("voxwire")

PING_S: Final = 1.0
"""A stock bot loses what it hears, and drops what it wants to say, 3 s after the last ping."""

TRUSTED_S: Final = 3.3
"""So long after a ping a stock bot writes its voice (3 s, and what the ping takes). One that is
given another connection in the middle of a write waits for it for ever (pipecat 1.14)."""

SILENT_LOOKS: Final = 5
"""After so many seconds with neither a packet nor a message the connection is taken for lost (as
small-webrtc-transport waits for a connection that is "disconnected")."""

MAX_UNREAD: Final = 4096
"""Messages that wait to be read; a bot that says more at once is not followed."""

MAX_WAITING_BYTES: Final = 1 << 20
"""What the data channel has not passed on yet, above which nothing more is written."""

DRAIN_S: Final = 0.01
LAST_WORDS_S: Final = 0.5
WRITE_S: Final = 10.0
PEER_CLOSE_S: Final = 2.0

_MICROPHONE, _CAMERA, _SCREEN = 0, 1, 2
_TICKS: Final = 48_000 // PLAYOUT_RATE


class RtcLine:
    """A peer connection to a runner's ``/api/offer``."""

    carrier = wire.Carrier.CARRIER_WEBRTC

    def __init__(
        self, offers: Offers, *, ice: IceChoice, inflow: Inflow, gate: Gate, muted: bool
    ) -> None:
        """Prepares; use `dial`."""
        self.bad_messages = 0
        self._offers = offers
        self._ice = ice
        self._inflow = inflow
        self._gate = gate
        self._muted = muted
        self._peer = Peer(
            pull=self._pull,
            on_audio=self._hear,
            send_rate=CAPTURE_RATE,
            receive_rate=PLAYOUT_RATE,
            block_ms=BLOCK_MS,
            # A bot of aiortc is on every interface but loopback.
            here=Here(relay_only=ice.relay_only),
            data_label=CHAT_LABEL,
            on_closed=lambda: self._lose(lost("the WebRTC connection to the bot broke")),
        )
        self._relaying: Relaying | None = None
        self._telling: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._capture: Capture | None = None
        self._open = asyncio.Event()
        self._unread: asyncio.Queue[RtviMessage | LineLost] = asyncio.Queue()
        self._end: LineLost | None = None
        self._gone = asyncio.Event()
        self._pinged_s = 0.0
        self._sign_of_life = False
        self._dropped = False
        self._last: tuple[int, int] | None = None  # RTP timestamp and position of one packet

    @classmethod
    async def dial(
        cls,
        offers: Offers,
        *,
        ice: IceChoice,
        timeout_ms: int,
        inflow: Inflow,
        gate: Gate,
        muted: bool,
    ) -> "RtcLine":
        """Opens a line. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, it refuses, or no connection comes about in time.
        """
        line = cls(offers, ice=ice, inflow=inflow, gate=gate, muted=muted)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await line._connect(timeout_ms)
        except BaseException as error:
            await line.close()
            if isinstance(error, TimeoutError):
                raise line._too_late() from None
            raise
        return line

    async def _connect(self, timeout_ms: int) -> None:
        sdp = await self._peer.offer(relay_follows=True)
        assert self._peer.data is not None
        self._peer.data.on_open = self._open.set
        self._peer.data.on_message = self._read
        self._peer.data.on_close = lambda: self._lose(lost("the bot closed its data channel"))
        answer = await self._offers.make(sdp, timeout_ms=timeout_ms)
        self._relaying = Relaying(self._peer, self._ice, self._tell)
        try:
            await self._peer.accept(answer)
        except BadSdpError as error:
            raise SignalingError(ErrorCode.BAD_SDP, "the bot's answer cannot be used") from error
        await self._relaying.connected()
        await self._open.wait()
        self._pinging = asyncio.create_task(self._ping(), name="voxwire-ping")
        self._say(TrackStatus(_MICROPHONE, not self._muted))
        self._say(TrackStatus(_CAMERA, False))
        self._say(TrackStatus(_SCREEN, False))

    @property
    def name(self) -> str:
        """What the bot's side calls the session."""
        return self._offers.name

    @property
    def is_lost(self) -> bool:
        """True once it is gone."""
        return self._end is not None

    @property
    def trusted_s(self) -> float:
        """For how long the bot may still take this line for good if nothing is said on it."""
        return max(0.0, self._pinged_s + TRUSTED_S - time.monotonic())

    def _too_late(self) -> VoxwireError:
        """The error for a line that did not open in time."""
        if self._relaying is None:
            return TransportError(
                ErrorCode.TIMEOUT, "the bot did not answer the offer in time", retryable=True
            )
        return self._relaying.trouble or SignalingError(
            ErrorCode.ICE_FAILED,
            "no WebRTC connection to the bot came about in time: try transport='websocket'",
            retryable=True,
        )

    def _tell(self, candidate: str) -> None:
        """Tells the bot where this side can be reached as well."""
        self._telling = asyncio.create_task(self._offers.add(candidate), name="voxwire-candidate")

    # messages

    async def send(self, text: str) -> None:
        """Writes a message.

        Raises:
            LineLost: The line is gone, or the bot does not read.
        """
        await self._gate.let_pass(len(text))
        data = self._peer.data
        assert data is not None
        try:
            async with asyncio.timeout(WRITE_S):
                while data.waiting_bytes > MAX_WAITING_BYTES:  # noqa: ASYNC110 - no event says it
                    await asyncio.sleep(DRAIN_S)
        except TimeoutError:
            raise LineLost(lost("the bot does not read what is sent to it")) from None
        if time.monotonic() - self._pinged_s > PING_S:  # this program stood still
            self._say(Ping(_unix_ms()))
        if not self._write(text):
            await asyncio.Event().wait()  # the reader knows why

    def _say(self, said: ChatText) -> None:
        self._write(write_chat(said))

    def _write(self, text: str) -> bool:
        data = self._peer.data
        if data is None or self._dropped:
            return False
        try:
            data.send(text)
        except ConnectionError:
            return False
        return True

    async def _ping(self) -> None:
        """Says every second that we are there; notices that the bot is not."""
        silent = 0
        while True:
            self._pinged_s = time.monotonic()
            self._say(Ping(_unix_ms()))
            await asyncio.sleep(PING_S)
            # Counted in looks, not by the clock: a stall of this program is no silence.
            silent = 0 if self._sign_of_life else silent + 1
            self._sign_of_life = False
            if silent == SILENT_LOOKS:
                self._lose(lost(f"nothing came from the bot for {silent} s"))

    def _read(self, text: str | bytes) -> None:
        if self._dropped or self._end is not None:
            return
        self._sign_of_life = True
        if self._unread.qsize() >= MAX_UNREAD:
            self._lose(lost("the bot says more than can be read"))
            return
        try:
            said = read_chat(text)
        except RtviError as error:
            self.bad_messages += 1
            _log.info("the bot said what nobody understands: %s", error)
            return
        match said:
            case RtviMessage():
                self._unread.put_nowait(said)
            case PeerLeft():
                self._lose(lost("the bot hung up"), ended=True)
            case _:
                pass  # it negotiates again for the sake of cameras, which it is offered none of

    async def receive(self) -> RtviMessage | Interruption:
        """Reads what the bot says next.

        Raises:
            LineLost: The line is gone.
        """
        said = await self._unread.get()
        if isinstance(said, LineLost):
            raise said
        await self._gate.let_pass(1)
        return said

    def _lose(self, error: VoxwireError, *, ended: bool = False) -> None:
        """The line is gone; what has come is read first."""
        if self._end is None:
            self._end = LineLost(error, ended=ended)
            self._unread.put_nowait(self._end)
            self._gone.set()

    # voices

    def _pull(self, _: int, num_samples: int) -> bytes | None:
        return None if self._capture is None else self._capture.read(num_samples)

    def _hear(self, samples: Samples, rtp_timestamp: int) -> None:
        """Places what comes by its RTP timestamp, the first behind what came before this line."""
        if self._dropped:
            return
        self._sign_of_life = True
        if self._last is None:
            self._last = (rtp_timestamp, self._inflow.end)
        timestamp, index = self._last
        index += (rtp_timestamp - timestamp & 0xFFFF_FFFF) // _TICKS
        self._last = (rtp_timestamp, index)
        self._inflow.push_at(index, samples)

    async def carry(self, capture: Capture) -> None:
        """Sends the user's voice, which the connection asks for, until cancelled.

        Raises:
            LineLost: The line is gone.
        """
        self._capture = capture
        try:
            with capture.pulled():
                await self._gone.wait()
        finally:
            self._capture = None
        assert self._end is not None
        raise self._end

    def arrived(self) -> Arrived:
        """What came of the bot's voice."""
        return arrived_at(self._peer.stats().inbound)

    def mute(self, muted: bool) -> None:
        """The bot is told; silence is sent."""
        self._muted = muted
        self._say(TrackStatus(_MICROPHONE, not muted))

    # the end

    def drop(self) -> None:
        """Loses every packet from here on, and this line with it; the bot is not told."""
        self._dropped = True
        self._peer.drop()
        self._lose(lost("the connection was dropped"))

    async def close(self) -> None:
        """Closes the connection, within 4 s; what was said last goes first."""
        try:
            await self._drain()
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        self._end = self._end or LineLost(lost("the line was closed"))
        tasks = [task for task in (self._pinging, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._relaying is not None:
                await self._relaying.close()
        finally:
            try:
                async with asyncio.timeout(PEER_CLOSE_S):
                    await self._peer.close()
            except TimeoutError:
                _log.info("a WebRTC connection takes long to close; it goes on alone")

    async def _drain(self) -> None:
        """Waits a moment until what was written has left."""
        data = self._peer.data
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while data is not None and data.is_open and data.waiting_bytes:  # noqa: ASYNC110
                    await asyncio.sleep(DRAIN_S)


def _unix_ms() -> int:
    return int(time.time() * 1000)
