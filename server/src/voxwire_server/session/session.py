"""A session: one user-bot conversation, owned by one task."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.clock import ClockSync
from voxwire_server.config import Settings
from voxwire_server.media.base import MediaPath
from voxwire_server.session.intake import Intake
from voxwire_server.session.link import ControlLink
from voxwire_server.session.paths import Paths
from voxwire_server.session.playout import Cut, Playout
from voxwire_server.session.states import ConversationState
from voxwire_server.session.turns import TurnTimer

__all__ = ["BotRunner", "PipelinePort", "Session"]

_log = logging.getLogger("voxwire.session")

_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET
_FLUSH_REPORT_MS: Final = 150
_MAX_BAD_MESSAGES: Final = 3
_WARN_MS: Final = 3000
_MAX_TEXT_CHARS: Final = 65_536
_MAX_WAITING_TEXTS: Final = 32


class PipelinePort(Protocol):
    """What a session needs of the pipeline behind it."""

    def user_audio(self, pcm: bytes) -> None:
        """Take a block of the user's voice: int16 little-endian mono PCM. Never blocks."""
        ...

    def heard_changed(self) -> None:
        """The listener's position moved."""
        ...

    async def send_text(self, text: str, *, run_immediately: bool, audio_response: bool) -> None:
        """The user typed."""
        ...

    async def interrupt(self) -> None:
        """Cut the bot off."""
        ...

    async def cancel(self) -> None:
        """End the pipeline."""
        ...


BotRunner = Callable[["Session"], Awaitable[None]]
"""Runs the bot of a session until it ends."""


class Session:
    """One conversation: its channel, its media path, its playout, its bot.

    Args:
        session_id: ``owner.random``; opaque to everybody else.
        settings: The server's settings.
        run_bot: Runs the bot; when it returns the session ends.
        features: What both sides can do.

    The registry owns the session and awaits :meth:`run`; when that returns, no task, socket or
    thread of the session remains.
    """

    def __init__(
        self,
        session_id: str,
        *,
        settings: Settings,
        run_bot: BotRunner,
        features: frozenset[wire.Feature],
    ) -> None:
        self.id = session_id
        self.settings = settings
        self.features = features
        self.channel = Channel(allowed=wire.CLIENT_PAYLOADS)
        self.clock = ClockSync()
        self.playout = Playout(sample_rate=settings.audio_out_sample_rate)
        self.state = ConversationState()
        self.turns = TurnTimer()
        self.path: MediaPath | None = None
        self.paths = Paths(self)
        self.port: PipelinePort | None = None
        self.link: ControlLink | None = None
        self.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_USER
        self.pipeline_ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.metadata_json = ""
        self.client = wire.ClientInfo()
        self.muted = False
        self.user = ""
        """Who the token names; empty where none was needed."""
        self.max_duration_ms = 0
        """Longest duration that the token allows; 0 = no limit."""
        self._run_bot = run_bot
        self._started_ms = self.now_ms()
        self._ending: asyncio.Future[tuple[wire.EndReason, wire.Error | None]] = (
            asyncio.get_running_loop().create_future()
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._warned = False
        self._typing = asyncio.Lock()
        self._waiting_texts = 0
        self._flushes: dict[int, asyncio.Future[float]] = {}
        self._ack_timer: asyncio.TimerHandle | None = None
        self._last_received_ms = self._started_ms
        self._bad_messages = 0
        self.intake = Intake()

    @staticmethod
    def now_ms() -> float:
        """Monotonic clock, milliseconds."""
        return time.monotonic() * 1000

    # sending

    def emit(self, **payload: Any) -> None:
        """Send one payload of the envelope to the client, for instance ``emit(flush=Flush())``."""
        self.emit_envelope(wire.Envelope(**payload))

    def emit_envelope(self, envelope: wire.Envelope) -> None:
        """Send an envelope; it is numbered and kept for replay as its payload asks."""
        link = self.link
        for data in self.channel.send(envelope, int(self.now_ms())):
            if link is not None:
                link.send_event(data)

    def emit_state(self, change: wire.StateChanged | None) -> None:
        """Send a state change, if there is one."""
        if change is not None:
            self.emit(state_changed=change)

    def emit_error(
        self, code: wire.ErrorCode, reason: str, *, subject: str = "", fatal: bool = False
    ) -> None:
        """Tell the client what went wrong."""
        action = wire.RecoveryAction.RECOVERY_ACTION_NONE
        self.emit(
            error=wire.Error(
                code=code, reason=reason, subject_id=subject, fatal=fatal, action=action
            )
        )

    # owner

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run ``work`` as part of this session; it is cancelled when the session ends.

        Returns:
            Its task, or None when the session is over already: nothing is begun then.
        """
        if self._over:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session task failed", exc_info=error, extra={"session": self.id})
            self.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(code=wire.ErrorCode.ERROR_CODE_INTERNAL, reason="internal error"),
            )

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        """End the session. The first reason counts."""
        if not self._ending.done():
            self._ending.set_result((reason, error))

    async def run(self) -> None:
        """Own the session: run the bot until it ends or the session does, then leave nothing."""
        bot: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._bot())
        self.spawn(self._heartbeat())
        _log.info("session started", extra={"session": self.id})
        try:
            await asyncio.wait({bot, self._ending}, return_when=asyncio.FIRST_COMPLETED)
            reason, error = self._ending.result() if self._ending.done() else self._outcome(bot)
            await self._stop_bot(bot)
            self._farewell(reason, error)
        finally:
            await self._stop_bot(bot)
            await self._release()
        if self.link is not None:
            self.link.close(1000 if error is None else 4000 + error.code, "session ended")
        self.ended.set()
        fields = {"session": self.id, "reason": int(reason), **self.intake.counters()}
        _log.info("session ended", extra=fields)

    async def _bot(self) -> None:
        await self._run_bot(self)

    def _outcome(self, bot: "asyncio.Task[None]") -> tuple[wire.EndReason, wire.Error | None]:
        failure = bot.exception() if not bot.cancelled() else None
        if failure is None:
            return wire.EndReason.END_REASON_BOT, None
        _log.error("bot failed", exc_info=failure, extra={"session": self.id})
        return wire.EndReason.END_REASON_ERROR, wire.Error(
            code=wire.ErrorCode.ERROR_CODE_BOT_FAILED,
            reason=f"the bot raised {type(failure).__name__}; see the server's log",
            action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
            fatal=True,
        )

    async def _stop_bot(self, bot: "asyncio.Task[None]") -> None:
        timeout = self.settings.end_timeout_ms / 1000
        if not bot.done() and self.port is not None:
            try:
                async with asyncio.timeout(timeout):
                    await self.port.cancel()
                    if self.pipeline_ready.is_set():
                        await asyncio.wait({bot})
            except TimeoutError:
                _log.warning("bot did not end in time", extra={"session": self.id})
            except Exception:
                _log.exception("pipeline could not be ended", extra={"session": self.id})
        if not bot.done():
            bot.cancel()
            await asyncio.wait({bot}, timeout=timeout)

    async def _release(self) -> None:
        self._over = True  # what the client still sends begins nothing
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        for future in self._flushes.values():
            future.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self.settings.end_timeout_ms / 1000)
        await self.paths.release()
        self.port = None

    def _farewell(self, reason: wire.EndReason, error: wire.Error | None) -> None:
        if error is not None:
            self.emit(error=error)
        duration = int(self.now_ms() - self._started_ms)
        self.emit(session_ended=wire.SessionEnded(reason=reason, duration_ms=duration))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self.settings.heartbeat_ms / 1000)
            now = self.now_ms()
            if now - self._last_received_ms > self.settings.dead_after_ms:
                self.end(
                    wire.EndReason.END_REASON_ERROR,
                    wire.Error(
                        code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST,
                        reason="nothing was heard from the client for too long",
                    ),
                )
                return
            if self.link is not None and self.link.overflowing:
                self.end(
                    wire.EndReason.END_REASON_ERROR,
                    wire.Error(
                        code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST,
                        reason="the client stopped reading",
                    ),
                )
                return
            if self.max_duration_ms:
                self._watch_duration(now)
            self.emit(ping=self.clock.ping(int(now * 1000)))
            if self.link is not None:
                self.link.pinged(now)

    def _watch_duration(self, now: float) -> None:
        """Warn in time, then end a session that its token does not allow to be longer."""
        left = self._started_ms + self.max_duration_ms - now
        if left <= 0:
            self.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_DURATION_LIMIT,
                    reason="the session reached the longest duration that its token allows",
                    action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
                    fatal=True,
                ),
            )
        elif not self._warned and left <= max(_WARN_MS, self.max_duration_ms // 10):
            self._warned = True
            reason = "the session will reach the longest duration that its token allows"
            self.emit(go_away=wire.GoAway(reason=reason, time_left_ms=int(left)))

    # receiving

    def receive(self, data: bytes) -> float:
        """Take one message of the client. Never raises; bad input is answered or counted.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        now = self.now_ms()
        self._last_received_ms = now
        verdict = self.intake.admit(data, now)
        if verdict.accepted:
            self._receive(data, now)
        elif verdict.overrun:
            self._audio_overrun(now)
        return verdict.wait_ms

    def _receive(self, data: bytes, now: float) -> None:
        try:
            messages = self.channel.receive(data, int(now))
        except ChannelError as error:
            self._bad_message(error)
            messages = list(error.delivered)
        else:
            self._bad_messages = 0
        for message in messages:
            if self.intake.fits(message):
                self.dispatch(message, now)
            else:
                self._answer_bad(wire.ErrorCode.ERROR_CODE_TOO_LARGE, "too large for its kind")
        self._schedule_ack(now)

    def _bad_message(self, error: ChannelError) -> None:
        self._bad_messages += 1
        self.intake.dropped.bad += 1
        self._answer_bad(error.code, str(error))
        if self._bad_messages >= _MAX_BAD_MESSAGES:
            self.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_MALFORMED,
                    reason="three bad messages in a row",
                    fatal=True,
                ),
            )

    def _answer_bad(self, code: wire.ErrorCode, reason: str) -> None:
        if self.intake.may_answer(self.now_ms()):
            self.emit_error(code, reason)

    def _schedule_ack(self, now: float) -> None:
        due = self.channel.next_due_ms
        if due is None or self._ack_timer is not None:
            return
        delay = max(0.0, due - now) / 1000
        self._ack_timer = asyncio.get_running_loop().call_later(delay, self._send_acks)

    def _send_acks(self) -> None:
        self._ack_timer = None
        now = self.now_ms()
        for data in self.channel.outgoing(int(now)):
            if self.link is not None:
                self.link.send_event(data)
        self._schedule_ack(now)

    def dispatch(self, message: wire.Envelope, now: float) -> None:
        """Act on one message that the channel delivered."""
        kind = message.WhichOneof("payload")
        if kind == "audio":
            self._user_audio(message.audio)
        elif kind == "playout_report":
            self._playout_report(message.playout_report, now)
        elif kind == "ping":
            received = int(now * 1000)
            self.emit(pong=self.clock.pong(message.ping, received, int(self.now_ms() * 1000)))
        elif kind == "pong":
            self.clock.receive(message.pong, int(now * 1000))
            if self.link is not None:
                self.link.answered()
        elif kind == "path_open":
            self.paths.open(message.path_open)
        elif kind == "path_close":
            self.paths.close(message.path_close.path_id)
        elif kind == "send_text":
            self._send_text(message.send_text)
        elif kind == "interrupt":
            self._interrupt()
        elif kind == "mute":
            self.muted = message.mute.muted
        elif kind == "bye":
            self.end(wire.EndReason.END_REASON_CLIENT)
        elif kind == "hello":
            self._answer_bad(
                wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE, "Hello came twice on one socket"
            )

    def _user_audio(self, audio: wire.AudioChunk) -> None:
        path = self.path
        if (
            path is None
            or audio.path_id != path.path_id
            or path.carrier != _WEBSOCKET
            or len(audio.data) % 2
        ):
            self.intake.dropped.messages += 1
            return
        self.user_audio(audio.data)

    def user_audio(self, pcm: bytes) -> None:
        """Hand the user's voice to the pipeline: int16 little-endian mono PCM."""
        now, rate = self.now_ms(), self.settings.audio_in_sample_rate
        if not self.intake.takes_audio(len(pcm), rate, now):
            self._audio_overrun(now)
        elif self.port is not None and not self.muted:
            self.port.user_audio(pcm)

    def _audio_overrun(self, now: float) -> None:
        if self.intake.overrun_due(now):
            reason = "audio came faster than real time; the excess was dropped"
            self.emit_error(wire.ErrorCode.ERROR_CODE_AUDIO_OVERRUN, reason)

    def _interrupt(self) -> None:
        if self.port is not None and self.pipeline_ready.is_set():
            self.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT
            self.spawn(self.port.interrupt())

    def _send_text(self, message: wire.SendText) -> None:
        if len(message.text) > _MAX_TEXT_CHARS:
            reason = f"a text has at most {_MAX_TEXT_CHARS} characters"
            self.emit_error(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
        elif self._waiting_texts >= _MAX_WAITING_TEXTS:
            reason = "too many texts wait for the bot"
            self.emit_error(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
        elif message.text.strip():
            self._waiting_texts += 1
            self.spawn(self._type(message))

    async def _type(self, message: wire.SendText) -> None:
        """Hand one text to the pipeline, once it has started and behind the texts before it."""
        try:
            await self.pipeline_ready.wait()
            async with self._typing:
                if self.port is not None:
                    await self.port.send_text(
                        message.text,
                        run_immediately=not message.HasField("run_immediately")
                        or message.run_immediately,
                        audio_response=not message.HasField("audio_response")
                        or message.audio_response,
                    )
        finally:
            self._waiting_texts -= 1

    # playout

    def _playout_report(self, report: wire.PlayoutReport, now: float) -> None:
        path = self.path
        if path is None or report.path_id != path.path_id or report.track_id:
            return
        self.playout.heard.report(float(report.media_ms), now, playing=report.playing)
        waiting = self._flushes.pop(report.flush_id, None) if report.flush_id else None
        if waiting is not None and not waiting.done():
            waiting.set_result(self.playout.heard_ms(now))
        path.report(report)
        if self.port is not None:
            self.port.heard_changed()

    async def flush(self, utterance_id: str) -> tuple[float, wire.HeardSource] | None:
        """Silence the bot now and learn what was heard.

        Waits at most 150 ms for the client's final report, then believes the estimate.

        Returns:
            The heard position in milliseconds of the media clock and its source, or None when
            nothing placed was unheard.
        """
        before = self.playout.heard.at(self.now_ms())
        cut = self.playout.flush(self.now_ms())
        if cut is None:
            return None
        if self.link is not None:
            self.link.drop_audio()
        path = self.path
        result = before
        if path is not None:
            path.wake()
            self._emit_flush(cut, path.path_id, utterance_id)
            if wire.Feature.FEATURE_FLUSH in self.features:
                result = await self._flush_report(cut, before)
        self.playout.finish_flush(cut, self.now_ms())
        return result

    def _emit_flush(self, cut: Cut, path_id: int, utterance_id: str) -> None:
        self.emit(
            flush=wire.Flush(
                path_id=path_id,
                flush_id=cut.flush_id,
                until_media_ms=cut.until_ms,
                utterance_id=utterance_id,
            )
        )

    async def _flush_report(
        self, cut: Cut, before: tuple[float, wire.HeardSource]
    ) -> tuple[float, wire.HeardSource]:
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._flushes[cut.flush_id] = future
        try:
            heard = await asyncio.wait_for(future, _FLUSH_REPORT_MS / 1000)
        except TimeoutError:
            return self.playout.heard_ms(self.now_ms()), (
                wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK
            )
        finally:
            self._flushes.pop(cut.flush_id, None)
        return heard, wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
