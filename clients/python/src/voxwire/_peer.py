"""Who is at the other end: what a session needs of it, whoever it is."""

from typing import Protocol

from voxwire._deadline import Deadline
from voxwire._environment import Environment
from voxwire._fallback import Fallback
from voxwire._features import Feature
from voxwire._ice import IceChoice
from voxwire._options import Options
from voxwire._path import Capture, MediaPath
from voxwire._simulate import Gate
from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import VoxwireError

__all__ = ["ControlChannel", "Handler", "Link", "Peer"]


class Handler(Protocol):
    """What the control channel tells its session; nothing of it may block."""

    @property
    def position_ms(self) -> int:
        """Where playout is on the media clock, milliseconds."""
        ...

    @property
    def quiet(self) -> bool:
        """True when nobody speaks, nothing is owed, and nothing of the bot's is to be played."""
        ...

    def handle(self, envelope: wire.Envelope) -> None:
        """Takes one message of the other end, in order, once."""
        ...

    def acknowledged(self, number: int) -> None:
        """The other end has every message up to that number (`ControlChannel.sent`)."""
        ...

    def lost(self, attempt: int) -> None:
        """The connection is gone (``attempt`` 1), or was not to be had back and is tried again."""
        ...

    def attached(self, welcome: wire.Welcome, *, attempt: int, after_ms: int, unsent: int) -> None:
        """The channel is there: for the first time, or again."""
        ...

    def skipped(self) -> None:
        """What was said while the channel was away is lost, and nobody says what it was."""
        ...


class ControlChannel(Protocol):
    """Messages of one session, for its whole life: `dial` first, then `run`, then `close`."""

    @property
    def clock(self) -> ClockSync:
        """The other end's clock, as far as it tells it."""
        ...

    @property
    def deadline(self) -> Deadline:
        """How long the session may take until it is up."""
        ...

    @property
    def failure(self) -> VoxwireError | None:
        """Why there is no connection now; None while there is one."""
        ...

    @property
    def resumable(self) -> bool:
        """True once it is known that the session outlives its connection."""
        ...

    @property
    def features(self) -> frozenset[Feature]:
        """What the other end does in this session; empty until it has answered."""
        ...

    @property
    def sent(self) -> int | None:
        """Number of the last message that was sent, or waits to be; None = there are no numbers."""
        ...

    async def dial(self, timeout_ms: int) -> None:
        """Opens the first connection. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        ...

    async def run(self, handler: Handler) -> None:
        """Attaches, and attaches again whenever the connection is lost, until that is the end.

        Raises:
            VoxwireError: Why it is over. Never returns.
        """
        ...

    def send(self, envelope: wire.Envelope) -> bool:
        """Sends a message, or keeps it until the channel is back.

        Returns:
            False when it was not taken.

        Raises:
            VoxwireError: It cannot be sent; UNSUPPORTED when the other end has nothing like it.
        """
        ...

    def go_away(self, notice: wire.GoAway) -> None:
        """The other end will close this connection, and says where the session goes on."""
        ...

    def expect_loss(self) -> None:
        """The other end will close this connection, and the session goes on."""
        ...

    def condemn(self, error: VoxwireError) -> None:
        """The other end says why it will close this connection; that counts."""
        ...

    def finish(self) -> None:
        """From here on a lost connection is the end."""
        ...

    def drop(self) -> None:
        """Breaks the connection, as a broken network would."""
        ...

    async def flush(self, timeout_ms: int) -> None:
        """Waits until everything queued is written, at most `timeout_ms`. Cancel-safe."""
        ...

    async def close(self) -> None:
        """Closes the connection; bounded."""
        ...


class Link(Protocol):
    """One session's way to the other end. Made and used by one runtime."""

    @property
    def control(self) -> ControlChannel:
        """Carries the messages."""
        ...

    @property
    def carriers(self) -> tuple[wire.Carrier.ValueType, ...]:
        """What may carry the audio, best first."""
        ...

    @property
    def fallback(self) -> Fallback | None:
        """Why WebRTC is not among them, where it was to be tried."""
        ...

    @property
    def awaited(self) -> str:
        """What did not happen, when the session is not welcomed in time: half a sentence."""
        ...

    def path(
        self, carrier: wire.Carrier.ValueType, path_id: int, *, capture: Capture, ice: IceChoice
    ) -> MediaPath:
        """Makes a media path that is not asked for yet."""
        ...


class Peer(Protocol):
    """Who is at the other end of every session that it is given to."""

    def check(self, url: str, options: Options, environment: Environment) -> str:
        """Checks what the caller wants of it; the URL as it is dialled.

        Raises:
            UsageError: It cannot be had.
        """
        ...

    def link(self, url: str, options: Options, *, gate: Gate, environment: Environment) -> Link:
        """Makes the way to it for one session; nothing is dialled yet."""
        ...
