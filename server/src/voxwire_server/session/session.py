"""A session: one user-bot conversation, owned by one task."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.caps import NOTHING
from voxwire_server.capture.capture import Capture
from voxwire_server.config import Settings
from voxwire_server.control.intake import Intake
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.control.rtvi import RtviChannel
from voxwire_server.conversation.files import Files
from voxwire_server.conversation.history import History
from voxwire_server.conversation.keys import Keys
from voxwire_server.conversation.lane import Errand, Lane
from voxwire_server.conversation.requests import Requests
from voxwire_server.conversation.states import ConversationState
from voxwire_server.conversation.texts import Texts
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.daily.rooms import DailyRooms
from voxwire_server.ice_servers import IceServers
from voxwire_server.lifecycle import Event, Life, State
from voxwire_server.media.carriers import make_carriers
from voxwire_server.playout.placed import Playout
from voxwire_server.playout.voice import Voice
from voxwire_server.ports import (
    ControlChannel,
    MediaPath,
    PathSink,
    Pipeline,
    SessionFacts,
    Sound,
)
from voxwire_server.sent_files import FileRoom
from voxwire_server.session.bot_task import BotTask, Ending
from voxwire_server.session.features import SERVER_FEATURES, WITH_DAILY
from voxwire_server.session.grace import Grace
from voxwire_server.session.ice import SessionIce
from voxwire_server.session.limits import SessionLimits
from voxwire_server.session.listening import Listening, carrier_settings, voice_limits
from voxwire_server.session.outlet import Outlet
from voxwire_server.session.router import Doors, Router
from voxwire_server.session.snapshots import Kept
from voxwire_server.session.spending import Spending
from voxwire_server.session.tasks import GuardedClock, Tasks
from voxwire_server.session.watch import Rhythm, Watch
from voxwire_server.tools.client_tools import SessionTools

__all__ = ["BotRunner", "Session"]

_log = logging.getLogger("voxwire.session")

_GOING: Final = 4000 + wire.ErrorCode.ERROR_CODE_GOING_AWAY
_SNAPSHOT_BYTES: Final = 32_768
_AHEAD_MS: Final = 1000
"""The clocks of two machines differ by less."""
_FAREWELL_S: Final = 60.0
"""How much longer its room lasts than a session: it ends first, and says so."""
_NOBODY: Final = SessionFacts()


BotRunner = Callable[["Session"], Awaitable[None]]
"""Runs the bot of a session until it ends."""

_ENDS: Final = {
    wire.EndReason.END_REASON_CLIENT: Event.BYE,
    wire.EndReason.END_REASON_BOT: Event.BOT_ENDS,
    wire.EndReason.END_REASON_SERVER: Event.SERVER_ENDS,
    wire.EndReason.END_REASON_EXPIRED: Event.GRACE_OVER,
}
"""What ends a session for which reason; every other one is a limit or a failure."""

_LOST: Final = wire.Error(
    code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST, reason="the control channel closed"
)
_FAILED: Final = wire.Error(
    code=wire.ErrorCode.ERROR_CODE_INTERNAL,
    reason="a part of the server's session failed; see its log",
    action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
    fatal=True,
)


class Session:
    """One conversation: its channel, its media path, its playout, its bot.

    Args:
        session_id: ``owner.random``; opaque to everybody else.
        settings: The server's settings.
        run_bot: Runs the bot; when it returns the session ends.
        facts: All that it is born with: who, bot, features, limits, origin.
        ice_servers: The STUN and TURN servers; None = none, host candidates only.
        rooms: Rooms of Daily's; None = there are none.
        channel: The control channel; one for our own clients where none is given.
        file_room: The memory for files that all sessions share; None = it has its own.
        spending: Counts what it spends; None = nobody does.
        term: The how-manieth owner this process is of the session, from 1.
        kept: What is known of it from the owner before; None = it begins here.
        unix_ms: The wall clock, milliseconds since the epoch.
        clock: The clock to run by.
        late: Told how late each of its timers, and of its blocks over WebRTC, was, milliseconds.

    The registry owns the session and awaits :meth:`run`; when that returns, no task, socket or
    thread of the session remains.
    """

    def __init__(
        self,
        session_id: str,
        *,
        settings: Settings,
        run_bot: BotRunner,
        facts: SessionFacts = _NOBODY,
        ice_servers: IceServers | None = None,
        rooms: DailyRooms | None = None,
        channel: ControlChannel | None = None,
        file_room: FileRoom | None = None,
        spending: Spending | None = None,
        term: int = 1,
        kept: Kept | None = None,
        unix_ms: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        late: Callable[[float], object] | None = None,
    ) -> None:
        self.id = session_id
        self.term = term
        self.clock: Clock = GuardedClock(clock, self._failed, late=late)
        self._late = late
        self.tasks = Tasks(self._failed)
        self.settings = settings
        self.facts = facts
        self.features = (SERVER_FEATURES if rooms is None else WITH_DAILY) & facts.features
        """What both sides can do."""
        if channel is None:
            channel = NumberedChannel(self.features, clock=clock)
        self.control: ControlChannel = channel
        self.life = Life()
        """What it is; everything that happens to it is looked up there."""
        self.history = History()
        self.outlet = Outlet(self.control, self.history, session_id=session_id)
        if spending is not None:
            self.outlet.note(spending.note)
        self.spending = spending
        self.clock_sync = ClockSync()
        self.state = ConversationState()
        self.turns = TurnTimer()
        self.grace = Grace(self.clock, grace_ms=settings.grace_ms, over=self._expired)
        self.port: Pipeline | None = None
        self.pipeline_ready = asyncio.Event()
        self.ended = asyncio.Event()
        self._run_bot = run_bot
        self.kept = kept
        """What is known of it from the process that had it before."""
        self.began_unix_ms = unix_ms if kept is None else kept.began_unix_ms
        self._started_ms = self.now_ms() - (unix_ms - self.began_unix_ms)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.limits = SessionLimits(
            self._started_ms, max_duration_s=settings.max_duration_s, idle_s=settings.idle_s
        )
        self.limits.allow_s(facts.max_duration_s)
        speaks = isinstance(channel, NumberedChannel | RtviChannel)
        self.intake = channel.intake if speaks else Intake()
        self.capture = Capture(
            self,
            sample_rate=settings.audio_in_sample_rate,
            block_ms=settings.block_ms,
            kept=wire.Feature.FEATURE_KEPT_CAPTURE in self.features,
            pipeline=lambda: self.port,
            path_in_use=lambda: self.path.path_id if self.path is not None else 0,
        )
        self.tools = SessionTools(self)
        self.lane = Lane(
            self, session_id=session_id, ready=self.pipeline_ready, over=lambda: self.over
        )
        self.keys = Keys(
            self,
            self.lane,
            pipeline=lambda: self.port,
            may_answer=self._may_answer,
            active=self._used,
        )
        self.requests = Requests(
            self, session_id=session_id, press=self.keys.press, may_answer=self._may_answer
        )
        self.texts = Texts(self, self.lane, pipeline=lambda: self.port)
        self.files = Files(
            self,
            self.lane,
            accepts=facts.accepts,
            room=file_room or FileRoom(settings.files_total_bytes),
            pipeline=lambda: self.port,
            attached=lambda: self.control.attached,
            may_answer=self._may_answer,
        )
        self.ice = SessionIce(
            self,
            IceServers.parse() if ice_servers is None else ice_servers,
            session_id=session_id,
            policy=settings.server_ice,
            token_expires_at_s=facts.token_expires_at_s,
            max_duration_ms=self.limits.duration_ms,
        )
        self.voice = Voice(
            self,
            voice_limits(settings),
            features=self.features,
            carriers=lambda voice: make_carriers(
                voice,
                self,
                carrier_settings(settings),
                link=lambda: self.link,
                ice=self.ice,
                daily=None if rooms is None else (rooms, self._left_s),
            ),
            user=self.capture,
            listener=Listening(self),
            session_id=session_id,
        )
        if wire.Feature.FEATURE_CLIENT_TOOLS in self.features:
            self.tools.declare(facts.tools)
        self.router = Router(self, self._doors(), session_id=session_id)
        self.message = self.router.take
        self.alive = self.voice.alive
        self.watch = Watch(
            self,
            self.control,
            self.voice,
            clock_sync=self.clock_sync,
            limits=self.limits,
            busy=lambda: self.busy,
            rhythm=Rhythm(settings.heartbeat_ms, settings.dead_after_ms),
        )
        if kept is not None:
            self._go_on_clock(kept)
            self.history.restore(kept.told)
            self.tools.reports.restore(kept.told.tool_calls)
            self.capture.muted = kept.muted
        self.elsewhere = False
        """True when another process has it, or is to have it."""
        self.changed: Callable[[], object] = bool
        """Told when there is something new to keep."""
        self.state_json = "" if kept is None else kept.state
        """What the bot wants to have kept, JSON; empty = nothing."""
        self.control.begin(self)

    def now_ms(self) -> float:
        """Monotonic clock, milliseconds."""
        return self.clock.now_ms()

    @property
    def age_ms(self) -> float:
        """How long it has been there, milliseconds."""
        return self.now_ms() - self._started_ms

    @property
    def playout(self) -> Playout:
        """What was placed of the bot's voice."""
        return self.voice.playout

    @property
    def path(self) -> MediaPath | None:
        """The media path in use; None while there is none."""
        return self.voice.path

    def _left_s(self) -> float | None:
        """How long it may last still, and a moment; None = for ever."""
        if not self.limits.duration_ms:
            return None
        return max(0.0, self.limits.duration_ms - self.age_ms) / 1000 + _FAREWELL_S

    def _doors(self) -> Doors:
        return Doors(
            voice=self.voice,
            paths=self.voice.paths,
            capture=self.capture,
            lane=self.lane,
            texts=self.texts,
            files=self.files,
            requests=self.requests,
            tools=self.tools,
            interrupt=self._interrupt,
            used=self._used,
            candidate=self.ice.remote_candidate,
            clock_sync=self.clock_sync,
        )

    @property
    def busy(self) -> bool:
        """Whether anybody speaks, or an answer is owed or on its way."""
        speaks = self.playout.backlog_ms(self.now_ms()) > 0
        return speaks or self.state.busy or not self.lane.idle

    def _used(self) -> None:
        self.limits.active(self.now_ms())

    def _may_answer(self) -> bool:
        return self.intake.may_answer(self.now_ms())

    # sending

    def emit(self, **payload: Any) -> None:
        """Send one payload of the envelope to the client, for instance ``emit(flush=Flush())``."""
        self.outlet.send(wire.Envelope(**payload))

    @property
    def numbered(self) -> NumberedChannel | None:
        """The control channel of one of our own clients; None for every other kind."""
        return self.control if isinstance(self.control, NumberedChannel) else None

    @property
    def link(self) -> ControlLink | None:
        """The socket of the control channel; None while there is none."""
        return self.numbered.link if self.numbered is not None else None

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
        self.outlet.error(
            code,
            reason,
            subject=subject,
            fatal=fatal,
            retryable=retryable,
            retry_after_ms=retry_after_ms,
        )

    # the control channel

    @property
    def over(self) -> bool:
        """True when the session ends or has ended."""
        return self.life.over

    @property
    def resumable(self) -> bool:
        """True when the session outlives its control channel."""
        return wire.Feature.FEATURE_RESUME in self.features

    def overrun(self) -> None:
        """The user's audio came too fast."""
        self.capture.overrun()

    def back(self, since_ms: float | None) -> None:
        """Something carries the channel again; with ``since_ms`` in place of what did."""
        if since_ms is not None:
            self._leave_socket(since_ms)
        self.tools.calls.on_resumed()
        self.files.back()
        self.changed()

    def snapshot(self, max_bytes: int) -> wire.Snapshot:
        """The state to go on from where messages are lost."""
        heard_ms = self.playout.heard_ms(self.now_ms())
        max_bytes = min(max_bytes, _SNAPSHOT_BYTES)
        return self.history.snapshot(
            heard_ms=heard_ms,
            muted=self.capture.muted,
            max_bytes=max_bytes,
            tool_calls=self.tools.reports.open_calls(),
        )

    def keep(self) -> Kept | None:
        """What another process needs to go on with it; None = it cannot be resumed."""
        if self.numbered is None or not self.resumable:
            return None
        return Kept(
            facts=self.facts,
            before=self.numbered.so_far,
            began_unix_ms=self.began_unix_ms,
            media_began_ms=round(self.age_ms - self.playout.clock_ms(self.now_ms())),
            muted=self.capture.muted,
            told=self.snapshot(_SNAPSHOT_BYTES),
            messages=self.port.messages() if self.port is not None else self._messages_before(),
            state=self.state_json,
            caps={} if self.spending is None else self.spending.caps,
            spent=NOTHING if self.spending is None else self.spending.own,
        )

    def _go_on_clock(self, kept: Kept) -> None:
        """No position of the media clock comes twice: clients play nothing that is behind them."""
        position_ms = max(self.age_ms - kept.media_began_ms, kept.told.heard_media_ms)
        self.playout.begin_at(position_ms + _AHEAD_MS, self.now_ms())

    def keep_state(self, text: str) -> None:
        """The bot wants something of its own to be kept: JSON."""
        self.state_json = text
        self.changed()

    def _messages_before(self) -> list[Any] | None:
        return None if self.kept is None else self.kept.messages

    def lost(self, since_ms: float, *, silent: bool = False) -> None:
        """Nothing carries the channel. The session waits for something that does, or ends."""
        event = Event.SILENT if silent else Event.LOST
        self.life.on(event if self.resumable else Event.LOST_FOR_GOOD)
        if self.life.over:
            self._decide(wire.EndReason.END_REASON_ERROR, _LOST)
        elif self.life.state is State.PARKED:
            self._leave_socket(since_ms)
            self.grace.start()
            _log.info("control channel lost", extra={"session": self.id})

    def _leave_socket(self, since_ms: float) -> None:
        """What travelled on the socket does not any more; what has its own wire stays."""
        self.tools.calls.on_lost()
        self.voice.channel_lost(since_ms)

    def _expired(self) -> None:
        self.end(wire.EndReason.END_REASON_EXPIRED)

    # media paths that no client asked for with PathOpen

    def path_sink(self, path_id: int) -> PathSink:
        """Where all that comes by a path goes that a front door opens itself.

        Raises:
            ValueError: The number is used already, or is not one.
        """
        return self.voice.paths.sink(path_id)

    def path_sound(self, path_id: int, sample_rate: int) -> Sound:
        """The bot's voice for that path, at a rate of its own in Hz."""
        return self.voice.paths.sound(path_id, sample_rate)

    def path_opened(self, path: MediaPath, *, way_ms: float | None = None) -> None:
        """Have that path carry the conversation, in place of the one in use.

        Args:
            path: The path.
            way_ms: How long sound takes on it, by estimate, where it gives no positions.

        Raises:
            LookupError: :meth:`path_sink` was not asked for one of its number, or it was opened.
        """
        self.voice.paths.use(path, way_ms=way_ms)

    def _interrupt(self) -> None:
        async def cut(_: Errand) -> None:
            if self.port is not None:
                source = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT
                await self.port.interrupt(source, settle=True)

        self.lane.cut(cut)

    # owner

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run ``work`` as part of this session; it is cancelled when the session ends.

        Returns:
            Its task, or None when the session is over already: nothing is begun then.
        """
        return self.tasks.spawn(work)

    def late(self, late_ms: float) -> None:
        """A block of audio was sent so late."""
        if self._late is not None:
            self._late(late_ms)

    def _failed(self, error: BaseException) -> None:
        """A part of the session is dead: the rest cannot go on without it."""
        _log.error("session task failed", exc_info=error, extra={"session": self.id})
        self.end(wire.EndReason.END_REASON_ERROR, _FAILED)

    def when_ending(self, work: Callable[[], object]) -> None:
        """Have ``work`` called, once, as soon as it is decided that the session ends."""
        self._ending.add_done_callback(lambda _: work())

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        """End the session. The first reason counts."""
        malformed = error is not None and error.code == wire.ErrorCode.ERROR_CODE_MALFORMED
        self.life.on(Event.BAD_MESSAGES if malformed else _ENDS.get(reason, Event.FAILS))
        if self.life.over:
            self._decide(reason, error)

    def leave_to_others(self) -> None:
        """Another process has the session, or is to have it: it ends here without a word, and its
        client looks for it.
        """
        self.elsewhere = True
        self.life.on(Event.FAILS)
        self._decide(wire.EndReason.END_REASON_SERVER, None)

    def _decide(self, reason: wire.EndReason, error: wire.Error | None) -> None:
        if not self._ending.done():
            self._ending.set_result((reason, error))

    async def run(self) -> None:
        """Own the session: run the bot until it ends or the session does, then leave nothing."""
        try:
            reason, error = await self._live()
        except Exception as failure:
            reason, error = await self._crash(failure)
        self.grace.stop()
        if self.elsewhere:
            self.control.close(_GOING, "another process has the session")
        else:
            self.control.close(1000 if error is None else 4000 + error.code, "session ended")
        self.ended.set()
        dropped = {**self.intake.counters(), **self.capture.counters()}
        fields = {"session": self.id, "reason": int(reason), **dropped}
        _log.info("session ended", extra=fields)

    def pipeline_started(self, pipeline: Pipeline) -> None:
        """The bot's pipeline has started: from here on the session drives it. Once.

        Raises:
            RuntimeError: It has one already.
        """
        if self.port is not None:
            raise RuntimeError("a session has one pipeline")
        self.port = pipeline
        self.pipeline_ready.set()
        self.emit_state(self.state.ready())

    async def _live(self) -> Ending:
        settings = self.settings
        bot = BotTask(self._bot(), session_id=self.id, end_timeout_ms=settings.end_timeout_ms)
        bot.task.add_done_callback(lambda _: self.end(*bot.outcome()))
        try:
            self.tools.begin()
            self.ice.start()
            self.spawn(self.watch.run())
            if self.spending is not None:
                self.spending.begin(self, lambda: self.busy)
            self.tools.reports.end_lost()
            _log.info("session started", extra={"session": self.id})
            await asyncio.wait({self._ending})
            await bot.stop(self.port)
            self._farewell(*self._ending.result())
        finally:
            await bot.stop(self.port)
            await self._release()
        return self._ending.result()

    async def _crash(self, failure: Exception) -> Ending:
        """The owner itself is dead: tell the client all the same, and leave nothing."""
        self._failed(failure)
        try:
            await self._release()
        except Exception:
            _log.exception("a failed session could not be released", extra={"session": self.id})
            self.tasks.cancel()
        try:
            self._farewell(wire.EndReason.END_REASON_ERROR, _FAILED)
        except Exception:
            _log.exception("a failed session was not told so", extra={"session": self.id})
        return wire.EndReason.END_REASON_ERROR, _FAILED

    async def _bot(self) -> None:
        await self._run_bot(self)

    async def _release(self) -> None:
        if self.spending is not None:
            self.spending.stop()
        tasks = self.tasks.cancel()  # what the client still sends begins nothing
        self.tools.calls.close()
        self.files.close()
        self.voice.close()
        if tasks:
            await asyncio.wait(tasks, timeout=self.settings.end_timeout_ms / 1000)
        await self.voice.paths.release()
        self.port = None

    def _farewell(self, reason: wire.EndReason, error: wire.Error | None) -> None:
        if self.elsewhere:
            self.outlet.close()
            return
        self.outlet.farewell(reason, error, int(self.age_ms))
