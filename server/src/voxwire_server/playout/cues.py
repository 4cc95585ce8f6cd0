"""Calls that are due when the listener has heard so far, by the server's estimate."""

import heapq
import math
from collections.abc import Callable
from typing import Final

from voxwire_protocol.clocks import Timer
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import SessionPort

__all__ = ["Cues"]

_MIN_WAIT_MS: Final = 1.0


class Cues:
    """Fires a callback for each position that is heard; what is cut before it is never called.

    For a peer whose program does not fire words itself (no ``FEATURE_WORDS``, or no
    ``FEATURE_PLAYOUT_REPORTS``): a channel that speaks another protocol hears of a word with its
    onset, asks ``voice.when_heard(onset_ms, lambda: tell(word))``, and tells it when the ear does.
    A word counts as heard when its onset lies before the stop (protocol/spec/words.md), so what is
    due before a flush's position is called with the flush.

    Args:
        port: The session.
        playout: What was placed, and how much of it was heard.
    """

    def __init__(self, port: SessionPort, playout: Playout) -> None:
        self._port = port
        self._playout = playout
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._due)

    def when_heard(self, media_ms: float, call: Callable[[], object]) -> None:
        """Have ``call`` called when the listener has heard ``media_ms`` of the media clock."""
        self._number += 1
        heapq.heappush(self._due, (media_ms, self._number, call))
        self.moved()

    def moved(self) -> None:
        """The listener's position may have moved: call what is due, look again in time."""
        clock = self._port.clock
        self._call_until(self._playout.heard_ms(clock.now_ms()))
        self._disarm()  # here: what was called may have asked for more
        if not self._due:
            return
        wait_ms = self._playout.heard.eta_ms(self._due[0][0], clock.now_ms())
        if not math.isinf(wait_ms):
            self._timer = clock.call_later(max(_MIN_WAIT_MS, wait_ms), self.moved)

    def cut(self, heard_ms: float) -> None:
        """What was placed is void from ``heard_ms`` on."""
        self._disarm()
        self._call_until(math.nextafter(heard_ms, -math.inf))
        self._due.clear()

    def close(self) -> None:
        """The session is over: nothing is called any more."""
        self._disarm()
        self._due.clear()

    def _call_until(self, heard_ms: float) -> None:
        while self._due and self._due[0][0] <= heard_ms:
            heapq.heappop(self._due)[2]()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
