"""The control channel of a session with a stock bot: RTVI in the place of envelopes."""

import asyncio
import secrets
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Final

from voxwire._attach import client_info, expired, is_final
from voxwire._deadline import Deadline
from voxwire._environment import Environment
from voxwire._features import Feature
from voxwire._peer import Handler
from voxwire._tap import Taps
from voxwire._tool_runner import MAX_TIMEOUT_MS
from voxwire.rtvi._dialling import Dialling
from voxwire.rtvi._frames import Interruption
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._late_words import LateWords
from voxwire.rtvi._line import Line, LineLost
from voxwire.rtvi._raised import Raised
from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_protocol.rtvi import RtviError, RtviMessage, StockBot, encode

__all__ = ["StockControl"]

MAX_QUEUED: Final = 1024
"""Unsent messages above which nothing more is taken."""

DIAL_MS: Final = 8000
"""How long one attempt to come back may take."""

TRIES: Final = 3
AGAIN_S: Final = 2.0
"""How often, and with which wait between, a lost connection is asked for again, as
small-webrtc-transport does."""

_RTC: Final = wire.Carrier.CARRIER_WEBRTC
_FILES: Final = frozenset({"file_begin", "file_piece", "file_cancel"})


class StockControl:
    """Messages of one session with a stock bot. `dial` first, then `run`, then `close`.

    Attributes:
        clock: Nothing is known of the bot's.
        deadline: How long the session may take until it is up.
        failure: Why there is no line now; None while there is one.
        features: What the bot does in this session; empty until it is ready.
        line: The line in use; None while there is none.
        resumable: True once the bot is ready, if a lost connection can be had back.
    """

    def __init__(
        self,
        dialling: Dialling,
        *,
        tools: frozenset[str],
        inflow: Inflow,
        max_bytes: int,
        resume_ms: int | None,
        environment: Environment,
        taps: Taps | None = None,
    ) -> None:
        """Prepares; nothing is dialled yet.

        Args:
            dialling: Opens the lines.
            tools: Names of the tools that this client runs.
            inflow: The bot's audio.
            max_bytes: Largest message that the carrier takes.
            resume_ms: Longest time to try for a line that was lost; 0 = the session ends with it.
            environment: Time.
            taps: See every message.
        """
        self.clock = ClockSync()
        self.failure: VoxwireError | None = None
        self.deadline = Deadline(environment.clock)
        self.features: frozenset[Feature] = frozenset()
        self.line: Line | None = None
        self.resumable = False
        self.bad_messages = 0
        self._dialling = dialling
        self._bot = StockBot(
            new_id=lambda: secrets.token_hex(4), tools=tools, max_message_bytes=max_bytes
        )
        self._handler: Handler | None = None
        self._inflow = inflow
        self._max_bytes = max_bytes
        self._resume_ms = resume_ms
        self._time = environment.clock
        self._taps = Taps() if taps is None else taps
        self._welcome = wire.Welcome()
        self._began_ms = 0
        self._flushes = 0
        self._raised = Raised()
        self._late_words = LateWords(self._bot, self._end_late, self._raised)
        self._muted = False
        self._over = False
        self._left = False
        self._ended = False  # the session has been told, and hears nothing more
        self._queue: deque[str] = deque()
        self._wake = asyncio.Event()
        self._dialled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def sent(self) -> None:
        """RTVI numbers no messages, and a bot acknowledges none."""
        return None

    async def dial(self, timeout_ms: int) -> None:
        """Opens the first line. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        self.deadline.begin(timeout_ms)
        self.line = await self._dialling.open(timeout_ms)

    async def run(self, handler: Handler) -> None:
        """Says that this client is ready, and serves one line after the other.

        Raises:
            VoxwireError: Why it is over. Never returns.
        """
        self._handler = handler
        self.send(wire.Envelope(hello=wire.Hello(client=client_info())))
        while True:
            line = self.line
            assert line is not None, "dial comes first"
            try:
                await self._serve(line, handler)
            except LineLost as loss:
                await self._come_back(line, loss, handler)

    async def wait_line(self) -> Line:
        """Waits for a line that is not lost. Cancel-safe."""
        while self.line is None or self.line.is_lost:
            self._dialled.clear()
            await self._dialled.wait()
        return self.line

    def send(self, envelope: wire.Envelope) -> bool:
        """Sends what the bot has a message for; the rest of what it need not know is done here.

        Raises:
            VoxwireError: UNSUPPORTED, TOO_LARGE; CAPACITY when too much waits for the bot.
        """
        if envelope.HasField("mute"):
            self._mute(envelope.mute.muted)
        self._left = self._left or envelope.HasField("bye")
        if envelope.WhichOneof("payload") in _FILES:
            self._take_file(envelope)
            return True
        try:
            texts = [self._encoded(message) for message in self._bot.write(envelope)]
        except RtviError as error:
            raise make_error(error.code, error.reason) from error
        self._put(texts)
        if self._taps and texts:
            written = "\n".join(texts).encode()
            self._taps.see("out", envelope, self._time.now_ms(), data=written)
        return True

    def _put(self, texts: list[str]) -> None:
        if len(self._queue) + len(texts) > MAX_QUEUED:
            raise make_error(
                ErrorCode.CAPACITY, "too much waits for the bot already", retryable=True
            )
        if texts:
            self._queue.extend(texts)
            self._idle.clear()
            self._wake.set()

    def _take_file(self, envelope: wire.Envelope) -> None:
        """Puts a file together for one message; answered as by a server, soon and not at once."""
        step = self._bot.take_file(envelope)
        if step.message is not None:
            text = encode(step.message)
            self._put([text])
            if self._taps:
                self._taps.see("out", envelope, self._time.now_ms(), data=text.encode())
        if self._handler is not None:
            for told in step.told:
                tell = partial(self._handler.handle, told)
                asyncio.get_running_loop().call_soon(self._raised.by, tell)

    def _encoded(self, message: RtviMessage) -> str:
        text = encode(message)
        size = len(text.encode())
        if size > self._max_bytes and message.type == "llm-function-call-result":
            # Without a result the bot would wait for ever.
            reason = f"the result is above the {self._max_bytes} bytes that the carrier takes"
            error = {"code": "too_large", "message": reason}
            text = encode(replace(message, data={**message.data, "result": {"error": error}}))
        elif size > self._max_bytes:
            raise RtviError(
                ErrorCode.TOO_LARGE,
                f"a message of {size} bytes; the carrier takes {self._max_bytes}",
            )
        return text

    def _mute(self, muted: bool) -> None:
        self._muted = muted
        if self.line is not None:
            self.line.mute(muted)

    def go_away(self, notice: wire.GoAway) -> None:
        """A stock bot stays where it is."""

    def expect_loss(self) -> None:
        """A stock bot announces nothing."""

    def condemn(self, error: VoxwireError) -> None:
        """A stock bot says nothing before it hangs up."""

    def finish(self) -> None:
        """From here on a lost line is the end."""
        self._over = True

    def drop(self) -> None:
        """Breaks the line, as a broken network would."""
        if self.line is not None:
            self.line.drop()

    async def flush(self, timeout_ms: int) -> None:
        """Waits until everything queued is written, at most `timeout_ms`. Cancel-safe."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._idle.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Hangs up; bounded."""
        self._over = True
        self._late_words.stop()
        line, self.line = self.line, None
        if line is not None:
            await line.close()

    # one line

    async def _serve(self, line: Line, handler: Handler) -> None:
        """Reads and writes until the line is lost.

        Raises:
            LineLost: It is.
        """
        sides = (self._read(line, handler), self._write(line, handler), self._raised.first())
        tasks = [asyncio.create_task(side, name="voxwire-stock") for side in sides]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self, line: Line, handler: Handler) -> None:
        while True:
            said = await line.receive()
            if isinstance(said, Interruption):
                self._cut(handler)
            else:
                self._take(said, line, handler)

    async def _write(self, line: Line, handler: Handler) -> None:
        """Writes what is queued until cancelled; what was being written then is written again.

        A bot that was told to go would finish its sentence; whoever told it has hung up.
        """
        while True:
            while self._queue:
                await line.send(self._queue[0])
                self._queue.popleft()
            self._idle.set()
            if self._left:
                self._tell_end(handler)
            self._wake.clear()
            await self._wake.wait()

    def _take(self, message: RtviMessage, line: Line, handler: Handler) -> None:
        if self._ended:
            return
        try:
            envelopes = self._bot.read(message, media_ms=_sounded_ms(handler))
        except RtviError:
            self.bad_messages += 1
            return
        cuts = any(envelope.HasField("interrupted") for envelope in envelopes)
        if cuts and line.carrier == _RTC:
            self._cut(handler)  # over WebSocket a frame says it, in its place among the audio
        for envelope in envelopes:
            if self._taps:
                self._taps.see("in", envelope, self._time.now_ms(), data=encode(message).encode())
            if envelope.HasField("welcome"):
                self._begin(envelope.welcome, line, handler)
                continue
            if envelope.HasField("tool_request"):  # which names no deadline
                envelope.tool_request.timeout_ms = MAX_TIMEOUT_MS
            handler.handle(envelope)
        self._late_words.look()

    def _end_late(self) -> None:
        handler = self._handler
        if handler is None or self._ended:
            return
        for ended in self._bot.overdue(_sounded_ms(handler)):
            if self._taps:
                self._taps.see("in", ended, self._time.now_ms())
            handler.handle(ended)

    def _cut(self, handler: Handler) -> None:
        """Has what was received and has not sounded thrown away."""
        until_ms = self._inflow.cut()
        if until_ms is not None and not self._ended:
            self._flushes += 1
            flush = wire.Flush(flush_id=self._flushes, until_media_ms=until_ms)
            handler.handle(wire.Envelope(flush=flush))

    def _begin(self, welcome: wire.Welcome, line: Line, handler: Handler) -> None:
        """The bot is ready; it may say so again."""
        if self._welcome.session_id:
            return
        self._welcome.CopyFrom(welcome)
        self._welcome.session_id = line.name or f"rtvi-{secrets.token_hex(8)}"
        self._began_ms = self._now_ms()
        self.resumable = line.carrier == _RTC and self._resume_ms != 0
        if self.resumable:
            self.features = frozenset({Feature.RECONNECT})
        handler.attached(self._welcome, attempt=0, after_ms=0, unsent=0)

    # the next line, or the end

    async def _come_back(self, line: Line, loss: LineLost, handler: Handler) -> None:
        """Gets another line in the place of one that was lost.

        Raises:
            VoxwireError: That is the end.
        """
        self.line, self.failure = None, loss.error
        line.drop()  # it must not say goodbye: that would end the bot
        closing = asyncio.create_task(line.close(), name="voxwire-close")
        try:
            if loss.ended or self._left:
                self._tell_end(handler)
                raise loss.error
            if self._over or not self.resumable or is_final(loss.error, attaching=False):
                raise loss.error
            await self._redial(line, loss.error, handler)
        finally:
            await asyncio.wait({closing})

    async def _redial(self, line: Line, cause: VoxwireError, handler: Handler) -> None:
        began_ms = self._now_ms()
        for attempt in range(1, TRIES + 1):
            handler.lost(attempt)
            await asyncio.sleep(line.trusted_s if attempt == 1 else AGAIN_S)
            left_ms = DIAL_MS
            if self._resume_ms is not None:
                left_ms = min(DIAL_MS, self._resume_ms - (self._now_ms() - began_ms))
            if self._over or left_ms <= 0:
                break
            try:
                self.line = await self._dialling.reopen(left_ms, muted=self._muted)
            except VoxwireError as error:
                cause = error
                if not error.retryable:
                    break
                continue
            self.failure = None
            self._dialled.set()
            self._welcome.epoch += 1
            self._welcome.resumed = True
            after_ms = self._now_ms() - began_ms
            handler.attached(self._welcome, attempt=attempt, after_ms=after_ms, unsent=0)
            handler.skipped()
            for ended in self._bot.lost(_sounded_ms(handler)):
                handler.handle(ended)
            self._late_words.look()
            return
        raise expired(self._now_ms() - began_ms, cause)

    def _tell_end(self, handler: Handler) -> None:
        if self._ended:
            return
        self._late_words.give_up()
        self._ended = True
        reasons = wire.EndReason
        reason = reasons.END_REASON_CLIENT if self._left else reasons.END_REASON_BOT
        lasted_ms = max(0, self._now_ms() - self._began_ms) if self._began_ms else 0
        ended = wire.SessionEnded(reason=reason, duration_ms=lasted_ms)
        handler.handle(wire.Envelope(session_ended=ended))

    def _now_ms(self) -> int:
        return int(self._time.now_ms())


def _sounded_ms(handler: Handler) -> int:
    """The newest sample that has sounded: where playout stands still, the next one has not."""
    return max(0, handler.position_ms - 1)
