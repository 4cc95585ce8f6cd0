"""The control channel of a session: one `Channel` for its whole life, sockets come and go."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from voxwire._attach import BUSY, Greeting, Refusal, backoff_s, is_final, is_for_another_time, lost
from voxwire._deadline import Deadline
from voxwire._dial import Attached, Dialler, end_unused
from voxwire._environment import Environment
from voxwire._features import Feature, features_of
from voxwire._peer import Handler
from voxwire._simulate import Gate
from voxwire._socket import Lost, Socket
from voxwire._tap import Taps
from voxwire._watch import Watch
from voxwire._websocket import CLOSE_MS
from voxwire.tokens import TokenRequest, TokenSource, ask_for_token, source_late
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError, ReplayLimits
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error

__all__ = ["Control"]

_MadeT = TypeVar("_MadeT")

MAX_LOSSY_QUEUED: Final = 50
"""Unsent messages above which audio and reports are dropped (1 s of 20 ms blocks)."""

MAX_QUEUED: Final = 4096
"""Unsent messages above which nothing more is taken."""

VERDICT_MS: Final = 2000
"""A close this long after an error of the server has that error as its reason."""

_LIMITS: Final = ReplayLimits(age_ms=600_000)  # the grace of the session bounds the age


class Control:
    """The control channel of one session. `dial` first, then `run`, then `close`."""

    def __init__(
        self,
        greeting: Greeting,
        gate: Gate,
        *,
        environment: Environment,
        token_source: TokenSource | None = None,
        taps: Taps | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Prepares; nothing is dialled yet.

        Args:
            greeting: Makes every Hello of the session.
            gate: What the bytes of its sockets pass through.
            environment: The way to the server, and time.
            token_source: Is asked for another token when the server refuses the first one.
            taps: See every message.
            deadline: How long the session may take until it is up.
        """
        self._time = environment.clock
        self._jitter = environment.jitter
        self._taps = taps = Taps() if taps is None else taps
        self._token_source = token_source
        self.deadline = Deadline(environment.clock) if deadline is None else deadline
        self.bad_messages = 0
        self.dropped_messages = 0
        self.failure: VoxwireError | None = None
        """Why there is no socket now; None while there is one."""
        self.features: frozenset[Feature] = frozenset()
        """What the server does in this session; empty until it was welcomed."""
        self._greeting = greeting
        self._channel = Channel(
            allowed=wire.SERVER_PAYLOADS,
            max_receive_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            limits=_LIMITS,
        )
        self._dialler = Dialler(
            greeting,
            gate,
            environment=environment,
            taps=taps,
            deadline=self.deadline,
            last_received=lambda: self._channel.last_received,
        )
        self._watch = Watch(
            greeting, self._channel, self._dialler, environment=environment, send=self.send
        )
        self.clock: ClockSync = self._watch.clock
        self._socket: Socket | None = None
        self._over = False
        self._kept_whatever = False
        self._verdict: tuple[int, VoxwireError] | None = None
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def resumable(self) -> bool:
        """True once the server has said that it keeps the session when its socket is lost."""
        return self._greeting.resumable

    @property
    def sent(self) -> int:
        """Number of the last message that was sent, or waits to be."""
        return self._channel.last_sent

    @property
    def _acknowledged(self) -> int:
        """Number up to which the server has everything."""
        return self._channel.last_sent - self._channel.unacknowledged

    async def dial(self, timeout_ms: int) -> None:
        """Opens the first socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        self.deadline.begin(timeout_ms)
        self._socket = await self._patiently(self._open)

    def finish(self) -> None:
        """From here on a lost socket is the end."""
        self._over = self._watch.over = True

    def go_away(self, notice: wire.GoAway) -> None:
        """The server will close this socket; the session goes on elsewhere if it says where."""
        here = self._socket.url if self._socket is not None else ""
        moves = self._greeting.addresses.sent_on(notice.resume_url, here=here)
        if moves and self._greeting.resumable:
            self._watch.plan_move(notice.time_left_ms)
        else:
            self._watch.stay()

    def expect_loss(self) -> None:
        """The server will close this socket, and the session goes on whatever the close says."""
        self._kept_whatever = True

    def condemn(self, error: VoxwireError) -> None:
        """The server says why it will close this socket; that counts, not the close code."""
        self._verdict = (self._now_ms(), error)

    def drop(self) -> None:
        """Aborts the socket, as a broken network would."""
        if self._socket is not None:
            self._socket.abort()

    def send(self, envelope: wire.Envelope) -> bool:
        """Sends a message, or keeps it until the channel is back.

        Audio and reports are not taken without a socket, and while it is more than 1 s behind.

        Returns:
            False when it was not taken.

        Raises:
            VoxwireError: It is too large; CAPACITY when too much waits for the server.
        """
        lossy = envelope.WhichOneof("payload") not in wire.RELIABLE_PAYLOADS
        if lossy and (self._socket is None or len(self._queue) > MAX_LOSSY_QUEUED):
            self.dropped_messages += not envelope.HasField("audio")  # that is kept elsewhere
            return False
        if not lossy and self._greeting.resumable and not self._channel.has_room(envelope):
            raise make_error(
                ErrorCode.CAPACITY, "too much waits for the server already", retryable=True
            )
        if len(self._queue) > MAX_QUEUED:
            raise lost("the server does not read what is sent to it")
        try:
            data = self._channel.send(envelope, self._now_ms())
        except ChannelError as error:
            raise make_error(ErrorCode(error.code), error.reason) from error
        if self._taps:
            whole = data[0] if len(data) == 1 else b""
            self._taps.see("out", envelope, self._time.now_ms(), data=whole)
        if self._socket is not None:
            self._queue.extend(data)
            self._idle.clear()
            self._wake.set()
        return True

    async def run(self, handler: Handler) -> None:
        """Attaches, and attaches again whenever the socket is lost, until that is the end.

        Raises:
            VoxwireError: Why it is over. Never returns.
        """
        attempt, after_ms = 0, 0
        attached = await self._attach_first(handler)
        while True:
            self._use(attached, handler, attempt=attempt, after_ms=after_ms)
            attempt, after_ms = 0, 0
            try:
                attached = await self._serve(attached.socket, handler)
            except Lost as loss:
                self._lose(loss.error)
                since_ms = self._now_ms()
                attempt, attached = await self._dialler.come_back(loss.error, handler.lost)
                after_ms = self._now_ms() - since_ms

    def _now_ms(self) -> int:
        return int(self._time.now_ms())

    async def flush(self, timeout_ms: int) -> None:
        """Waits until everything queued is written, at most `timeout_ms`. Cancel-safe."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._idle.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Writes what is queued and closes the socket, within 0.5 s each. Comes behind `run`."""
        self.finish()
        socket, self._socket = self._socket, None
        if socket is None:
            return
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                while self._queue:
                    await socket.send(self._queue[0])
                    self._queue.popleft()
        except (Lost, TimeoutError):
            pass
        finally:
            await socket.close()

    def _use(self, attached: Attached, handler: Handler, *, attempt: int, after_ms: int) -> None:
        """Makes a welcomed socket the one in use; what the server lacks is sent again."""
        welcome, now = attached.welcome, self._now_ms()
        first = self._greeting.first
        if self._socket is not None and self._socket is not attached.socket:
            self._socket.abort()
        self._socket = attached.socket
        self.failure = self._verdict = None
        self._kept_whatever = False
        self._greeting.welcomed(welcome, attached.socket.url)
        self.features = features_of(welcome)
        self._take_limits(welcome)
        unsent = 0
        if not attached.eager:
            self._channel.on_lost(now)
            if welcome.resumed or (first and not welcome.HasField("snapshot")):
                self._queue = deque(self._missing(welcome.last_seq, now))
            else:
                unsent = self._channel.unacknowledged
                self._channel.restart()
                self._queue.clear()
        self._idle.clear()
        self._wake.set()
        handler.attached(welcome, attempt=attempt, after_ms=after_ms, unsent=unsent)
        handler.acknowledged(self._acknowledged)

    def _missing(self, last_seq: int, now: int) -> list[bytes]:
        """What the server has not received."""
        try:
            missing = self._channel.resume(last_seq, now)
        except ChannelError as error:
            raise make_error(ErrorCode(error.code), error.reason) from error
        if missing is None:
            reason = "the server resumes from before what this side still has"
            raise make_error(ErrorCode.MALFORMED, reason)
        return missing

    def _take_limits(self, welcome: wire.Welcome) -> None:
        if welcome.max_message_bytes:
            self._channel.max_send_bytes = max(128, min(welcome.max_message_bytes, 1 << 20))
        self._watch.attached(welcome)

    def _lose(self, error: VoxwireError) -> None:
        """Notes that there is no socket; decides whether it may be had back.

        Raises:
            VoxwireError: It may not: `error`.
        """
        self._drop_socket()
        if self._verdict is not None and self._now_ms() - self._verdict[0] < VERDICT_MS:
            error = self._verdict[1]
        self.failure = error
        self._watch.lost()
        ours = error.code == ErrorCode.SUPERSEDED and self._greeting.unanswered
        leaves = error.code == ErrorCode.GOING_AWAY and self._greeting.resumable
        goes_on = self._kept_whatever or leaves
        if self._over or not (self._greeting.first or self._greeting.resumable):
            raise error
        if is_final(error, attaching=False) and not ours and not goes_on:
            raise error
        self._channel.on_lost(self._now_ms())

    async def _open(self) -> Socket:
        return await self._dialler.open(self._left_ms())

    def _left_ms(self) -> int:
        """How long connecting may still take."""
        return max(1, round(self.deadline.left_ms))

    async def _patiently(self, attempt: Callable[[], Awaitable[_MadeT]]) -> _MadeT:
        """Tries again while the server is busy or leaves, as long as connecting may take: behind a
        load balancer that may be another one.

        Raises:
            VoxwireError: The attempt's; that of such a server when it asks for more time than
                there is.
        """
        waits = backoff_s(self._jitter)
        next(waits)
        while True:
            try:
                made = await attempt()
            except VoxwireError as error:
                wait_s = max(next(waits), error.retry_after_ms / 1000)
                late = wait_s * 1000 >= self.deadline.left_ms
                if not is_for_another_time(error) or late or self._over:
                    raise
                self.failure = error
                await asyncio.sleep(wait_s)
                if error.code not in BUSY:  # of a full service the next try is not another story
                    self.failure = None
            else:
                self.failure = None
                return made

    async def _attach_first(self, handler: Handler) -> Attached:
        """Says Hello on the socket that was dialled; dials again when it breaks before Welcome."""
        return await self._patiently(lambda: self._attach_once(handler))

    async def _attach_once(self, handler: Handler) -> Attached:
        dialled = self._socket
        try:
            if dialled is not None:
                return await self._greet_first(dialled)
            return await self._dialler.attach_first(self._left_ms())
        except Refusal as refusal:
            self._drop_socket()
            if await self._has_renewed(refusal.error):
                return await self._attach_once(handler)
            raise refusal.error from None
        except Lost as loss:
            self._lose(loss.error)
            return (await self._dialler.come_back(loss.error, handler.lost))[1]

    async def _has_renewed(self, error: VoxwireError) -> bool:
        """Asks for another token, once, when the server refused the first one."""
        source, self._token_source = self._token_source, None
        if source is None or error.code != ErrorCode.UNAUTHORIZED:
            return False
        self.failure = source_late()
        self._greeting.renew(await ask_for_token(source, TokenRequest("refused")))
        self.failure = None
        return True

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.abort()
            self._socket = None
        self._queue.clear()
        self._idle.set()

    async def _greet_first(self, socket: Socket) -> Attached:
        """Says Hello and, without waiting, what is queued; reads the Welcome."""
        await self._dialler.greet(socket)
        writer = asyncio.create_task(self._write(socket), name="voxwire-eager")
        try:
            return Attached(socket, await self._dialler.read_welcome(socket), eager=True)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _serve(self, socket: Socket, handler: Handler) -> Attached:
        """Reads and writes until the socket is lost, or another one is welcomed in its place.

        Raises:
            Lost: The socket is gone.
        """
        tasks: list[asyncio.Task[Attached]] = [
            asyncio.create_task(self._watch.run(socket, handler), name="voxwire-watch"),
            asyncio.create_task(self._read(socket, handler), name="voxwire-read"),
            asyncio.create_task(self._write_on(socket), name="voxwire-write"),
        ]
        watching, reading, _ = tasks
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and self._is_our_doing(reading):
                await asyncio.wait({watching})
            outcomes = await _end(tasks)
        except BaseException:
            await end_unused(tasks)
            raise
        for outcome in outcomes:  # a Welcome beats the loss of the socket that it replaces
            if isinstance(outcome, Attached):
                return outcome
        why = (it for it in outcomes if not isinstance(it, Attached | asyncio.CancelledError))
        raise next(why, Lost(lost("a task of the connection was cancelled")))

    def _is_our_doing(self, reading: asyncio.Task[Attached]) -> bool:
        error = reading.exception()
        return isinstance(error, Lost) and self._watch.has_caused(error.error)

    async def _read(self, socket: Socket, handler: Handler) -> Attached:
        while True:
            data = await socket.receive()
            taken = self._decode(data)
            handler.acknowledged(self._acknowledged)
            for envelope in taken:
                if self._taps:
                    self._tap(envelope, data, whole=len(taken) == 1)
                handler.handle(envelope)
            if self._channel.next_due_ms is not None:
                self._wake.set()

    def _tap(self, envelope: wire.Envelope, data: str | bytes, *, whole: bool) -> None:
        """Shows what came; what came in chunks has its bytes nowhere on the wire."""
        wired = data if whole and isinstance(data, bytes) else b""
        if wire.Envelope.FromString(wired).HasField("chunk"):
            wired = b""
        self._taps.see("in", envelope, self._time.now_ms(), data=wired)

    def _decode(self, data: str | bytes) -> list[wire.Envelope]:
        if isinstance(data, str):
            self.bad_messages += 1
            return []
        try:
            return self._channel.receive(data, self._now_ms())
        except ChannelError as error:
            self.bad_messages += 1
            return list(error.delivered)

    async def _write_on(self, socket: Socket) -> Attached:
        await self._write(socket)
        raise AssertionError("writing has no end")

    async def _write(self, socket: Socket) -> None:
        """Writes what is queued until cancelled; what was being written then is written again."""
        while True:
            self._queue.extend(self._channel.outgoing(self._now_ms()))
            if not self._queue:
                self._idle.set()
                await self._wait()
                continue
            await socket.send(self._queue[0])
            self._queue.popleft()

    async def _wait(self) -> None:
        """Waits for something to send or the next acknowledgement that is due."""
        self._wake.clear()
        due_ms = self._channel.next_due_ms
        delay_s = None if due_ms is None else max(0, due_ms - self._now_ms()) / 1000
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return


async def _end(tasks: Sequence[asyncio.Task[Attached]]) -> list[Attached | BaseException]:
    """Cancels tasks and waits for that; returns how each one ended."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
