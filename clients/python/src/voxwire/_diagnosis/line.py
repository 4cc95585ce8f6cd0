"""A session as far as a diagnosis needs one: pings, a WebRTC path, what becomes of its packets."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from voxwire._diagnosis.verdict import PathTried
from voxwire._environment import Environment
from voxwire._fallback import is_of_the_network, why
from voxwire._ice import IceChoice
from voxwire._socket import Lost, Socket
from voxwire._url import is_loopback
from voxwire.playout import Samples
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.errors import ErrorCode, VoxwireError, error_from_wire, make_error
from voxwire_protocol.events import FallbackReason

if TYPE_CHECKING:
    from voxwire._webrtc_path import WebRtcPath

__all__ = ["ECHO_MS", "Echo", "Ended", "Line", "webrtc_is_here"]

T = TypeVar("T")

ECHO_MS: Final = 3000
"""How long packets are counted."""
PATH_MS: Final = 4500
"""How long a path may take to come up."""
PINGS: Final = 3
PING_EVERY_S: Final = 0.25
_LEAVE_S: Final = 1.4
"""Closing the socket takes 0.5 s more. What is left of a path then goes on by itself."""
_PATH_ID: Final = 1

_ENDS: Final = {
    wire.EndReason.END_REASON_BOT: (ErrorCode.INVALID_STATE, "the bot ended the session"),
    wire.EndReason.END_REASON_SERVER: (ErrorCode.GOING_AWAY, "the server is shutting down"),
}


class Ended(Lost):
    """The server has ended the session, and has said why."""


class Echo(NamedTuple):
    """What came of the packets of a path.

    Attributes:
        round_trip_ms: By the reports of RTP, else the best ping; milliseconds, None = not known.
        jitter_ms: Of the server's packets, milliseconds (RFC 3550).
        received: Packets that came from the server.
        lost_down: Share of the server's packets that were lost, 0 to 1; None = none was to come.
        lost_up: The same of ours, as the server reports it; None = it has not reported.
    """

    round_trip_ms: float | None
    jitter_ms: float | None
    received: int
    lost_down: float | None
    lost_up: float | None


def webrtc_is_here(environment: Environment) -> bool:
    """Whether this side has WebRTC."""
    return environment.webrtc and find_spec("aiortc") is not None


class Line:
    """The control channel of a session that was welcomed. An async context manager, used once."""

    def __init__(self, socket: Socket, welcome: wire.Welcome, environment: Environment) -> None:
        """Takes the socket; leaving closes it and ends the session."""
        self.welcome = welcome
        self._socket = socket
        self._clock = environment.clock
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        if welcome.max_message_bytes:
            self._channel.max_send_bytes = max(128, min(welcome.max_message_bytes, 1 << 20))
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._pongs: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._best_ms: float | None = None
        self._lost: Lost | None = None
        self._over = asyncio.Event()
        self._last_error: VoxwireError | None = None
        self._path: WebRtcPath | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Line":
        """Begins to read and to write."""
        self._tasks = [
            asyncio.create_task(self._read(), name="voxwire-doctor-read"),
            asyncio.create_task(self._write(), name="voxwire-doctor-write"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the path and ends the session; within 2 s."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_S), asyncio.TaskGroup() as leaving:
                    leaving.create_task(self._close_path())
                    leaving.create_task(self._say_bye())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._socket.close()

    async def _close_path(self) -> None:
        if self._path is not None:
            await self._path.close()

    async def _say_bye(self) -> None:
        self._send(wire.Envelope(bye=wire.Bye(reason="a diagnosis")))
        await self._written()

    # messages

    def _send(self, message: wire.Envelope) -> bool:
        for data in self._channel.send(message, self._now_ms()):
            self._queue.put_nowait(data)
        return True

    def _now_ms(self) -> int:
        return int(self._clock.now_ms())

    async def _written(self) -> None:
        await self._queue.join()

    async def _write(self) -> None:
        while True:
            data = await self._queue.get()
            try:
                await self._socket.send(data)
            except Lost as loss:
                self._lose(loss)
            finally:
                self._queue.task_done()

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._socket.receive())
        except Lost as loss:
            self._lose(loss)

    def _lose(self, loss: Lost) -> None:
        if self._lost is None:
            self._lost = loss
            self._over.set()

    @property
    def lost(self) -> Lost | None:
        """Why there is no session any more; None while there is one."""
        return self._lost

    async def while_it_lasts(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work gives, which is given up with the session. Cancel-safe.

        Raises:
            Lost: The session is over, or the socket gone; `Ended` where the server said so.
        """
        working = asyncio.create_task(work)
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost is not None:
                raise self._lost
            return await working
        finally:
            working.cancel()
            over.cancel()
            await asyncio.gather(working, over, return_exceptions=True)

    def _take(self, data: str | bytes) -> None:
        try:
            envelopes = self._channel.receive(data if isinstance(data, bytes) else b"", 0)
        except (ChannelError, DecodeError) as error:
            envelopes = list(error.delivered) if isinstance(error, ChannelError) else []
        for envelope in envelopes:
            match envelope.WhichOneof("payload"):
                case "pong":
                    pong = self._pongs.get(envelope.pong.number)
                    if pong is not None and not pong.done():
                        pong.set_result(None)
                case "session_ended":
                    self._lose(Ended(self._why_ended(envelope.session_ended.reason)))
                case "error" if envelope.error.fatal:
                    self._last_error = error_from_wire(envelope.error)
                    self._lose(Ended(self._last_error))
                case "error":
                    self._last_error = error_from_wire(envelope.error)
                    about_it = envelope.error.subject_id in ("", str(_PATH_ID))
                    if self._path is not None and about_it:
                        told = wire.PathClose(
                            code=envelope.error.code, reason=envelope.error.reason
                        )
                        self._path.receive(wire.Envelope(path_close=told))
                case _:
                    if self._path is not None:
                        self._path.receive(envelope)
        for acknowledgement in self._channel.outgoing(self._now_ms()):
            self._queue.put_nowait(acknowledgement)

    def _why_ended(self, reason: wire.EndReason.ValueType) -> VoxwireError:
        if reason == wire.EndReason.END_REASON_ERROR and self._last_error is not None:
            return self._last_error
        code, told = _ENDS.get(reason, (ErrorCode.INTERNAL, "the server ended the session"))
        return make_error(code, told)

    # round trips

    async def ping(self) -> float:
        """One round trip, milliseconds."""
        self._number += 1
        number, sent_ms = self._number, self._clock.now_ms()
        pong = self._pongs[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(wire.Envelope(ping=wire.Ping(number=number)))
            await pong
        finally:
            del self._pongs[number]
        took_ms = self._clock.now_ms() - sent_ms
        self._best_ms = took_ms if self._best_ms is None else min(self._best_ms, took_ms)
        return took_ms

    async def best_ping(self) -> float:
        """The best of three round trips, milliseconds."""
        return min([await self.ping() for _ in range(PINGS)])

    # the path

    async def open_path(self, url: str, servers: Sequence[wire.IceServer]) -> PathTried:
        """Opens a WebRTC path, as a session would. Takes 4.5 s at most; cancel-safe.

        Args:
            url: Of the server.
            servers: The STUN and TURN servers that it names.
        """
        from voxwire._webrtc_path import WebRtcPath  # brings in aiortc

        began_ms = self._clock.now_ms()
        loopback = is_loopback(url)
        ice = IceChoice(loopback=loopback)
        ice.learn(servers)
        self._path = path = WebRtcPath(
            _PATH_ID, capture=_Silence(), ice=ice, send=self._send, loopback=loopback
        )
        error: VoxwireError | None = None
        try:
            async with asyncio.timeout(PATH_MS / 1000):
                self._send(wire.Envelope(path_open=await path.offer()))
                await path.wait_ready()
        except TimeoutError:
            error = path.trouble
        except VoxwireError as failure:
            error = failure
        else:
            took_ms = round(self._clock.now_ms() - began_ms)
            return PathTried("up", relayed=path.relayed, took_ms=took_ms)
        told = error is not None and error.code not in (ErrorCode.ICE_FAILED, ErrorCode.TURN_FAILED)
        fallback = why(error, path.progress, told=told)
        if fallback.reason == FallbackReason.NOT_OFFERED:
            return PathTried("absent", fallback.detail)
        network = is_of_the_network(fallback.reason) and fallback.reason in (
            FallbackReason.ICE_FAILED,
            FallbackReason.TURN_FAILED,
        )
        return PathTried("failed", fallback.detail, network=network)

    async def echo(self) -> Echo:
        """Counts packets both ways for 3 s.

        Raises:
            VoxwireError: The path broke.
        """
        path = self._path
        assert path is not None, "open_path comes first"
        before = path.arrived()
        pinging = asyncio.create_task(self._ping_on(), name="voxwire-doctor-ping")
        try:
            async with asyncio.timeout(ECHO_MS / 1000):
                await path.run(_Nowhere())
        except TimeoutError:
            pass
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
        came, sent = path.arrived(), await path.sent()
        received, lost = came.received - before.received, max(0, came.lost - before.lost)
        reported_ms = None if sent is None else sent.round_trip_ms
        up = None if sent is None or not sent.received + sent.lost else sent.lost
        return Echo(
            round_trip_ms=self._best_ms if reported_ms is None else reported_ms,
            jitter_ms=came.jitter_ms,
            received=received,
            lost_down=lost / (received + lost) if received + lost else None,
            lost_up=None if up is None or sent is None else up / (sent.received + sent.lost),
        )

    async def _ping_on(self) -> None:
        while True:
            await self.ping()
            await asyncio.sleep(PING_EVERY_S)


class _Silence:
    """A user who says nothing."""

    def read(self, num_samples: int) -> bytes | None:
        return None

    @contextlib.contextmanager
    def pulled(self) -> Generator[None]:
        yield

    def take_kept(self) -> list[Piece]:
        return []

    @contextlib.contextmanager
    def carried(self, send: Callable[[Piece], bool]) -> Generator[None]:
        yield


class _Nowhere:
    """A speaker that is not there."""

    def push(self, sample_index: int, samples: Samples) -> None:
        return

    def rewind(self, sample_index: int, *, misplaced: int) -> None:
        return
