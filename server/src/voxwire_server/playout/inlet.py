"""The way in of one media path: the user's voice, reports, keys, and the path's end."""

from collections.abc import Callable
from typing import Protocol

from voxwire_server.ports import PathError, Report

__all__ = ["Inlet", "InletEnds"]


class InletEnds(Protocol):
    """Where goes what comes by a path, with the path's number."""

    def audio(self, path_id: int, pcm: bytes, timestamp: int | None) -> None:
        """The user's voice: int16 little-endian mono PCM at the rate of the path's format.

        Args:
            path_id: The path.
            pcm: The samples.
            timestamp: RTP timestamp of the first, 48 kHz; None where there is none.
        """
        ...

    def path_report(self, path_id: int, report: Report) -> None:
        """What the listener says of its playout."""
        ...

    def keys(self, path_id: int, digits: str) -> None:
        """The user pressed keys."""
        ...


class Inlet:
    """The :class:`ports.PathSink` of one path.

    Args:
        path_id: The path's number.
        ends: Where goes what comes by it.
        gone: Told, once, that it is gone.
    """

    def __init__(
        self,
        path_id: int,
        ends: InletEnds,
        *,
        gone: Callable[[PathError], None],
    ) -> None:
        self.path_id = path_id
        self._ends = ends
        self._tell_gone = gone
        self._gone = False

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        """The user's voice, at the rate of the path's capture format."""
        if not self._gone:
            self._ends.audio(self.path_id, pcm, timestamp)

    def report(self, report: Report) -> None:
        """What the listener says of its playout."""
        if not self._gone:
            self._ends.path_report(self.path_id, report)

    def keys(self, digits: str) -> None:
        """The user pressed keys."""
        if not self._gone:
            self._ends.keys(self.path_id, digits)

    def gone(self, error: PathError) -> None:
        """The path is gone; nothing comes behind it."""
        if not self._gone:
            self._gone = True
            self._tell_gone(error)
