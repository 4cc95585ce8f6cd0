"""How far the listener has heard: the client's reports, and what to believe without them.

Pure: no clock reads, no I/O; ``now_ms`` is monotonic milliseconds. Rules from
``protocol/spec/media-clock.md``: a report never takes the position back and never beyond what was
sent; between reports the position runs on for at most 300 ms; without a report for a second the
server's own clock counts, so nothing is ever held for ever. It counts only while the peer is within
reach: of what is sent to somebody who is gone nothing is heard.
"""

from typing import Final

from voxwire_protocol import wire

__all__ = ["EXTRAPOLATE_MS", "OUT_OF_REACH_MS", "STALE_MS", "STOOD_STILL_MS", "HeardPosition"]

_REPORTED: Final = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
_SERVER: Final = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK

EXTRAPOLATE_MS: Final = 300
"""Longest time that a position runs on after the last report."""

STALE_MS: Final = 1000
"""Age of the last report from which the server's clock counts."""

SILENT_MS: Final = 150
"""Longest time that it runs on without any sign of the peer: reports come every 100 ms."""

OUT_OF_REACH_MS: Final = 1500
"""A peer from which nothing at all came for so long may be gone: the position stands still."""

STOOD_STILL_MS: Final = 200
"""From so late a look on the process itself stood still meanwhile."""

_LOOK_AGAIN_MS: Final = 100.0

_ROUNDING_MS: Final = 1.0
"""What of the end a path may leave out that counts in samples of its own."""


class HeardPosition:
    """The listener's position on the media clock, as well as it is known.

    Args:
        reports: Whether the peer reports its playout (``FEATURE_PLAYOUT_REPORTS``); a peer that
            does not is followed by the server's clock alone.

    Attributes:
        way_ms: How long sound takes to the listener, by estimate, over a carrier that gives no
            positions: reports are estimates, too, there. None = positions are known.
    """

    def __init__(self, *, reports: bool = True) -> None:
        self.reports = reports
        self.way_ms: float | None = None
        self.clamped = 0
        """Reports that went back or ran ahead."""
        self._sent_ms = 0.0
        self._base_ms = 0.0
        self._base_at_ms = 0.0
        self._before_ms = 0.0  # where it stands while the first of a stretch is on its way
        self._alive_at_ms = 0.0
        self._running = False
        self._attached = False
        self._stale = False
        self._suspended = False
        self._peer_at_ms: float | None = None
        self._moved_at_ms = 0.0

    @property
    def sent_ms(self) -> float:
        """End of the audio that was handed to the path, media clock."""
        return self._sent_ms

    @property
    def suspended(self) -> bool:
        """True while the listener has said that it cannot play: the position stands."""
        return self._suspended

    def attach(self, now_ms: float) -> None:
        """A path begins to carry audio: the position runs again from where it was.

        What was sent and not reported may never have come, so it counts as not sent.
        """
        self._attached = True
        self._base_at_ms = self._alive_at_ms = now_ms
        self._sent_ms = self._base_ms
        self._running = self._suspended = False

    def detach(self, now_ms: float) -> None:
        """No path carries audio: the position goes back to what is certain and stands still."""
        self._base_ms = self.certain_ms(now_ms)
        self._attached = False
        self._running = self._suspended = False

    def peer_alive(self, now_ms: float) -> None:
        """Something came from the peer, by whatever way."""
        before, self._peer_at_ms = self._peer_at_ms, now_ms
        if before is not None and now_ms - before > OUT_OF_REACH_MS:
            # it was out of reach: its time did not count, and its reports are given a moment
            self._peer_at_ms = before
            self._base_ms = self._at(now_ms, SILENT_MS)[0]
            self._peer_at_ms = now_ms
            self._base_at_ms = self._alive_at_ms = now_ms
            self._running = False
            self._stale = False

    def stood_still(self, since_ms: float, now_ms: float) -> None:
        """This process did nothing between these times: what the peer has sent waits unread.

        That time is none of its silence; a report, or a sign of it, may be there in a moment.
        """

        def later(mark_ms: float) -> float:
            return now_ms - max(0.0, since_ms - mark_ms)

        self._alive_at_ms = later(self._alive_at_ms)
        self._moved_at_ms = later(self._moved_at_ms)
        if self._peer_at_ms is not None:
            self._peer_at_ms = later(self._peer_at_ms)

    def out_of_reach(self, now_ms: float) -> bool:
        """True when nothing has come from the peer for 1.5 s."""
        return self._peer_at_ms is not None and now_ms - self._peer_at_ms > OUT_OF_REACH_MS

    def _peer_stayed(self) -> bool:
        """True when the peer was there all the time in which no report came, and heard what came.

        Of one that is gone as well only what it reported is certain.
        """
        return self._peer_at_ms is None or self._peer_at_ms - self._alive_at_ms > STALE_MS

    @property
    def peer_at_ms(self) -> float:
        """When something came from the peer last, monotonic milliseconds; 0 = never."""
        return self._peer_at_ms or 0.0

    def stalled_ms(self, now_ms: float) -> float:
        """For how long the listener who reports has been standing still before what was sent."""
        if not self.reports or self._suspended or self._base_ms >= self._sent_ms:
            return 0.0
        return max(0.0, now_ms - self._moved_at_ms)

    def certain_ms(self, now_ms: float) -> float:
        """The last position that was reported; for a peer that does not report, the estimate."""
        if self.reports and not self._stale:
            return self._base_ms
        return self._at(now_ms, SILENT_MS)[0]

    def sent(self, start_ms: float, end_ms: float, now_ms: float) -> None:
        """Audio of ``[start_ms, end_ms)`` was handed to the path."""
        position, _ = self.at(now_ms)
        late = self._base_ms < self._sent_ms and now_ms - self._alive_at_ms > STALE_MS
        if late and self._peer_stayed() and not self._suspended:
            self._stale = True  # until a report comes, the server's clock goes on counting
        if position >= self._sent_ms:  # everything before was heard: a new stretch begins
            self._moved_at_ms = now_ms
            self._base_ms, self._before_ms = max(position, start_ms), position
            self._base_at_ms = now_ms + (self.way_ms or 0.0)
            self._running = self._stale or not self.reports
            if not self._stale:
                self._alive_at_ms = now_ms
        self._sent_ms = max(self._sent_ms, end_ms)

    def report(
        self, media_ms: float, now_ms: float, *, playing: bool, suspended: bool = False
    ) -> None:
        """The client reports its position; what cannot be true is clamped and counted.

        One that is ``suspended`` is believed to stand there until it reports otherwise. One that
        has played all has heard all, though a path at another sample rate ends a little earlier.
        """
        if not playing and not suspended and 0 < self._sent_ms - media_ms < _ROUNDING_MS:
            media_ms = self._sent_ms
        position = min(max(media_ms, self._base_ms), self._sent_ms)
        if position != media_ms:
            self.clamped += 1
        if position > self._base_ms:
            self._moved_at_ms = now_ms
        self._base_ms = position
        self._base_at_ms = self._alive_at_ms = now_ms
        self._running = playing and not suspended
        self._stale = False
        self._suspended = suspended
        self.reports = True

    def overtake(self, media_ms: float, now_ms: float) -> None:
        """The listener is not further back than ``media_ms``; one that reports knows better."""
        position, source = self.at(now_ms)
        if source == wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK and media_ms > position:
            self._base_ms, self._base_at_ms = media_ms, now_ms

    def skip_to(self, media_ms: float, now_ms: float) -> None:
        """Everything up to ``media_ms`` is over (a flush): the position stands there."""
        self._sent_ms = max(self._sent_ms, media_ms)
        self._base_ms = max(self._base_ms, media_ms)
        self._base_at_ms = self._alive_at_ms = now_ms
        self._running = False

    def at(self, now_ms: float) -> tuple[float, wire.HeardSource]:
        """Position at ``now_ms`` and how it is known.

        Returns:
            Media clock in milliseconds, never above what was sent, and the source.
        """
        return self._at(now_ms, self._alone_ms)

    @property
    def reported(self) -> wire.HeardSource:
        """How a reported position is known: a client that counts by an estimate reports one."""
        return _REPORTED if self.way_ms is None else _SERVER

    @property
    def _alone_ms(self) -> int:
        """How long a silent peer is believed to listen: one without reports sends pongs alone."""
        return SILENT_MS if self.reports else OUT_OF_REACH_MS

    def _at(self, now_ms: float, alone_ms: int) -> tuple[float, wire.HeardSource]:
        reported, server = self.reported, _SERVER
        if not self._attached or self._suspended:
            return self._base_ms, reported if self.reports else server
        elapsed = max(0.0, now_ms - self._base_at_ms)
        if self._peer_at_ms is not None:  # somebody who is gone hears no more
            elapsed = min(elapsed, max(0.0, self._peer_at_ms + alone_ms - self._base_at_ms))
        if self.reports and not self._stale and now_ms - self._alive_at_ms <= STALE_MS:
            run = min(elapsed, EXTRAPOLATE_MS) if self._running else 0.0
            return min(self._base_ms + run, self._sent_ms), reported
        if self._base_ms >= self._sent_ms:
            return self._base_ms, reported if self.reports else server
        if self.way_ms is not None and now_ms < self._base_at_ms:
            return min(self._before_ms, self._base_ms), server
        return min(self._base_ms + elapsed, self._sent_ms), server

    def eta_ms(self, media_ms: float, now_ms: float) -> float:
        """Time until ``media_ms`` may be heard, as far as it can be foreseen.

        Returns:
            Milliseconds from ``now_ms``; 0 when it is heard already; infinite while nothing moves.
        """
        position, _ = self.at(now_ms)
        if position >= media_ms:
            return 0.0
        if not self._attached or self._suspended:
            return float("inf")
        on_its_way_ms = max(0.0, self._base_at_ms - now_ms)
        runs_from_ms = self._base_ms if on_its_way_ms else position
        wait = min(max(0.0, media_ms - runs_from_ms) + on_its_way_ms, STALE_MS)
        if self._peer_at_ms is not None and now_ms > self._peer_at_ms + self._alone_ms:
            wait = max(wait, _LOOK_AGAIN_MS)
        if media_ms > self._sent_ms:
            return wait
        if self._running:
            limit = self._base_at_ms + EXTRAPOLATE_MS - now_ms
            if not self.reports or self._stale or wait <= limit:
                return wait
        until_stale = self._alive_at_ms + STALE_MS - now_ms
        return max(1.0, until_stale + 1.0) if until_stale > 0 else max(1.0, wait)
