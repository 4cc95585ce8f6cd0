"""What a media path is to a session: a pump that moves PCM with media positions."""

from abc import ABC, abstractmethod

from voxwire_protocol import wire

__all__ = ["MediaPath"]


class MediaPath(ABC):
    """One way for audio to travel. It never shows what carries it.

    Five members: ``path_id``, ``carrier``, ``wake`` (audio was placed or flushed), ``report``
    (the client reported) and ``close``.
    """

    path_id: int
    carrier: "wire.Carrier"

    @abstractmethod
    def wake(self) -> None:
        """Audio was placed or voided; send what is due. Never blocks."""

    @abstractmethod
    def report(self, report: wire.PlayoutReport) -> None:
        """The client reported its playout; more may be due."""

    @abstractmethod
    async def close(self) -> None:
        """Give the path up. Idempotent; afterwards no task, socket or thread of it remains."""
