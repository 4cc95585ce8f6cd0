"""The time in which the bot's voice has no listener: how long it waits, and when it is cut."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from voxwire_protocol.clocks import Timer
from voxwire_server.playout.gap_rules import GapEvent, VoiceState, after, over_at_ms
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import SessionPort

__all__ = ["Gap"]

_CUT_SECS: Final = 1.0


class Gap:
    """What the voice does while nobody can hear it; drives :data:`gap_rules.RULES`.

    The voice waits for ``voice_gap_ms``; a listener who is back by then hears it go on from the
    last position that was reported. After that it is cut there: nothing is spoken late. For a
    listener who says that it cannot play it waits for ``suspended_ms``.

    Args:
        port: The session.
        playout: What was placed.
        voice_gap_ms: How long the voice waits for a listener who is out of reach.
        suspended_ms: How long for one who is there and cannot play.
        cut: Interrupts the bot because of the gap; the flush of that is told by :meth:`flushed`.

    Attributes:
        since_ms: When the listener was last in reach, monotonic milliseconds; None while it is.
    """

    def __init__(
        self,
        port: SessionPort,
        playout: Playout,
        *,
        voice_gap_ms: int,
        suspended_ms: int,
        cut: Callable[[], Awaitable[None]],
    ) -> None:
        self._port = port
        self._playout = playout
        self._limits_ms = {
            GapEvent.GAP_OVER: voice_gap_ms,
            GapEvent.SUSPENDED_OVER: suspended_ms,
        }
        self._cut = cut
        self._state = VoiceState.PLAYING
        self.since_ms: float | None = None
        self._suspended_since_ms: float | None = None
        self._timers: dict[GapEvent, Timer] = {}
        self._cutting: asyncio.Task[None] | None = None
        self._flushed = asyncio.Event()
        self._changed: asyncio.Future[None] | None = None

    # what is asked

    @property
    def state(self) -> VoiceState:
        """What the voice does now."""
        return self._state

    @property
    def suspended(self) -> bool:
        """True while the listener is there and cannot play, also when the voice was cut for it."""
        return self._suspended_since_ms is not None

    @property
    def cutting(self) -> bool:
        """True while the bot is interrupted because of a gap, though its listener may be back."""
        return self._cutting is not None

    async def changed(self) -> None:
        """Wait until the voice does something else than now. Cancel-safe."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    # what happens

    def lost(self, since_ms: float) -> None:
        """The path is gone, or nothing comes from its listener any more.

        Args:
            since_ms: When the listener was last there; the first time of a gap counts.
        """
        if self.since_ms is None:
            self.since_ms = since_ms
            self._await(GapEvent.GAP_OVER)
        self._happens(GapEvent.PATH_LOST)

    def path_lost(self, since_ms: float) -> None:
        """The path is gone: what its listener said of playing does not hold for the next one."""
        self._suspended_since_ms = None
        self.lost(since_ms)

    def back(self) -> None:
        """Something comes from the listener on the path in use; nothing when no gap was begun.

        One who could not play has not said yet that it can.
        """
        if self.since_ms is not None:
            self.since_ms = None
            self._happens(GapEvent.PATH_OPENED)
            self._say_suspended()

    def opened(self) -> None:
        """A path carries audio from now on; :meth:`settle` was awaited."""
        self.since_ms = self._suspended_since_ms = None
        self._happens(GapEvent.PATH_OPENED)

    def reported(self, *, suspended: bool) -> None:
        """The listener says whether it cannot play; the first time of a gap counts."""
        if suspended:
            self.back()  # who says so is there
            if self._suspended_since_ms is None:
                self._suspended_since_ms = self._port.clock.now_ms()
                self._await(GapEvent.SUSPENDED_OVER)
            self._happens(GapEvent.SUSPENDED)
            return
        self._suspended_since_ms = None
        if self.since_ms is None:  # else its sound does not arrive: that counts when it is back
            self._happens(GapEvent.PLAYS_AGAIN)

    def speaks(self) -> None:
        """The bot says something behind what was heard, or cut."""
        self._happens(GapEvent.SPEAKS)
        self._say_suspended()
        for event in self._limits_ms:  # it waits as long from now on
            self._await(event)

    def flushed(self) -> None:
        """What was placed is void, and the listener's position behind it."""
        self._flushed.set()

    async def settle(self) -> None:
        """Cut what would be spoken late: a path is about to carry audio again. Cancel-safe."""
        self._look()
        if self._state is VoiceState.CUT:
            self._begin_cut()
        if self._cutting is not None:
            await asyncio.wait({self._cutting})

    def close(self) -> None:
        """The session is over."""
        for timer in self._timers.values():
            timer.cancel()

    # the table

    def _happens(self, event: GapEvent) -> None:
        before = self._state
        self._state = after(before, event)
        if self._state is before:
            return
        if self._state is VoiceState.CUT:
            self._begin_cut()
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    def _say_suspended(self) -> None:
        """What the listener said of playing still holds, as soon as it is in reach."""
        if self.suspended and self.since_ms is None:
            self._happens(GapEvent.SUSPENDED)
            self._await(GapEvent.SUSPENDED_OVER)  # it may have been over where that meant nothing

    # time: a limit that is reached is an event like any other; the table knows if it means anything

    def _over_at_ms(self, event: GapEvent) -> float | None:
        since_ms = self.since_ms if event is GapEvent.GAP_OVER else self._suspended_since_ms
        if since_ms is None:
            return None
        placed_ms, limit_ms = self._playout.waiting_since_ms, self._limits_ms[event]
        return over_at_ms(since_ms, placed_ms=placed_ms, limit_ms=limit_ms)

    def _await(self, event: GapEvent) -> None:
        """Have a limit be an event when it is reached; nothing while it does not run."""
        at_ms = self._over_at_ms(event)
        if at_ms is None:
            return
        if event in self._timers:
            self._timers[event].cancel()
        clock = self._port.clock
        delay_ms = max(0.0, at_ms - clock.now_ms())
        self._timers[event] = clock.call_later(delay_ms, lambda: self._time_over(event))

    def _time_over(self, event: GapEvent) -> None:
        at_ms = self._over_at_ms(event)
        if at_ms is not None and self._port.clock.now_ms() < at_ms:
            self._await(event)  # what waits was placed later
        else:
            self._happens(event)

    def _look(self) -> None:
        """Let the limits be over that are, though their timers may come late."""
        for event in self._limits_ms:
            at_ms = self._over_at_ms(event)
            if at_ms is not None and self._port.clock.now_ms() >= at_ms:
                self._happens(event)

    # the cut

    @property
    def _unheard(self) -> bool:
        return self._playout.backlog_ms(self._port.clock.now_ms()) > 0

    def _begin_cut(self) -> None:
        if self._cutting is None and self._unheard:
            self._cutting = self._port.spawn(self._interrupt())
            if self._cutting is not None:
                self._cutting.add_done_callback(self._cut_over)

    def _cut_over(self, _: "asyncio.Task[None]") -> None:
        self._cutting = None

    async def _interrupt(self) -> None:
        """Interrupt the bot, and wait until its voice is flushed; 1 s at most."""
        self._flushed.clear()
        await self._cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CUT_SECS):
                while self._unheard:
                    await self._flushed.wait()
                    self._flushed.clear()
