"""What a session needs of a media path."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from voxwire._fallback import Progress
from voxwire.audio import CAPTURE_RATE
from voxwire.playout import MakeUp, Samples
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.errors import ErrorCode, VoxwireError, code_from_wire, make_error

if TYPE_CHECKING:
    from voxwire_protocol.rtc.inbound import InboundStats

__all__ = [
    "BLOCK_MS",
    "NOTHING",
    "PLAYOUT_RATE",
    "Arrived",
    "Capture",
    "MediaPath",
    "Readiness",
    "Resent",
    "Sink",
    "arrived_at",
    "audio_format",
    "capture_format",
]

PLAYOUT_RATE: Final = 24_000
"""Rate that is asked for the bot's audio, Hz."""

BLOCK_MS: Final = 20
"""Length of a block on the wire."""


class Resent(NamedTuple):
    """What a new path brings of the user's audio of before, and what nothing brings, milliseconds.

    Attributes:
        resent_ms: Is sent now.
        lost_ms: Is not kept any more.
    """

    resent_ms: int = 0
    lost_ms: int = 0


class Arrived(NamedTuple):
    """What came over a path since it opened.

    Attributes:
        received: Packets that came in time.
        lost: Packets that did not.
        concealed_ms: Audio made up in their place, milliseconds.
        jitter_ms: How unevenly they came, milliseconds (RFC 3550); None = not known yet.
    """

    received: int
    lost: int
    concealed_ms: int
    jitter_ms: float | None


NOTHING: Final = Arrived(0, 0, 0, None)


class Capture(Protocol):
    """The user's audio, as a path gets it: one that has a clock of its own reads it, one that has
    none is given it, with numbers and what was kept of before.
    """

    def read(self, num_samples: int) -> bytes | None:
        """Reads that many samples, int16 little-endian; None = the user is not heard."""
        ...

    def pulled(self) -> AbstractContextManager[None]:
        """As long as this is entered, `read` is called in real time."""
        ...

    def take_kept(self) -> list[Piece]:
        """Takes what was kept of before, in pieces of at most 200 ms; `read` goes on behind it."""
        ...

    def carried(self, send: Callable[[Piece], bool]) -> AbstractContextManager[None]:
        """As long as this is entered, `send` gets the audio; False = the path takes none now."""
        ...


class Sink(Protocol):
    """Where a path puts the bot's audio; positions are sample indexes at the playout rate."""

    def push(self, sample_index: int, samples: Samples) -> None:
        """Takes audio at its position on the media clock."""
        ...

    def rewind(self, sample_index: int, *, misplaced: int) -> None:
        """What was pushed at `misplaced` and behind it begins at `sample_index` in truth."""
        ...


class Readiness:
    """Set once, or failed once; the first of both counts."""

    def __init__(self) -> None:
        """Creates it neither set nor failed."""
        self._set = asyncio.Event()
        self._error: VoxwireError | None = None

    def set(self) -> None:
        """Lets those who wait go on."""
        self._set.set()

    def refuse(self, message: wire.PathClose) -> None:
        """Fails with what the server said when it gave the path up."""
        code = code_from_wire(message.code) if message.code else ErrorCode.UNSUPPORTED
        self.fail(make_error(code, message.reason or "the server gave the media path up"))

    def fail(self, error: VoxwireError) -> None:
        """Fails those who wait, unless it is set."""
        if not self._set.is_set():
            self._error = error
            self._set.set()

    async def wait(self) -> None:
        """Waits until it is set. Cancel-safe.

        Raises:
            VoxwireError: It failed.
        """
        await self._set.wait()
        if self._error is not None:
            raise self._error


class MediaPath(Protocol):
    """One way for audio. Opened, run and closed by one session."""

    @property
    def carrier(self) -> wire.Carrier.ValueType:
        """What carries it."""
        ...

    @property
    def progress(self) -> Progress:
        """How far it has come while it is not ready."""
        ...

    @property
    def codec(self) -> str:
        """What its audio is encoded as: ``opus`` or ``pcm``."""
        ...

    @property
    def codec_reason(self) -> str:
        """Why: half a sentence."""
        ...

    @property
    def make_up(self) -> MakeUp | None:
        """Makes sound up from the bot's newest audio when more of it is late; None = it cannot."""
        ...

    @property
    def trouble(self) -> VoxwireError | None:
        """What is known to be wrong with a path that is not ready; None = nothing."""
        ...

    async def offer(self) -> wire.PathOpen:
        """Returns the message that asks for this path."""
        ...

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes what the server says about this path: answer, ready, close, anchors, audio."""
        ...

    def arrived(self) -> Arrived | None:
        """What came of the bot's audio; None = what carries it loses nothing, and does not tell."""
        ...

    async def run(self, sink: Sink) -> None:
        """Carries audio both ways until cancelled; audio that came before goes to `sink` first."""
        ...

    async def wait_ready(self) -> int:
        """Waits until audio can flow both ways; returns the playout rate, Hz. Cancel-safe.

        Raises:
            VoxwireError: The path cannot be had.
        """
        ...

    def doubt(self) -> None:
        """The control channel was lost: what brings nothing now is likely to be lost, too."""
        ...

    def drop(self) -> None:
        """Carries nothing any more and tells nobody, as a broken network would."""
        ...

    async def close(self) -> None:
        """Gives the path up; bounded, may be called again."""
        ...


def arrived_at(inbound: "InboundStats | None") -> Arrived:
    """What a peer connection counts, as a path tells it."""
    if inbound is None:
        return NOTHING
    jitter = inbound.jitter
    in_time = max(0, jitter.received - jitter.late - jitter.duplicates)
    return Arrived(in_time, jitter.lost, jitter.concealed_ms, inbound.arrival_jitter_ms)


def audio_format(codec: wire.Codec.ValueType, sample_rate: int) -> wire.AudioFormat:
    """A mono format in 20 ms blocks."""
    return wire.AudioFormat(codec=codec, sample_rate=sample_rate, num_channels=1, block_ms=BLOCK_MS)


def capture_format(codec: wire.Codec.ValueType) -> wire.AudioFormat:
    """The format of the user's audio."""
    return audio_format(codec, CAPTURE_RATE)
