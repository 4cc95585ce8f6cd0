"""What runs behind a session: one owner task; when it ends, nothing of the session remains."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, Final, cast

from voxwire._attach import Greeting, lost
from voxwire._control import Control
from voxwire._events import EventQueue
from voxwire._ice import IceChoice
from voxwire._opening import Opened, Opening, Options, ladder, path_name
from voxwire._paths import Paths
from voxwire._playback import Playback
from voxwire._player import Player
from voxwire._simulate import Gate, Simulation
from voxwire._socket import is_loopback
from voxwire._tool_runner import ToolRunner
from voxwire._user import UserAudio
from voxwire.audio import Microphone, Speaker
from voxwire_protocol import events, wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    UsageError,
    VoxwireError,
    error_from_wire,
    make_error,
)
from voxwire_protocol.event_codec import from_envelope, snapshot_of
from voxwire_protocol.tool_spec import declaration_of

__all__ = ["Runtime"]

BYE_MS: Final = 1000
"""How long the server may take to answer Bye."""

SHUTDOWN_MS: Final = 5000
"""After this, what is left of a session is cancelled."""

_PATH_PAYLOADS: Final = frozenset(
    {"audio", "media_anchor", "path_answer", "path_ready", "path_close"}
)


class _Over(Exception):
    """Ends the task group of a session that ended in order."""


class Runtime:
    """The owner of everything that a session uses: socket, path, player, microphone."""

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        microphone: Microphone | None,
        speaker: Speaker,
    ) -> None:
        """Prepares; `dial`, then `start` do the rest."""
        carriers = ladder(options.transport)
        greeting = Greeting(
            url,
            token=options.token,
            bot=options.bot,
            metadata_json=options.metadata_json,
            webrtc=wire.Carrier.CARRIER_WEBRTC in carriers,
            resume=options.resume,
            resume_ms=options.resume_ms,
            tools=tuple(declaration_of(tool.spec) for tool in options.tools),
        )
        gate = Gate()
        self._control = Control(greeting, gate)
        self.events = EventQueue()
        self.welcome = wire.Welcome()
        self.connection = events.ConnectionState.CONNECTED
        self.failure: VoxwireError | None = None
        self.simulation = Simulation(
            gate, drop_control=self._control.drop, drop_media=self._drop_media
        )
        self._tools = ToolRunner(options.tools, self._control.send)
        self.user = UserAudio(microphone)
        self._playback = Playback(speaker, emit=self.events.put, send=self._control.send)
        loopback = is_loopback(url)
        self._opening = Opening(
            capture=self.user,
            send=self._control.send,
            ice=IceChoice(options.ice_servers, policy=options.ice_policy, loopback=loopback),
            loopback=loopback,
        )
        self._paths = Paths(
            self._opening,
            carriers,
            use=self._use_path,
            send=self._control.send,
            keep=options.resume,
        )
        self._group: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()
        self._early: list[wire.Envelope] = []
        self._early_skip: events.EventsSkipped | None = None
        self._over = asyncio.Event()
        self._fatal: VoxwireError | None = None
        self._last_error: VoxwireError | None = None
        self._ended: events.Event | None = None
        self._said_bye = False
        self._owner: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def clock(self) -> ClockSync:
        """The server's clock."""
        return self._control.clock

    @property
    def player(self) -> Player | None:
        """What plays the bot; None until the first path is there."""
        return self._playback.player

    @property
    def opened(self) -> Opened | None:
        """The path in use, or the last one."""
        return self._paths.opened

    async def dial(self, timeout_ms: int) -> None:
        """Opens the control channel's first socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        if self.user.live:
            self._listening = asyncio.create_task(self.user.run(), name="voxwire-microphone")
        try:
            await self._control.dial(timeout_ms)
        except BaseException:
            await self._stop_listening()
            raise

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def start(self) -> None:
        """Starts the owner task."""
        self._owner = asyncio.create_task(self._own(), name="voxwire-session")

    async def wait_ready(self, timeout_ms: int) -> None:
        """Waits until the session is up. On failure or cancellation nothing of it remains.

        Raises:
            VoxwireError: It cannot be had, or not within `timeout_ms`.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._ready.wait()
        except TimeoutError:
            failure = self._control.failure or self._opening.timed_out(timeout_ms)
            await self.stop()
            raise failure from None
        except asyncio.CancelledError:
            await self.stop()
            raise
        if self.failure is not None:
            await self.stop()
            raise self.failure

    def send(self, envelope: wire.Envelope) -> None:
        """Sends a message.

        Raises:
            UsageError: The session has ended.
        """
        if self._over.is_set() or self._owner is None or self._owner.done():
            raise UsageError(ErrorCode.INVALID_STATE, "the session has ended")
        self._control.send(envelope)

    async def bye(self, reason: str) -> None:
        """Says Bye and waits a moment for the answer."""
        if self._said_bye or self._over.is_set():
            return
        self._said_bye = True
        try:
            self.send(wire.Envelope(bye=wire.Bye(reason=reason)))
            async with asyncio.timeout(BYE_MS / 1000):
                await self._over.wait()
        except (VoxwireError, TimeoutError):
            return

    async def stop(self) -> None:
        """Ends the owner task and waits for that, at most 10 s."""
        self._said_bye = True
        self._finish()
        owner = self._owner
        if owner is None:
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
                if self._listening is not None:
                    group.create_task(self._listen(self._listening))
                group.create_task(self._supervise())
                group.create_task(self._run_control())
                group.create_task(self._run_paths())
        except* _Over:
            failure = self._fatal
        except* VoxwireError as errors:
            failure = _first(errors)
        except* Exception as errors:
            failure = make_error(ErrorCode.INTERNAL, f"the client failed: {_first(errors)!r}")
            failure.__cause__ = _first(errors)
        finally:
            await self._clean_up(failure)

    async def _listen(self, listening: asyncio.Task[None]) -> None:
        """Keeps the microphone that was opened before the session was; ends with it."""
        await listening

    async def _clean_up(self, failure: VoxwireError | None) -> None:
        if failure is None and self.player is None:
            failure = lost("the session ended before it was ready")
        self.failure = failure
        async with AsyncExitStack() as stack:  # all of it, wherever this is cancelled
            stack.callback(self._ready.set)
            stack.callback(self._over.set)
            stack.callback(self.events.close, failure)
            stack.push_async_callback(self._control.close)
            stack.push_async_callback(self._paths.close)
            stack.push_async_callback(self._tools.close)
            stack.push_async_callback(self._stop_listening)
            if self.player is not None:
                self.player.close()

    async def _supervise(self) -> None:
        """Waits for the end; lets what was received play out first, unless we hung up."""
        await self._over.wait()
        if self._fatal is None and not self._said_bye:
            await self._playback.drain()
        await self._control.flush(BYE_MS)
        if self._ended is not None:
            self.events.put(self._ended)
        raise _Over

    def _finish(self) -> None:
        """The session is over, or as good as over: nothing is dialled again."""
        self._control.finish()
        self._over.set()

    async def _run_control(self) -> None:
        try:
            await self._control.run(self)
        except VoxwireError:
            if not self._said_bye and self._ended is None and self._fatal is None:
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
        changed = events.PathChanged(opened.path_id, carrier, resent.resent_ms, resent.lost_ms)
        if not first:
            self.events.put(changed)
        player = self._playback.use(opened)
        if first:
            self._begin(player, changed)
        self._playback.answer_flushes()
        return player

    def _begin(self, player: Player, changed: events.PathChanged) -> None:
        """Starts what needs the session to be up, and tells what came before it was."""
        started = from_envelope(wire.Envelope(welcome=self.welcome))
        if started is not None:
            self.events.put(started)
        self.events.put(changed)
        if self._early_skip is not None:
            self.events.put(self._early_skip)
        for envelope in self._early:
            self._handle_event(envelope)
        self._early.clear()
        assert self._group is not None
        self._group.create_task(player.run())
        if self._listening is None:
            self._group.create_task(self.user.run())
        self._ready.set()

    def _drop_media(self) -> None:
        if not self._paths.drop():
            self._control.drop()

    def lost(self, attempt: int) -> None:
        """The control channel is gone, and dialled again."""
        self._detach()
        self._change(events.ConnectionState.RECONNECTING, attempt)

    def _detach(self) -> None:
        self._paths.detached()
        self._playback.silent = self._paths.broken

    def attached(self, welcome: wire.Welcome, *, attempt: int, after_ms: int, unsent: int) -> None:
        """The control channel is there, for the first time or again."""
        again = bool(self.welcome.session_id)
        self.welcome.CopyFrom(welcome)
        self._opening.welcome(welcome.ice_servers)
        if again and not attempt:  # a second socket took over from one that still stood
            self._detach()
        self._change(events.ConnectionState.CONNECTED, attempt, after_ms=after_ms, again=again)
        skipped = welcome.HasField("snapshot") or (again and not welcome.resumed)
        if skipped:
            self._skip(welcome.snapshot, unsent)
        self._paths.attached(anew=skipped)

    def _change(
        self, state: events.ConnectionState, attempt: int, *, after_ms: int = 0, again: bool = True
    ) -> None:
        self.connection = state
        if again and self.player is not None:
            epoch = self.welcome.epoch
            self.events.put(events.ConnectionChanged(state, attempt, epoch, after_ms))

    def _skip(self, snapshot: wire.Snapshot, unsent: int) -> None:
        """Goes on from a snapshot, since what happened meanwhile is lost."""
        self._playback.forget_flushes()
        skipped = events.EventsSkipped(0, unsent, snapshot_of(snapshot))
        said: list[wire.Envelope] = []
        if snapshot.HasField("utterance"):
            said.append(wire.Envelope(utterance_started=snapshot.utterance))
        said.extend(wire.Envelope(utterance_started=u) for u in snapshot.queued_utterances)
        said.extend(wire.Envelope(utterance_words=words) for words in snapshot.words)
        said.extend(wire.Envelope(tool_call_started=call) for call in snapshot.tool_calls)
        state = wire.Envelope(state_changed=snapshot.state)
        if self.player is None:
            self._early, self._early_skip = [*said, state], skipped
        else:
            self.events.put(skipped)
            for envelope in said:
                if (event := from_envelope(envelope)) is not None:
                    self.events.put(event)
            self.player.restore(snapshot)
            self.player.handle(state)
        if snapshot.user_muted != self.user.muted:
            self._control.send(wire.Envelope(mute=wire.Mute(muted=self.user.muted)))
        if self._said_bye:
            self._control.send(wire.Envelope(bye=wire.Bye()))

    def handle(self, envelope: wire.Envelope) -> None:
        """Takes one message of the server."""
        payload = envelope.WhichOneof("payload")
        match payload:
            case "ping":
                received_us = _now_us()
                pong = self.clock.pong(envelope.ping, received_us, _now_us())
                self._control.send(wire.Envelope(pong=pong))
            case "pong":
                self.clock.receive(envelope.pong, _now_us())
            case "ice_servers_update":
                self._opening.update_ice(envelope.ice_servers_update.ice_servers)
            case "tool_request" | "tool_cancel":
                self._tools.receive(envelope)
            case name if name in _PATH_PAYLOADS:
                self._paths.receive(envelope, getattr(envelope, name).path_id)
            case _ if self.player is None and payload not in ("error", "session_ended"):
                self._early.append(envelope)
            case _:
                self._handle_event(envelope)

    def _handle_event(self, envelope: wire.Envelope) -> None:
        payload = envelope.WhichOneof("payload")
        if payload == "flush":
            self._playback.flush(envelope)
            return
        if payload == "state_changed" and self.player is not None:
            self.player.handle(envelope)  # which says so when its speaker is there
            return
        event = from_envelope(envelope)
        if payload == "go_away" and envelope.go_away.resume_url:
            self._control.move(envelope.go_away.resume_url)
        if payload == "error":
            self._handle_error(envelope.error)
        if payload == "session_ended":
            if envelope.session_ended.reason == wire.EndReason.END_REASON_ERROR:
                self._fatal = self._last_error or lost("the server ended the session")
            self._ended = event
            self._finish()
        elif event is not None:
            self.events.put(event)
        if self.player is not None:
            self.player.handle(envelope)

    def _handle_error(self, error: wire.Error) -> None:
        failure = self._last_error = error_from_wire(error)
        if failure.code == ErrorCode.SUPERSEDED:
            self._control.condemn(failure)  # unless it was this client itself that moved over
        elif failure.action == RecoveryAction.RESUME and self._control.resumable:
            self._control.move("")
        elif error.fatal:
            self._fatal = failure
            self._finish()
        elif self.opened is None or error.subject_id:
            self._opening.refuse(error)


def _first(errors: BaseException) -> Any:
    """The first exception of a group of groups."""
    while isinstance(errors, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", errors)
        errors = group.exceptions[0]
    return errors


def _now_us() -> int:
    return time.monotonic_ns() // 1000
