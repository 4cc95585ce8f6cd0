"""What runs behind a session: one owner task; when it ends, nothing of the session remains."""

import asyncio
from contextlib import AsyncExitStack, suppress
from math import inf
from typing import Any, Final, cast

from voxwire._attach import lost
from voxwire._capture_early import EarlyCapture
from voxwire._dispatcher import Dispatcher
from voxwire._environment import Environment
from voxwire._exchange import Exchange
from voxwire._features import Feature
from voxwire._files import Files
from voxwire._ice import IceChoice
from voxwire._inbox import Inbox, Parts
from voxwire._journal import Journal
from voxwire._live.audio import LiveAudio
from voxwire._meter import Meter
from voxwire._opening import Opened, Opening
from voxwire._options import Options, path_name
from voxwire._paths import Paths
from voxwire._peer import Peer
from voxwire._playback import Playback
from voxwire._player import Player
from voxwire._receipts import Receipts
from voxwire._requests import Requests
from voxwire._rtc_stack import begin_to_load
from voxwire._simulate import Gate, Simulation
from voxwire._sound import SoundStream
from voxwire._states import ClientStates, ClientStatus, Step
from voxwire._stereo import StereoFile, TappedSpeaker
from voxwire._tool_runner import ToolRunner
from voxwire._turn_log import TurnLog
from voxwire._url import is_loopback
from voxwire.audio import Speaker
from voxwire.latency import LatencyLog
from voxwire_protocol import events, wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError, make_error

__all__ = ["Runtime"]

BYE_MS: Final = 1000
"""How long the server may take to answer Bye."""

SHUTDOWN_MS: Final = 5000
"""After this, what is left of a session is cancelled."""


ACTIVITY_MS: Final = 1000
"""The user's activity is told no more often."""


class _Over(Exception):
    """Ends the task group of a session that ended in order."""


class Runtime:
    """The owner of everything that a session uses: socket, path, player, microphone."""

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        capture: EarlyCapture,
        speaker: Speaker,
        peer: Peer,
        live: LiveAudio,
        environment: Environment,
        states: ClientStates,
        record: StereoFile | None = None,
    ) -> None:
        """Prepares; `dial`, then `start` do the rest."""
        self.live = live
        self._states = states
        self._time = clock = environment.clock
        gate = Gate(clock)
        link = peer.link(url, options, gate=gate, environment=environment)
        self._control = control = link.control
        self.log = TurnLog()
        self.latency = LatencyLog()
        self.journal = Journal(clock)
        self.state = events.StateChanged(events.BotState.UNKNOWN, events.UserState.UNKNOWN)
        self.events = Dispatcher(self._note)
        self.failure: VoxwireError | None = None
        self.simulation = Simulation(gate, drop_control=control.drop, drop_media=self._drop_media)
        self._tools = ToolRunner(
            options.tools, control.send, clock=clock, log=self.log, approve=options.approve
        )
        self.requests = Requests(self.send, options.handlers)
        self.files = Files(self.send)
        self.receipts = Receipts()
        self._record = record
        self._capture = capture
        self.user = capture.user
        if record is not None:
            speaker = TappedSpeaker(speaker, record)
        self._playback = Playback(speaker, emit=self.events.put, send=control.send, clock=clock)
        self._exchange = Exchange(self.user, self._playback, live, record)
        ice = IceChoice(options.ice_servers, policy=options.ice_policy, loopback=is_loopback(url))
        self._fallback, self._carriers = link.fallback, link.carriers
        self._opening = Opening(
            make=lambda carrier, number: link.path(carrier, number, capture=self.user, ice=ice),
            send=control.send,
            ice=ice,
            awaited=link.awaited,
            remembered=environment.carriers.of(url, clock),
            clock=clock,
        )
        self._paths = Paths(
            self._opening,
            self._carriers,
            use=self._use_path,
            broke=self._look,
            send=control.send,
            keep=options.resume,
            clock=clock,
        )
        self.meter = Meter(
            opened=lambda: self._paths.opened,
            broken=lambda: self._paths.broken,
            player=lambda: self.player,
            round_trip_us=lambda: control.clock.rtt_us,
        )
        parts = Parts(
            control=control,
            events=self.events,
            files=self.files,
            opening=self._opening,
            paths=self._paths,
            playback=self._playback,
            receipts=self.receipts,
            requests=self.requests,
            tools=self._tools,
            user=self.user,
        )
        self.inbox = Inbox(parts, self._finish, changed=self._look, clock=clock)
        self._group: asyncio.TaskGroup | None = None
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._said_bye = False
        self._active_ms = -inf
        self._ending = True  # nothing of it runs yet, or any more
        self._spared: asyncio.Task[Any] | None = None

    @property
    def clock(self) -> ClockSync:
        """The server's clock."""
        return self._control.clock

    @property
    def features(self) -> frozenset[Feature]:
        """What the other end does in this session."""
        return self._control.features

    @property
    def player(self) -> Player | None:
        """What plays the bot; None until the first path is there."""
        return self._playback.player

    @property
    def opened(self) -> Opened | None:
        """The path in use, or the last one."""
        return self._paths.opened

    @property
    def status(self) -> ClientStatus:
        """What the client is doing."""
        return self._states.status

    @property
    def close_reason(self) -> events.EndReason | None:
        """Who ended the session, or that it failed; None = it is not closed."""
        if self.status is not ClientStatus.CLOSED:
            return None
        if isinstance(self.inbox.ended, events.SessionEnded):
            return self.inbox.ended.reason
        if self.failure is None:
            return events.EndReason.CLIENT
        expired = self.failure.code == ErrorCode.SESSION_EXPIRED
        return events.EndReason.EXPIRED if expired else events.EndReason.ERROR

    @property
    def over(self) -> bool:
        """Whether the session has ended, or is about to: nothing is sent any more."""
        return self._over.is_set() or self._ending

    async def dial(self, timeout_ms: int) -> None:
        """Opens the control channel's first socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        if wire.Carrier.CARRIER_WEBRTC in self._carriers:
            begin_to_load()
        await self._control.dial(timeout_ms)

    def start(self) -> None:
        """Starts the owner task; devices and recording end with it."""
        self._ending = False
        self._owner = asyncio.create_task(self._own(), name="voxwire-session")

    async def wait_ready(self) -> None:
        """Waits until the session is up. On failure or cancellation nothing of it remains.

        Raises:
            VoxwireError: It cannot be had, or not within the time that `dial` was given and that
                it may wait for a place.
        """
        deadline = self._control.deadline
        timeout_ms = max(1, round(deadline.left_ms))
        try:
            await deadline.wait(self._ready)
        except TimeoutError:
            failure = self._waited() or self._control.failure or self._opening.timed_out(timeout_ms)
            await self.stop()
            raise failure from None
        except BaseException:
            await self.stop()
            raise
        if self.failure is not None:
            await self.stop()
            raise self.failure

    def _waited(self) -> VoxwireError | None:
        """The error for a session whose place took too long; None = it waits for none."""
        place = self._control.deadline.place
        if place is None:
            return None
        reason = f"the server had no place in time; {place.position} in its queue by then"
        return make_error(ErrorCode.TIMEOUT, reason, retryable=True)

    def send(self, envelope: wire.Envelope) -> None:
        """Sends a message.

        Raises:
            UsageError: The session has ended.
        """
        self._check_alive()
        self._control.send(envelope)

    async def acknowledged(self, timeout_ms: float) -> None:
        """Waits until the other end has everything that was sent so far. Cancel-safe.

        Raises:
            UsageError: The session has ended; UNSUPPORTED: the other end acknowledges nothing.
            VoxwireError: TIMEOUT; CONNECTION_LOST; why the session ended.
        """
        self._check_alive()
        sent = self._control.sent
        if sent is None:
            reason = "a bot of Pipecat's runner acknowledges nothing: session.call() is answered"
            raise UsageError(ErrorCode.UNSUPPORTED, reason)
        await self.receipts.wait(sent, timeout_ms)

    def user_active(self) -> None:
        """Tells the server that the user is there, once a second at most.

        Raises:
            UsageError: The session has ended.
        """
        self._check_alive()
        now_ms = self._time.now_ms()
        if Feature.USER_ACTIVITY in self.features and now_ms - self._active_ms >= ACTIVITY_MS:
            self._active_ms = now_ms
            self._control.send(wire.Envelope(user_activity=wire.UserActivity()))

    @property
    def exchange(self) -> Exchange:
        """Puts other microphones and speakers in place.

        Raises:
            UsageError: The session has ended.
        """
        self._check_alive()
        return self._exchange

    def _check_alive(self) -> None:
        if self.over:
            raise UsageError(ErrorCode.INVALID_STATE, "the session has ended")

    def spare(self, task: "asyncio.Task[Any] | None") -> None:
        """A function of the session ends it: nobody cancels that or waits for it."""
        self._spared = task

    async def bye(self, reason: str) -> None:
        """Says Bye, unless that was said, and waits a moment for the answer."""
        if self._over.is_set():
            return
        try:
            if not self.inbox.leaving:
                self.inbox.leaving = True
                self._take(Step.CLOSE)
                self.send(wire.Envelope(bye=wire.Bye(reason=reason)))
                self._said_bye = True
            async with asyncio.timeout(BYE_MS / 1000):
                await self._over.wait()
        except (VoxwireError, TimeoutError):
            return

    def sound(self) -> SoundStream:
        """The bot's voice from now on, for one more listener."""
        return self._playback.stream()

    async def stop(self) -> None:
        """Ends the owner task and waits for that, at most 10 s."""
        self.inbox.leaving = True
        self._finish()
        owner = self._owner
        if owner is None or owner.done():
            return
        try:
            await asyncio.wait({owner}, timeout=SHUTDOWN_MS / 1000)
        finally:
            if not owner.done():
                owner.cancel()
                await asyncio.wait({owner}, timeout=SHUTDOWN_MS / 1000)

    async def _own(self) -> None:
        """Runs the session. Ends when it is over, fails or is cancelled; cleans up in any case."""
        failure: VoxwireError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for early in self._capture.tasks:
                    group.create_task(self._keep(early))
                group.create_task(self._supervise())
                group.create_task(self._run_control())
                group.create_task(self._run_paths())
        except* _Over:
            failure = self.inbox.fatal
        except* VoxwireError as errors:
            failure = _first(errors)
        except* Exception as errors:
            failure = make_error(ErrorCode.INTERNAL, f"the client failed: {_first(errors)!r}")
            failure.__cause__ = _first(errors)
        finally:
            await self._clean_up(failure)

    async def _keep(self, early: asyncio.Task[None]) -> None:
        """Keeps a device that was opened before the session was; ends with it."""
        await early

    async def _clean_up(self, failure: VoxwireError | None) -> None:
        unwritten = self._close_record()
        failure = failure or unwritten
        if failure is None and self.player is None:
            failure = lost("the session ended before it was ready")
        self.failure, self._ending = failure, True
        self._take(Step.CLOSE)
        if failure is not None:
            self.journal.failed(failure)
        async with AsyncExitStack() as stack:  # all of it, wherever this is cancelled
            stack.callback(self._ready.set)
            stack.callback(self._over.set)
            stack.callback(self._take, Step.GONE)
            stack.push_async_callback(lambda: self.events.finish(spared=self._spared))
            stack.callback(self.events.close, failure)
            stack.callback(self.log.over)
            stack.callback(self._playback.sound.end)
            stack.push_async_callback(lambda: self.requests.close(failure, spared=self._spared))
            stack.callback(self.files.close, failure)
            stack.callback(self.receipts.close, failure)
            stack.callback(self.user.close, failure)
            stack.push_async_callback(self._hang_up)
            stack.push_async_callback(self._paths.close)
            stack.push_async_callback(lambda: self._tools.close(spared=self._spared))
            why = "the session was closed" if self.player else "the session did not begin"
            stack.push_async_callback(self._capture.stop, why)
            if self.player is not None:
                self.player.close()

    def _close_record(self) -> VoxwireError | None:
        """Closes the recording; why it cannot be written, if it cannot."""
        try:
            if self._record is not None:
                self._record.close()
        except VoxwireError as error:
            return error
        return None

    async def _hang_up(self) -> None:
        """Closes the control channel. A server that does not know of the end is told: it would
        keep the session, and its bot at work, until the grace is over.
        """
        try:
            if not self._said_bye and self.inbox.ended is None and self.inbox.fatal is None:
                with suppress(VoxwireError):
                    self._control.send(wire.Envelope(bye=wire.Bye()))
        finally:
            await self._control.close()

    async def _supervise(self) -> None:
        """Waits for the end; lets what was received play out first, unless we hung up."""
        await self._over.wait()
        if self.inbox.fatal is None and not self.inbox.leaving:
            await self._playback.drain()
        await self._control.flush(BYE_MS)
        if self.inbox.ended is not None:
            self.events.put(self.inbox.ended)
        raise _Over

    def _finish(self) -> None:
        """The session is over, or as good as over: nothing is dialled again."""
        self._take(Step.CLOSE)
        self._control.finish()
        self._over.set()

    async def _run_control(self) -> None:
        try:
            await self._control.run(self.inbox)
        except VoxwireError:
            if not self.inbox.leaving and self.inbox.ended is None and self.inbox.fatal is None:
                raise
            self._finish()

    async def _run_paths(self) -> None:
        try:
            await self._paths.run()
        except* VoxwireError:
            if not self._over.is_set():  # a session that ends takes its paths with it
                raise

    def _use_path(self, opened: Opened) -> Player:
        """Plays another path from now on; with the first one the session is up."""
        first = self.player is None
        carrier = events.Carrier(path_name(opened.path.carrier))
        resent = self.user.resume(opened.ready)
        fallback = opened.fallback or self._fallback
        changed = events.PathChanged(
            opened.path_id,
            carrier,
            resent.resent_ms,
            resent.lost_ms,
            fallback and fallback.reason,
            fallback.detail if fallback else "",
        )
        if not first:
            self.events.put(changed)
        player = self._playback.use(opened)
        if first:
            self._begin(player, changed)
        self._playback.answer_flushes()
        self._look()
        return player

    def _look(self) -> None:
        """The control channel or the path in use has changed."""
        connected = self.inbox.connection is events.ConnectionState.CONNECTED
        self._take(Step.UP if connected and not self._paths.broken else Step.LOST)

    def _take(self, step: Step) -> None:
        if self._states.take(step):
            self.journal.note("status", status=self.status)

    def _begin(self, player: Player, changed: events.PathChanged) -> None:
        """Starts what needs the session to be up."""
        self.inbox.begin(changed)
        if self._record is not None:
            self._record.begin(self._time.now_ms())
        self.live.begin(self.events.put)
        assert self._group is not None
        self._group.create_task(player.run())
        self._group.create_task(self.meter.run(self.events.measure))
        self._capture.rest(self._group)
        self._ready.set()

    def _note(self, event: events.Event) -> None:
        """What the session remembers of what happens."""
        self.log.take(event)
        self.journal.event(event)
        if isinstance(event, events.StateChanged):
            self.state = event
        if isinstance(event, events.TurnMetrics):
            self.latency.take(event)

    def _drop_media(self) -> None:
        if not self._paths.drop():
            self._control.drop()


def _first(errors: BaseException) -> Any:
    """The first exception of a group of groups."""
    while isinstance(errors, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", errors)
        errors = group.exceptions[0]
    return errors
