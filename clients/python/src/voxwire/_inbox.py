"""What the server says: who takes it, and what is told of it before the session is up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire._attach import lost
from voxwire._dispatcher import Dispatcher
from voxwire._files import Files
from voxwire._opening import Opening
from voxwire._paths import Paths
from voxwire._peer import ControlChannel
from voxwire._playback import Playback
from voxwire._player import Player
from voxwire._receipts import Receipts
from voxwire._requests import Requests
from voxwire._tool_runner import ToolRunner
from voxwire._user import UserAudio
from voxwire_protocol import events, wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, RecoveryAction, VoxwireError, error_from_wire
from voxwire_protocol.event_codec import from_envelope, snapshot_of

__all__ = ["Inbox", "Parts"]

_PATH_PAYLOADS: Final = frozenset(
    {"audio", "media_anchor", "path_answer", "path_ready", "path_close"}
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a session consists of."""

    control: ControlChannel
    events: Dispatcher
    files: Files
    opening: Opening
    paths: Paths
    playback: Playback
    receipts: Receipts
    requests: Requests
    tools: ToolRunner
    user: UserAudio


class Inbox:
    """Takes the messages of one session, and keeps the events until it is up.

    Attributes:
        welcome: The newest one.
        connection: Whether the control channel is there.
        fatal: The error that ended the session; None = it did not end so.
        ended: The event that the session's end is told by, once the server has said it.
        leaving: Bye was said: it is said again if it was lost.
    """

    def __init__(
        self,
        parts: Parts,
        finish: Callable[[], None],
        *,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Takes what it hands messages to.

        Args:
            parts: Who takes them.
            finish: Called when the session is over.
            changed: Called when `connection` may be another one.
            clock: What the server's clock is compared with.
        """
        self.welcome = wire.Welcome()
        self.connection = events.ConnectionState.CONNECTED
        self.fatal: VoxwireError | None = None
        self.ended: events.Event | None = None
        self.leaving = False
        self._parts = parts
        self._finish = finish
        self._changed = changed
        self._clock = clock
        self._last_error: VoxwireError | None = None
        self._state = wire.StateChanged()
        self._early: list[wire.Envelope] = []
        self._early_skip: events.EventsSkipped | None = None

    @property
    def player(self) -> Player | None:
        """What plays the bot; None until the first path is there."""
        return self._parts.playback.player

    @property
    def position_ms(self) -> int:
        """Where playout is on the media clock, milliseconds."""
        return self.player.position_ms if self.player else 0

    @property
    def quiet(self) -> bool:
        """True when nobody speaks, nothing is owed, and nothing of the bot's is to be played."""
        idle = self._state.bot == wire.BotState.BOT_STATE_IDLE
        silent = self._state.user != wire.UserState.USER_STATE_SPEAKING
        return idle and silent and self.player is not None and self.player.idle

    def begin(self, changed: events.PathChanged) -> None:
        """The session is up: tells so, and what came before it was."""
        started = from_envelope(wire.Envelope(welcome=self.welcome))
        if started is not None:
            self._parts.events.put(started)
        self._parts.events.put(changed)
        if self._early_skip is not None:
            self._parts.events.put(self._early_skip)
        for envelope in self._early:
            self._handle_event(envelope)
        self._early.clear()

    def acknowledged(self, number: int) -> None:
        """The server has every message up to that number."""
        self._parts.receipts.reached(number)

    def lost(self, attempt: int) -> None:
        """The control channel is gone, and dialled again."""
        self._detach()
        self._change(events.ConnectionState.RECONNECTING, attempt)

    def _detach(self) -> None:
        self._parts.paths.detached()
        self._parts.playback.silent = self._parts.paths.broken

    def attached(self, welcome: wire.Welcome, *, attempt: int, after_ms: int, unsent: int) -> None:
        """The control channel is there, for the first time or again."""
        again = bool(self.welcome.session_id)
        self.welcome.CopyFrom(welcome)
        self._parts.opening.welcome(welcome.ice_servers)
        if again and not attempt:  # a second socket took over from one that still stood
            self._detach()
        self._change(events.ConnectionState.CONNECTED, attempt, after_ms=after_ms, again=again)
        skipped = welcome.HasField("snapshot") or (again and not welcome.resumed)
        if skipped:
            self._parts.receipts.void()
            self._skip(welcome.snapshot, unsent)
        self._parts.paths.attached(anew=skipped)

    def skipped(self) -> None:
        """What was said while the channel was away is lost, and nobody says what it was."""
        if self.player is None:
            self._early_skip = events.EventsSkipped(0)
        else:
            self._parts.events.put(events.EventsSkipped(0))

    def _change(
        self, state: events.ConnectionState, attempt: int, *, after_ms: int = 0, again: bool = True
    ) -> None:
        self.connection = state
        if again and self.player is not None:
            epoch = self.welcome.epoch
            self._parts.events.put(events.ConnectionChanged(state, attempt, epoch, after_ms))
        self._changed()

    def _skip(self, snapshot: wire.Snapshot, unsent: int) -> None:
        """Goes on from a snapshot, since what happened meanwhile is lost."""
        self._parts.playback.forget_flushes()
        self._parts.files.again()
        skipped = events.EventsSkipped(0, unsent, snapshot_of(snapshot))
        said: list[wire.Envelope] = []
        if snapshot.HasField("utterance"):
            said.append(wire.Envelope(utterance_started=snapshot.utterance))
        said.extend(wire.Envelope(utterance_started=u) for u in snapshot.queued_utterances)
        said.extend(wire.Envelope(utterance_words=words) for words in snapshot.words)
        said.extend(wire.Envelope(tool_call_started=call) for call in snapshot.tool_calls)
        self._state = snapshot.state
        state = wire.Envelope(state_changed=snapshot.state)
        if self.player is None:
            self._early, self._early_skip = [*said, state], skipped
        else:
            self._parts.events.put(skipped)
            for envelope in said:
                if (event := from_envelope(envelope)) is not None:
                    self._parts.events.put(event)
            self.player.restore(snapshot)
            self.player.handle(state)
        if snapshot.user_muted != self._parts.user.muted:
            self._parts.control.send(wire.Envelope(mute=wire.Mute(muted=self._parts.user.muted)))
        if self.leaving:
            self._parts.control.send(wire.Envelope(bye=wire.Bye()))

    def handle(self, envelope: wire.Envelope) -> None:
        """Takes one message of the server."""
        payload = envelope.WhichOneof("payload")
        if payload == "go_away":
            self._parts.control.go_away(envelope.go_away)
        elif payload == "state_changed":
            self._state = envelope.state_changed
        match payload:
            case "ping":
                received_us = self._now_us()
                pong = self._parts.control.clock.pong(envelope.ping, received_us, self._now_us())
                self._parts.control.send(wire.Envelope(pong=pong))
            case "pong":
                self._parts.control.clock.receive(envelope.pong, self._now_us())
            case "ice_servers_update":
                self._parts.opening.update_ice(envelope.ice_servers_update.ice_servers)
            case "file_taken" | "file_ended":
                self._parts.files.receive(envelope)
            case "tool_request" | "tool_cancel":
                self._parts.tools.receive(envelope)
            case name if name in _PATH_PAYLOADS:
                self._parts.paths.receive(envelope, getattr(envelope, name).path_id)
            case _ if self.player is None and payload not in ("error", "session_ended"):
                self._early.append(envelope)
            case _:
                self._handle_event(envelope)

    def _handle_event(self, envelope: wire.Envelope) -> None:
        payload = envelope.WhichOneof("payload")
        if payload == "flush":
            self._parts.playback.flush(envelope)
            return
        if payload == "state_changed" and self.player is not None:
            self.player.handle(envelope)  # which says so when its speaker is there
            return
        if payload == "app_message" and self._parts.requests.receive(envelope.app_message):
            return
        if payload == "error" and self._parts.requests.refuse(envelope.error):
            return
        event = from_envelope(envelope)
        if payload == "error":
            self._handle_error(envelope.error)
        if payload == "session_ended":
            if envelope.session_ended.reason == wire.EndReason.END_REASON_ERROR:
                self.fatal = self._last_error or lost("the server ended the session")
            self.ended = event
            self._finish()
        elif event is not None:
            self._parts.events.put(event)
        if self.player is not None:
            self.player.handle(envelope)

    def _handle_error(self, error: wire.Error) -> None:
        failure = self._last_error = error_from_wire(error)
        if failure.code == ErrorCode.SUPERSEDED:
            self._parts.control.condemn(failure)  # unless it was this client itself that moved over
        elif failure.action == RecoveryAction.RESUME and self._parts.control.resumable:
            self._parts.control.expect_loss()
        elif error.fatal:
            self.fatal = failure
            self._finish()
        elif self._parts.paths.opened is None or error.subject_id:
            self._parts.opening.refuse(error)

    def _now_us(self) -> int:
        return int(self._clock.now_ms() * 1000)
