"""Silencing the bot, and learning what was heard of it."""

import asyncio
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, MediaPath, SessionPort

__all__ = ["Flushes"]

_REPORT_MS: Final = 150
_FADE_MS: Final = 20.0
"""What a listener plays on to fall silent (protocol/spec/media-clock.md, "Flushing")."""
_SERVER_CLOCK: Final = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK


class Flushes:
    """The flushes of one session: said at once, answered by the listener's report.

    Args:
        port: The session.
        playout: What was placed.
        path: The path in use, asked at each flush.
        in_gap: Whether nobody is there to hear more, or to answer.
        answers: Whether the listener of the path in use answers a flush with a report.
        way_ms: How long a message takes to him, about.
    """

    def __init__(
        self,
        port: SessionPort,
        playout: Playout,
        *,
        path: Callable[[], MediaPath | None],
        in_gap: Callable[[], bool],
        answers: Callable[[], bool],
        way_ms: Callable[[], float] = float,
    ) -> None:
        self._port = port
        self._playout = playout
        self._path = path
        self._in_gap = in_gap
        self._answers = answers
        self._way_ms = way_ms
        self._waiting: dict[int, asyncio.Future[float]] = {}
        self._unsaid: tuple[Cut, str] | None = None

    async def flush(self, utterance_id: str) -> tuple[float, wire.HeardSource] | None:
        """Silence the bot now and learn what was heard.

        Waits at most 150 ms for the listener's final report, then believes the estimate. One who
        reports nothing drops nothing, either: he hears all that left for him, which may be more
        than his time says, as a track catches up after a stall, or less, where a socket is slow.

        Returns:
            The heard position in milliseconds of the media clock and its source, or None when
            nothing placed was unheard.
        """
        playout, clock = self._playout, self._port.clock
        before = playout.heard.at(clock.now_ms())
        cut = playout.flush(clock.now_ms())
        if cut is None:
            return None
        path, result = self._path(), before
        if path is None:
            self._unsaid = cut, utterance_id  # said on the next path, before any audio
        else:
            gap = self._in_gap()
            answer = self._expect(cut)
            from_ms = path.void(cut)  # which may answer at once
            self._say(cut, path.path_id, utterance_id)
            if not gap and (answer.done() or self._answers()):
                result = await self._report(cut, answer)
            elif gap:
                result = playout.heard.certain_ms(clock.now_ms()), before[1]
            elif not playout.heard.reports:
                sent_ms = playout.heard.sent_ms
                result = sent_ms if from_ms is None else min(from_ms, sent_ms), before[1]
            self._waiting.pop(cut.flush_id, None)
        playout.finish_flush(cut, clock.now_ms())
        return result

    def answered(self, flush_id: int, heard_ms: float) -> None:
        """The listener's report named a flush; ``heard_ms`` is what is believed of it."""
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
        self._port.emit(
            flush=wire.Flush(
                path_id=path_id,
                flush_id=cut.flush_id,
                until_media_ms=cut.until_ms,
                utterance_id=utterance_id,
            )
        )

    def _expect(self, cut: Cut) -> "asyncio.Future[float]":
        """A path may answer while it is told."""
        self._waiting[cut.flush_id] = asyncio.get_running_loop().create_future()
        return self._waiting[cut.flush_id]

    async def _report(
        self, cut: Cut, answer: "asyncio.Future[float]"
    ) -> tuple[float, wire.HeardSource]:
        try:
            heard = await asyncio.wait_for(answer, _REPORT_MS / 1000)
        except TimeoutError:
            return self._believed(), _SERVER_CLOCK
        finally:
            self._waiting.pop(cut.flush_id, None)
        return heard, self._playout.heard.reported

    def _believed(self) -> float:
        """Where the listener falls silent whose answer is not there.

        What he reported is one way old, he plays on until he is told, and fades. That is reckoned
        with where positions are estimates anyway.
        """
        heard = self._playout.heard
        position = self._playout.heard_ms(self._port.clock.now_ms())
        if heard.way_ms is None:
            return position
        late_ms = max(0.0, 2 * self._way_ms() - _REPORT_MS)
        return min(position + late_ms + _FADE_MS, heard.sent_ms)
