"""Silencing the bot, and learning what was heard of it."""

import asyncio
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire
from voxwire_server.playout.placed import Cut

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Flushes"]

_REPORT_MS: Final = 150
_CLIENT_REPORT: Final = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
_SERVER_CLOCK: Final = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK


class Flushes:
    """The flushes of one session: said at once, answered by the client's report.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._waiting: dict[int, asyncio.Future[float]] = {}
        self._unsaid: tuple[Cut, str] | None = None

    async def flush(self, utterance_id: str) -> tuple[float, wire.HeardSource] | None:
        """Silence the bot now and learn what was heard.

        Waits at most 150 ms for the client's final report, then believes the estimate.

        Returns:
            The heard position in milliseconds of the media clock and its source, or None when
            nothing placed was unheard.
        """
        session = self._session
        before = session.playout.heard.at(session.now_ms())
        cut = session.playout.flush(session.now_ms())
        if cut is None:
            return None
        if session.link is not None:
            session.link.drop_audio()
        path = session.path
        result = before
        if path is None:
            self._unsaid = cut, utterance_id  # said on the next path, before any audio
        else:
            path.wake()
            self._say(cut, path.path_id, utterance_id)
            if session.absence.active:  # nobody is there to hear more, or to answer
                result = session.playout.heard.certain_ms(session.now_ms()), before[1]
            elif wire.Feature.FEATURE_FLUSH in session.features and session.link is not None:
                result = await self._report(cut)
        session.playout.finish_flush(cut, session.now_ms())
        return result

    def answered(self, flush_id: int, heard_ms: float) -> None:
        """The client's report named a flush; ``heard_ms`` is what is believed of it."""
        waiting = self._waiting.pop(flush_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(heard_ms)

    def say_unsaid(self, path_id: int) -> None:
        """Tell a client that is back what was cut while it was away."""
        if self._unsaid is not None:
            (cut, utterance_id), self._unsaid = self._unsaid, None
            self._say(cut, path_id, utterance_id)

    def cancel(self) -> None:
        """The session is over: nobody waits any more."""
        for future in self._waiting.values():
            future.cancel()

    def _say(self, cut: Cut, path_id: int, utterance_id: str) -> None:
        self._session.emit(
            flush=wire.Flush(
                path_id=path_id,
                flush_id=cut.flush_id,
                until_media_ms=cut.until_ms,
                utterance_id=utterance_id,
            )
        )

    async def _report(self, cut: Cut) -> tuple[float, wire.HeardSource]:
        session = self._session
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[cut.flush_id] = future
        try:
            heard = await asyncio.wait_for(future, _REPORT_MS / 1000)
        except TimeoutError:
            return session.playout.heard_ms(session.now_ms()), _SERVER_CLOCK
        finally:
            self._waiting.pop(cut.flush_id, None)
        return heard, _CLIENT_REPORT
