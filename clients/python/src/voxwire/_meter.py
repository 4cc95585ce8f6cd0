"""Measures how well the audio of a session flows, once a second."""

import asyncio
from collections.abc import Callable
from typing import Final

from voxwire._opening import Opened
from voxwire._options import path_name
from voxwire._path import NOTHING, Arrived
from voxwire._player import Player
from voxwire_protocol.quality import Quality, grade_of, loss_between

__all__ = ["EVERY_MS", "Meter"]

EVERY_MS: Final = 1000
"""As in the other clients."""


class Meter:
    """Looks at one session's path and player."""

    def __init__(
        self,
        *,
        opened: Callable[[], Opened | None],
        broken: Callable[[], bool],
        player: Callable[[], Player | None],
        round_trip_us: Callable[[], int | None],
    ) -> None:
        """Takes where it looks.

        Args:
            opened: The path in use, or the last one.
            broken: Whether no path carries audio.
            player: What plays the bot.
            round_trip_us: Shortest recent round trip to the server, microseconds.
        """
        self._opened = opened
        self._broken = broken
        self._player = player
        self._round_trip_us = round_trip_us
        self._before: tuple[int, Arrived] | None = None
        self._concealed_ms = 0  # in the place of lost packets
        self._last: Quality | None = None

    @property
    def quality(self) -> Quality:
        """What was measured last."""
        return self._last or self.look()

    async def run(self, tell: Callable[[Quality], None]) -> None:
        """Measures until cancelled, and tells."""
        self.look()
        while True:
            await asyncio.sleep(EVERY_MS / 1000)
            tell(self.look())

    def look(self) -> Quality:
        """Measures now; what is lost counts from the look before."""
        opened, broken, player = self._opened(), self._broken(), self._player()
        loss, jitter_ms = self._look_at(opened)
        rtt_us = self._round_trip_us()
        round_trip_ms = None if rtt_us is None else rtt_us / 1000
        buffered_ms = player.buffer.buffered_ms if player else 0
        self._last = Quality(
            transport="none" if opened is None or broken else path_name(opened.path.carrier),
            grade=grade_of(
                round_trip_ms=round_trip_ms,
                jitter_ms=jitter_ms,
                loss=loss,
                buffered_ms=buffered_ms,
                lost=broken,
            ),
            round_trip_ms=round_trip_ms,
            jitter_ms=jitter_ms,
            loss=loss,
            buffered_ms=buffered_ms,
            concealed_ms=self._concealed_ms + (player.buffer.concealed_ms if player else 0),
        )
        return self._last

    def _look_at(self, opened: Opened | None) -> tuple[float | None, float | None]:
        """Loss since the look before, and jitter; None = not known."""
        arrived = None if opened is None else opened.path.arrived()
        if opened is None or arrived is None:
            return None, None
        before = self._before
        seen = before[1] if before and before[0] == opened.path_id else NOTHING
        self._before = opened.path_id, arrived
        self._concealed_ms += max(0, arrived.concealed_ms - seen.concealed_ms)
        loss = loss_between((seen.received, seen.lost), (arrived.received, arrived.lost))
        return loss, arrived.jitter_ms
