"""The heartbeat of a session: pings, a client that is gone or does not read, limits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_server.playout.heard import STOOD_STILL_MS
from voxwire_server.ports import ControlChannel, SessionPort
from voxwire_server.session.limits import Over, SessionLimits

__all__ = ["Gone", "Rhythm", "Voice", "Watch", "gone", "next_look_ms"]

_GONE: Final = 4000 + wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
_MIN_LOOK_MS: Final = 10.0


# what is due when: pure


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a session looks after its client.

    Attributes:
        heartbeat_ms: Time between pings.
        dead_after_ms: Silence after which a client that answers pings is gone.
    """

    heartbeat_ms: float
    dead_after_ms: float


class Gone(Enum):
    """Why a client is taken for gone, in words for it."""

    SILENT = "nothing was heard from the client for too long"
    DEAF = "the client stopped reading"


def gone(rhythm: Rhythm, silent_ms: float | None, *, overflowing: bool) -> Gone | None:
    """Judge a client whose channel something carries.

    Args:
        rhythm: The session's times.
        silent_ms: How long nothing has come from it; None = silence means nothing.
        overflowing: Whether it has stopped reading.
    """
    if silent_ms is not None and silent_ms > rhythm.dead_after_ms:
        return Gone.SILENT
    return Gone.DEAF if overflowing else None


def next_look_ms(rhythm: Rhythm, silent_ms: float | None) -> float:
    """How long until the next look: a heartbeat, or until a client that stays silent is gone."""
    if silent_ms is None:
        return rhythm.heartbeat_ms
    dead_in_ms = rhythm.dead_after_ms - silent_ms + 1
    return min(rhythm.heartbeat_ms, max(_MIN_LOOK_MS, dead_in_ms))


# the driver


class Voice(Protocol):
    """What the heartbeat asks of the bot's voice."""

    def stood_still(self, since_ms: float) -> None:
        """This process did nothing since then."""
        ...

    def watch(self, last_sign_ms: float) -> None:
        """Look after the listener, who was last heard of on the control channel at that time."""
        ...


class Watch:
    """Looks after one session for as long as its owner task runs :meth:`run`.

    Args:
        port: The session.
        channel: Its control channel; with ``FEATURE_SEQUENCE`` its client answers pings.
        voice: The bot's voice.
        clock_sync: Takes the time with the client.
        limits: How long the session may last and lie idle.
        busy: Whether anybody speaks, or an answer is on its way.
        rhythm: When to look.
    """

    def __init__(
        self,
        port: SessionPort,
        channel: ControlChannel,
        voice: Voice,
        *,
        clock_sync: ClockSync,
        limits: SessionLimits,
        busy: Callable[[], bool],
        rhythm: Rhythm,
    ) -> None:
        self._port = port
        self._channel = channel
        self._voice = voice
        self._clock_sync = clock_sync
        self._limits = limits
        self._busy = busy
        self._rhythm = rhythm

    async def run(self) -> None:
        """Look after the session until cancelled."""
        clock = self._port.clock
        while True:
            wait_ms = next_look_ms(self._rhythm, self._silent_ms())
            due_ms = clock.now_ms() + wait_ms
            await asyncio.sleep(wait_ms / 1000)
            late_ms = max(0.0, clock.now_ms() - due_ms)
            if late_ms > STOOD_STILL_MS:
                self._voice.stood_still(due_ms)
            self._look(late_ms)

    @property
    def _pings(self) -> bool:
        """Whether the channel has a client behind it that answers pings now."""
        answers = wire.Feature.FEATURE_SEQUENCE in self._channel.features
        return answers and self._channel.attached

    def _silent_ms(self) -> float | None:
        if not self._pings:
            return None
        return self._port.clock.now_ms() - self._channel.last_sign_ms

    def _look(self, late_ms: float) -> None:
        channel, why = self._channel, None
        if channel.attached:
            silent_ms = self._silent_ms()
            if silent_ms is not None:
                # in a process that stood still meanwhile, what the client said waits unread
                silent_ms -= late_ms
            why = gone(self._rhythm, silent_ms, overflowing=channel.overflowing)
        if why is not None:
            channel.close(_GONE, why.value, gone=True)
        self._voice.watch(channel.last_sign_ms)
        now_ms = self._port.clock.now_ms()
        self._watch_limits(now_ms)
        if self._pings:
            self._port.emit(ping=self._clock_sync.ping(int(now_ms * 1000)))

    def _watch_limits(self, now_ms: float) -> None:
        """End a session that is too long, or that nobody uses; warn in time."""
        if self._busy():
            self._limits.active(now_ms)
        due = self._limits.watch(now_ms)
        if isinstance(due, Over):
            self._port.end(due.reason, due.error)
        elif due is not None:
            self._port.emit(go_away=due)
