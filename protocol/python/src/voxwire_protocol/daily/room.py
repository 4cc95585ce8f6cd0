"""A room of Daily's with one bot and one other in it, as a media path sees it.

Behind it is Daily's SDK (:class:`~voxwire_protocol.daily.call.DailyCall`), or a room in memory.
What nobody here promises is a position: the SDK gives neither RTP timestamps nor a way to take
audio back that was written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

__all__ = ["BLOCK_MS", "MOST_BLOCKS", "OTHER_LEFT", "MakeRoom", "Room", "RoomStats"]

BLOCK_MS: Final = 20
"""What is written at once, and what comes at once, milliseconds."""

MOST_BLOCKS: Final = 2
"""What may be inside the SDK: nothing of that can be taken back."""

OTHER_LEFT: Final = "the other has left the Daily room"
"""Why nothing comes any more, where it is not this side's network."""


@dataclass(frozen=True, slots=True)
class RoomStats:
    """What the SDK knows of the way.

    Attributes:
        rtt_ms: To Daily and back, milliseconds; None = not known yet.
    """

    rtt_ms: float | None = None


class Room(Protocol):
    """One side of a room. Its callbacks come in the event loop that it was made in.

    Audio is int16 little-endian mono PCM at the rates that it was made with.
    """

    def on_audio(self, hear: Callable[[bytes], object]) -> None:
        """Have the other's voice handed over: 20 ms a call, silence too, from when he is there."""
        ...

    def on_joined(self, call: Callable[[], object]) -> None:
        """Have it called, once, when the other is there."""
        ...

    def on_left(self, call: Callable[[str], object]) -> None:
        """Have it called, once, when the other has left, or this side was put out; with why."""
        ...

    def on_message(self, take: Callable[[Any], object]) -> None:
        """Have app-messages of the other handed over: what JSON can say."""
        ...

    async def join(self, url: str, token: str) -> None:
        """Enter, within a deadline. Cancel-safe; :meth:`leave` follows in any case.

        Raises:
            VoxwireError: TIMEOUT: nothing came back; UNREACHABLE: it is refused.
        """
        ...

    def write(self, pcm: bytes, left: Callable[[], object]) -> None:
        """Speak. Never blocks.

        Args:
            pcm: 20 ms, or another multiple of 10 ms: the SDK holds back what is more than that.
            left: Called when the last sample has left.
        """
        ...

    def say(self, message: Any) -> None:
        """Send an app-message to the other; nothing where he is not there."""
        ...

    def stats(self) -> RoomStats:
        """What is known of the way."""
        ...

    async def leave(self) -> None:
        """Leave, within a deadline. Idempotent; nothing is called back any more."""
        ...


class MakeRoom(Protocol):
    """Makes this side of a room that is not entered yet."""

    def __call__(self, *, send_rate: int, receive_rate: int, user_name: str) -> Room:
        """Make it.

        Args:
            send_rate: Of what is written, Hz.
            receive_rate: Of what comes, Hz.
            user_name: How it is called in the room.

        Raises:
            ImportError: Daily's SDK is not installed.
        """
        ...
