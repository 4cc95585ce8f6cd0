"""A session: one user-bot conversation, owned by one task."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clock import ClockSync
from voxwire_server.capture.capture import Capture
from voxwire_server.capture.speech_end import VoiceTail
from voxwire_server.config import Settings
from voxwire_server.control.intake import Intake
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import Control
from voxwire_server.control.reception import Reception
from voxwire_server.conversation.history import History
from voxwire_server.conversation.lane import Lane
from voxwire_server.conversation.requests import Requests
from voxwire_server.conversation.states import ConversationState
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.logs import trace
from voxwire_server.media.base import MediaPath
from voxwire_server.outgoing import sendable
from voxwire_server.playout.flushes import Flushes
from voxwire_server.playout.gap import Absence
from voxwire_server.playout.paths import Paths
from voxwire_server.playout.placed import Playout
from voxwire_server.session.ice import SessionIce
from voxwire_server.session.limits import Over, SessionLimits
from voxwire_server.tools.client_tools import SessionTools

__all__ = ["BotRunner", "PipelinePort", "Session"]

_log = logging.getLogger("voxwire.session")

_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET
_SNAPSHOT_BYTES: Final = 32_768
_MAX_REASON_CHARS: Final = 500
_GONE: Final = 4000 + wire.ErrorCode.ERROR_CODE_CONNECTION_LOST


class PipelinePort(Protocol):
    """What a session needs of the pipeline behind it."""

    def user_audio(self, pcm: bytes) -> None:
        """Take a block of the user's voice: int16 little-endian mono PCM. Never blocks."""
        ...

    def heard_changed(self) -> None:
        """The listener's position moved."""
        ...

    async def send_text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        """The user typed; no answer is wanted any more once ``is_void`` is true."""
        ...

    async def keys(self, digits: str) -> None:
        """The user pressed keys: ``0``-``9``, ``*``, ``#``."""
        ...

    async def interrupt(self, *, settle: bool = False) -> None:
        """Cut the bot off; with ``settle`` wait until the pipeline knows."""
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
        self.control = Control()
        self.history = History()
        self.clock = ClockSync()
        self.playout = Playout(sample_rate=settings.audio_out_sample_rate)
        self.state = ConversationState()
        self.turns = TurnTimer()
        self.voice = VoiceTail(sample_rate=settings.audio_in_sample_rate)
        self.path: MediaPath | None = None
        self.paths = Paths(self)
        self.flushes = Flushes(self)
        self.absence = Absence(self)
        self.lane = Lane(self)
        self.capture = Capture(self)
        self.reception = Reception(self)
        self.tools = SessionTools(self)
        self.requests = Requests(self)
        self.port: PipelinePort | None = None
        self.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_USER
        self.pipeline_ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.metadata_json = ""
        self.client = wire.ClientInfo()
        self.muted = False
        self.user = ""
        """Who the token names; empty where none was needed."""
        self.origin = b""
        """Origin of the web page that opened the session; empty for a program."""
        self.bot = ""
        """Name of the bot that runs."""
        self.examples: tuple[str, ...] = ()
        """Phrases worth trying with it."""
        self.nonce = b""
        """``attach_nonce`` of the Hello that opened the session."""
        self.token_expires_at_s: float | None = None
        """End of the token's life, seconds since the epoch; None where none was needed."""
        self.ice: SessionIce | None = None
        """Its STUN and TURN servers; None = none, host candidates only."""
        self._run_bot = run_bot
        self._started_ms = self.now_ms()
        self._ending: asyncio.Future[tuple[wire.EndReason, wire.Error | None]] = (
            asyncio.get_running_loop().create_future()
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._farewell_said = False
        self.limits = SessionLimits(
            self._started_ms, max_duration_s=settings.max_duration_s, idle_s=settings.idle_s
        )
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
        """Send an envelope; it is numbered and kept for replay as its payload asks.

        Nothing goes out behind ``SessionEnded``. One that is too large for the channel is left
        out, and the client is told so.
        """
        if self._farewell_said:
            return
        trace("sent", envelope, self.id)
        try:
            self.control.send(envelope)
        except ChannelError as error:
            kind = envelope.WhichOneof("payload")
            reason = f"{kind} of {envelope.ByteSize()} bytes was not sent: {error.reason}"
            _log.warning("%s", reason, extra={"session": self.id})
            if kind != "error":
                self.emit_error(error.code, reason)
        else:
            self.history.note(envelope)

    @property
    def link(self) -> ControlLink | None:
        """The socket of the control channel; None while there is none."""
        return self.control.link

    def emit_state(self, change: wire.StateChanged | None) -> None:
        """Send a state change, if there is one."""
        if change is not None:
            self.limits.active(self.now_ms())
            self.emit(state_changed=change)

    def emit_error(
        self,
        code: wire.ErrorCode,
        reason: str,
        *,
        subject: str = "",
        fatal: bool = False,
        retryable: bool = False,
        retry_after_ms: int = 0,
    ) -> None:
        """Tell the client what went wrong."""
        self.emit(
            error=wire.Error(
                code=code,
                reason=sendable(reason)[:_MAX_REASON_CHARS],
                subject_id=sendable(subject)[:_MAX_REASON_CHARS],
                fatal=fatal,
                action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
                retryable=retryable,
                retry_after_ms=retry_after_ms,
            )
        )

    # the control channel

    @property
    def over(self) -> bool:
        """True when the session ends or has ended."""
        return self._over or self._ending.done()

    @property
    def resumable(self) -> bool:
        """True when the session outlives its control channel."""
        return wire.Feature.FEATURE_RESUME in self.features

    def attach(self, link: ControlLink, hello: wire.Hello, welcome: wire.Welcome) -> None:
        """Go on over a new socket; an older one is superseded.

        Raises:
            ChannelError: The client's numbers cannot be. Nothing has changed then.
        """
        older, first = self.link, not self.control.epoch
        since = self.control.last_received_ms
        if not self.control.attach(link, hello, welcome, self._snapshot):
            _log.info("resumed with a loss", extra={"session": self.id})
        self.reception.begin()
        trace("attached", wire.Envelope(welcome=welcome), self.id)
        self.absence.stop_grace()
        if older is not None:
            self._leave_socket(since)
        if not first:
            self.tools.on_resumed()

    def _snapshot(self, max_bytes: int) -> wire.Snapshot:
        heard_ms = self.playout.heard_ms(self.now_ms())
        max_bytes = min(max_bytes, _SNAPSHOT_BYTES)
        return self.history.snapshot(
            heard_ms=heard_ms,
            muted=self.muted,
            max_bytes=max_bytes,
            tool_calls=self.tools.snapshot(),
        )

    def lost(self, link: ControlLink) -> None:
        """A socket is gone. The session waits for another one, or ends."""
        since = self.control.last_received_ms
        if not self.control.lost(link):
            return
        if not self.resumable:
            self.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST,
                    reason="the control channel closed",
                ),
            )
        elif not self.over:
            self._leave_socket(since)
            self.absence.start_grace()

    def _leave_socket(self, since_ms: float) -> None:
        """What travelled on the socket does not any more; what has its own wire stays."""
        self.tools.on_lost()
        if self.path is not None and self.path.carrier == _WEBSOCKET:
            self.absence.begin(since_ms)
            self.spawn(self.paths.drop(self.path.path_id))

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
            self._failed(error)

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """``work``, for a timer of this session: the session ends when it raises."""

        def guard() -> None:
            try:
                work()
            except Exception as error:
                self._failed(error)

        return guard

    def _failed(self, error: BaseException) -> None:
        """A part of the session is dead: the rest cannot go on without it."""
        _log.error("session task failed", exc_info=error, extra={"session": self.id})
        self.end(
            wire.EndReason.END_REASON_ERROR,
            wire.Error(
                code=wire.ErrorCode.ERROR_CODE_INTERNAL,
                reason="a part of the server's session failed; see its log",
                action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
                fatal=True,
            ),
        )

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        """End the session. The first reason counts."""
        if not self._ending.done():
            self._ending.set_result((reason, error))

    async def run(self) -> None:
        """Own the session: run the bot until it ends or the session does, then leave nothing."""
        self.tools.begin()
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
        self.absence.stop_grace()
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
        self.tools.close()
        self.reception.close()
        self.flushes.cancel()
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
        self._farewell_said = True

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(min(self.settings.heartbeat_ms, self._dead_in_ms()) / 1000)
            now = self.now_ms()
            self._watch_link(now)
            self._watch_limits(now)
            if self.link is not None:
                self.emit(ping=self.clock.ping(int(now * 1000)))
                self.link.pinged(now)

    def _dead_in_ms(self) -> float:
        """When a client that stays silent from here on is gone; infinite without a socket."""
        if self.link is None:
            return float("inf")
        silent_ms = self.now_ms() - self.control.last_received_ms
        return max(10.0, self.settings.dead_after_ms - silent_ms + 1)

    def _watch_link(self, now: float) -> None:
        """Give up a socket whose other side is gone or does not read; look after the voice."""
        link, silent = self.link, now - self.control.last_received_ms
        if link is not None and silent > self.settings.dead_after_ms:
            link.give_up(_GONE, "nothing was heard from the client for too long")
            self.lost(link)
        elif link is not None and link.overflowing:
            link.give_up(_GONE, "the client stopped reading")
            self.lost(link)
        elif silent > self.settings.voice_gap_ms and self.playout.heard.out_of_reach(now):
            self.absence.begin(self.control.last_received_ms)
        self.absence.tick()

    def _watch_limits(self, now: float) -> None:
        """End a session that is too long, or that nobody uses; warn in time."""
        if self.state.busy or self.playout.backlog_ms(now) > 0:
            self.limits.active(now)
        due = self.limits.watch(now)
        if isinstance(due, Over):
            self.end(due.reason, due.error)
        elif due is not None:
            self.emit(go_away=due)
