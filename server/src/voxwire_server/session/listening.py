"""What the bot's voice tells its session, and asks of it."""

import asyncio
from typing import Any, Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_server.config import Settings
from voxwire_server.conversation.keys import Keys
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.media.carriers import CarrierSettings
from voxwire_server.playout.voice import Voice, VoiceLimits
from voxwire_server.ports import ControlChannel, Pipeline, Report

__all__ = ["Listening", "carrier_settings", "voice_limits"]

_GAP: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_GAP


class Owner(Protocol):
    """What is asked of the session."""

    clock_sync: ClockSync
    turns: TurnTimer
    keys: Keys
    voice: Voice
    port: Pipeline | None
    pipeline_ready: asyncio.Event

    @property
    def control(self) -> ControlChannel:
        """The control channel."""
        ...

    def now_ms(self) -> float:
        """Monotonic clock, milliseconds."""
        ...

    def emit(self, **payload: Any) -> None:
        """Send a payload to the client."""
        ...


class Listening:
    """Stands between one session's voice and the parts that live by it.

    Args:
        session: The session.
    """

    def __init__(self, session: Owner) -> None:
        self._session = session

    def attached(self) -> bool:
        """Whether anything carries the control channel now."""
        return self._session.control.attached

    async def started(self) -> None:
        """Wait until the bot's pipeline has started."""
        await self._session.pipeline_ready.wait()

    async def cut(self) -> None:
        """Interrupt the bot because nobody hears it."""
        if self._session.port is not None:
            await self._session.port.interrupt(_GAP)

    def reported(self, report: Report) -> None:
        """Time the user's turn by what the listener reported."""
        session = self._session
        media_ms = min(report.media_ms, session.voice.playout.heard.sent_ms)
        at_ms = session.now_ms() - self.way_ms()
        metrics = session.turns.reported(media_ms, at_ms, playing=report.playing)
        if metrics is not None:
            session.emit(turn_metrics=metrics)

    def way_ms(self) -> float:
        """How long a message takes to the listener, about; 0 = not known."""
        return (self._session.clock_sync.rtt_us or 0) / 2000

    def heard(self) -> None:
        """The listener's position moved."""
        if self._session.port is not None:
            self._session.port.heard()

    def keys(self, digits: str) -> None:
        """Keys that came by a path are those of a ``dtmf`` message."""
        self._session.keys.press(digits)


def voice_limits(settings: Settings) -> VoiceLimits:
    """The settings that the bot's voice obeys."""
    return VoiceLimits(
        sample_rate=settings.audio_out_sample_rate,
        voice_gap_ms=settings.voice_gap_ms,
        suspended_ms=settings.suspended_ms,
        close_timeout_ms=settings.end_timeout_ms,
    )


def carrier_settings(settings: Settings) -> CarrierSettings:
    """The settings that media paths obey."""
    return CarrierSettings(
        capture_rate=settings.audio_in_sample_rate,
        playout_rate=settings.audio_out_sample_rate,
        block_ms=settings.block_ms,
        opus=settings.opus,
        host=settings.host,
        ice_addresses=settings.ice_addresses,
        dead_after_ms=settings.dead_after_ms,
    )
