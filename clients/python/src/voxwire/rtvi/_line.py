"""A line: one connection to a stock bot, which carries its messages and both voices."""

from typing import Protocol

from voxwire._path import Arrived, Capture
from voxwire.rtvi._frames import Interruption
from voxwire_protocol import wire
from voxwire_protocol.errors import VoxwireError
from voxwire_protocol.rtvi import RtviMessage

__all__ = ["Line", "LineLost"]


class LineLost(Exception):
    """A line is gone.

    Attributes:
        error: Why.
        ended: True when the bot hung up, in order.
    """

    def __init__(self, error: VoxwireError, *, ended: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.ended = ended


class Line(Protocol):
    """An open line. Whoever opened it closes it."""

    @property
    def carrier(self) -> wire.Carrier.ValueType:
        """What carries it."""
        ...

    @property
    def name(self) -> str:
        """What the bot's side calls the session; empty = nothing."""
        ...

    @property
    def is_lost(self) -> bool:
        """True once it is gone, whoever has noticed."""
        ...

    @property
    def bad_messages(self) -> int:
        """How much came that nobody understands; it is passed over."""
        ...

    async def send(self, text: str) -> None:
        """Writes a message. A cancelled write may have happened.

        Raises:
            LineLost: The line is gone, or the bot does not read.
        """
        ...

    async def receive(self) -> RtviMessage | Interruption:
        """Reads what the bot says next. Cancel-safe.

        Raises:
            LineLost: The line is gone, and everything was read.
        """
        ...

    async def carry(self, capture: Capture) -> None:
        """Sends the user's voice until cancelled.

        Raises:
            LineLost: The line is gone.
        """
        ...

    def arrived(self) -> Arrived | None:
        """What came of the bot's voice; None = what carries it loses nothing."""
        ...

    @property
    def trusted_s(self) -> float:
        """For how long the bot may still take this line for good if nothing is said on it."""
        ...

    def mute(self, muted: bool) -> None:
        """The user is heard no more, or again."""
        ...

    def drop(self) -> None:
        """Breaks the line; the bot is not told."""
        ...

    async def close(self) -> None:
        """Hangs up; bounded, may be called again."""
        ...
