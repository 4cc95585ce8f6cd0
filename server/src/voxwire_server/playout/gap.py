"""When the client is out of reach: how long, what becomes of the bot's voice, when it is over."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Absence"]

_log = logging.getLogger("voxwire.session")

_CUT_MS: Final = 1000


class Absence:
    """The time in which a session has no listener.

    The bot's voice waits for ``voice_gap_ms``; a listener who is back by then hears it go on from
    the last position that was reported. After that it is cut there: nothing is spoken late. For a
    listener who says that it cannot play it waits for ``suspended_ms``. A session whose control
    channel stays away for ``grace_ms`` ends.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._since_ms: float | None = None
        self._suspended_since_ms: float | None = None
        self._grace: asyncio.TimerHandle | None = None

    def begin(self, since_ms: float) -> None:
        """The listener is out of reach since ``since_ms``; the first call of a gap counts."""
        if self._since_ms is None:
            self._since_ms = since_ms

    @property
    def active(self) -> bool:
        """True in a gap."""
        return self._since_ms is not None or self.suspended

    @property
    def suspended(self) -> bool:
        """True while the listener is there and cannot play."""
        return self._suspended_since_ms is not None

    def suspend(self, *, suspended: bool) -> None:
        """The listener says whether it cannot play; the first time of a gap counts."""
        if not suspended:
            self._suspended_since_ms = None
        elif self._suspended_since_ms is None:
            self._suspended_since_ms = self._session.now_ms()

    @property
    def too_long(self) -> bool:
        """True when what waits would be spoken late; an answer of just now would not."""
        settings = self._session.settings
        return self._waited(self._since_ms, settings.voice_gap_ms) or self._waited(
            self._suspended_since_ms, settings.suspended_ms
        )

    def _waited(self, since_ms: float | None, limit_ms: int) -> bool:
        if since_ms is None:
            return False
        session = self._session
        return session.now_ms() - max(since_ms, session.playout.waiting_since_ms) > limit_ms

    @property
    def waits(self) -> bool:
        """True in a gap from which the voice may still go on: the listener may come back."""
        may_come = self.suspended or self._session.resumable
        return self.active and not self.too_long and may_come

    def tick(self) -> None:
        """Look after a gap that lasts; called with every heartbeat."""
        session = self._session
        if self.too_long and session.playout.backlog_ms(session.now_ms()) > 0:
            session.spawn(self.cut())

    async def cut(self) -> None:
        """Cut the voice where it was heard last, as an interruption; waits until that is done."""
        session = self._session
        port = session.port
        if port is None or not session.pipeline_ready.is_set():
            return
        session.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_GAP
        await port.interrupt()
        deadline = session.now_ms() + _CUT_MS
        while session.playout.backlog_ms(session.now_ms()) > 0 and session.now_ms() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        """A path is about to carry audio again."""
        session = self._session
        if self.too_long and session.playout.backlog_ms(session.now_ms()) > 0:
            await self.cut()
        self._since_ms = self._suspended_since_ms = None

    def over(self) -> None:
        """The listener was there all the time, or is back on the same wire."""
        self._since_ms = None

    def start_grace(self) -> None:
        """The control channel is lost: the session ends unless somebody comes back in time."""
        session = self._session
        self.stop_grace()
        delay = session.settings.grace_ms / 1000
        self._grace = asyncio.get_running_loop().call_later(delay, session.guarded(self._expire))
        _log.info("control channel lost", extra={"session": session.id})

    def stop_grace(self) -> None:
        """Somebody came back, or the session ended otherwise."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _expire(self) -> None:
        self._grace = None
        self._session.end(wire.EndReason.END_REASON_EXPIRED)
