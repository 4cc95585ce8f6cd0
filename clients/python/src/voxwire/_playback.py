"""The bot's audio of a session: one player, fed by whichever path is in use."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from voxwire._devices import GuardedSpeaker
from voxwire._opening import Opened
from voxwire._player import TICK_MS, Player
from voxwire._sound import SoundStream, SoundTaps
from voxwire.audio import Speaker
from voxwire_protocol import events, wire
from voxwire_protocol.clocks import Clock

__all__ = ["Playback"]

_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET

TARGET_MS: Final = {
    wire.Carrier.CARRIER_WEBRTC: 20,
    wire.Carrier.CARRIER_DAILY: 20,
    _WEBSOCKET: 40,
}
"""Delay that the playout buffer starts with; WebRTC and Daily have a jitter buffer in front."""

DRAIN_MS: Final = 2000
"""How long audio that was received may still play after the session ended."""

IDLE_TICKS: Final = 3
"""After this many ticks without sound everything has been played."""


class Playback:
    """Makes the player with the first path and takes it along to every other one."""

    def __init__(
        self,
        speaker: Speaker,
        *,
        emit: Callable[[events.Event], None],
        send: Callable[[wire.Envelope], object],
        clock: Clock,
    ) -> None:
        """Prepares; the speaker is opened with the first path.

        Args:
            speaker: Where the audio goes.
            emit: Takes the events that happen at this speaker.
            send: Sends a message.
            clock: What the speaker is fed by.
        """
        self._clock = clock
        self.player: Player | None = None
        self.silent = False
        """True while no path carries audio: flushes are answered on the next one."""
        self.sound = SoundTaps()
        """Who else listens to the bot's voice."""
        self._speaker = GuardedSpeaker(speaker, clock=clock, played=self.sound.put)
        self._emit = emit
        self._send = send
        self._path_id = 0
        self._rate = 0
        self._flushed_on = 0
        self._unreported: list[wire.PlayoutReport] = []

    def use(self, opened: Opened) -> Player:
        """Plays this path from now on."""
        target_ms = TARGET_MS[opened.path.carrier]
        continuous = opened.path.carrier != _WEBSOCKET
        self._path_id = opened.path_id
        self.silent = False
        if self.player is None:
            self._rate = opened.sample_rate
            self.player = Player(
                self._speaker,
                sample_rate=opened.sample_rate,
                target_ms=target_ms,
                continuous=continuous,
                make_up=opened.path.make_up,
                emit=self._emit,
                report=self._report,
                clock=self._clock,
            )
        else:
            self.player.take_over(
                target_ms=target_ms, continuous=continuous, make_up=opened.path.make_up
            )
        return self.player

    def stream(self) -> SoundStream:
        """The bot's voice from now on, for one more listener."""
        return self.sound.stream(self._rate)

    def replace(self, speaker: Speaker) -> Speaker:
        """Has another speaker play from the next block on.

        Returns:
            The one before, which is to be retired.

        Raises:
            MediaError: It cannot be opened; the one before is used on.
        """
        assert self._rate, "the session is up"
        return self._speaker.replace(speaker, self._rate)

    async def retire(self, before: Speaker) -> None:
        """Closes a speaker that is not played on any more.

        An async function gets what it has not taken yet, for at most 2 s.
        """
        drain = getattr(before, "drain", None)
        try:
            if drain is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_MS / 1000):
                        await drain()
        finally:
            GuardedSpeaker(before, clock=self._clock).close()

    async def drain(self) -> None:
        """Waits until the speaker has been idle for a moment, at most 2 s."""
        idle_ticks = 0
        for _ in range(DRAIN_MS // TICK_MS):
            await asyncio.sleep(TICK_MS / 1000)
            idle_ticks = idle_ticks + 1 if self.player is None or self.player.idle else 0
            if idle_ticks == IDLE_TICKS:
                return

    def flush(self, envelope: wire.Envelope) -> None:
        """Falls silent at once, whichever path the flush is about."""
        self._flushed_on = envelope.flush.path_id
        if self.player is not None:
            self.player.handle(envelope)

    def answer_flushes(self) -> None:
        """Reports what was flushed while the path in use could not say it."""
        reports, self._unreported = self._unreported, []
        for report in reports:
            report.path_id = self._path_id
            self._send(wire.Envelope(playout_report=report))

    def forget_flushes(self) -> None:
        """Nobody asks for those answers any more."""
        self._unreported.clear()

    def _report(self, report: wire.PlayoutReport) -> None:
        """Sends a report; the answer to a flush on a path to come waits for that path."""
        if report.flush_id and (self.silent or self._flushed_on > self._path_id):
            self._unreported.append(report)
            return
        report.path_id = self._path_id
        self._send(wire.Envelope(playout_report=report))
