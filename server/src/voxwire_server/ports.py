"""What one part of the server may ask of another: small protocols and the values they exchange.

Every part of a session gets the ports that it needs in its constructor; ``session.session.Session``
alone knows the parts behind them (design: the kernel). Nothing here imports a part of the server.
All audio is int16 little-endian mono PCM; all times are milliseconds of one monotonic clock;
``media_ms`` are milliseconds of the media clock (protocol/spec/media-clock.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.lifecycle import Life
from voxwire_server.sent_files import NO_FILES, Acceptance, SentFile

__all__ = [
    "Block",
    "ControlChannel",
    "Cut",
    "Format",
    "Formats",
    "IcePort",
    "Inbox",
    "MediaPath",
    "Opened",
    "Opener",
    "PathError",
    "PathSink",
    "PhoneCall",
    "Pipeline",
    "Report",
    "SessionFacts",
    "SessionPort",
    "Sound",
    "VoiceEnd",
    "wire",
]


# values


@dataclass(frozen=True, slots=True)
class Format:
    """How one direction of a media path carries audio.

    Attributes:
        codec: What it is encoded as on the wire; a path hands over and takes PCM.
        sample_rate: Of that PCM, Hz.
        block_ms: Length of a block, milliseconds.
    """

    codec: "wire.Codec"
    sample_rate: int
    block_ms: int


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of a path: what comes from the user, and what goes to the listener."""

    capture: Format
    playout: Format


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of placed audio: PCM from position ``start``, in samples of the media clock."""

    start: int
    pcm: bytes
    live: bool = False

    @property
    def end(self) -> int:
        """Position behind its last sample, samples."""
        return self.start + len(self.pcm) // 2


@dataclass(frozen=True, slots=True)
class Cut:
    """A flush: audio at positions before ``until_ms`` is void."""

    flush_id: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a listener says of its playout, by whatever way (``PlayoutReport``, a telephone's mark).

    Attributes:
        media_ms: Position that it has reached.
        playing: Whether it plays just now.
        flush_id: The flush that it answers; 0 = none.
        suspended: It is there and cannot play.
        concealed_ms: Sound that it had to make up so far.
    """

    media_ms: float
    playing: bool = True
    flush_id: int = 0
    suspended: bool = False
    concealed_ms: int = 0


@dataclass(frozen=True, slots=True)
class VoiceEnd:
    """The end of the user's speech, as found in the audio.

    Attributes:
        at_ms: When it was, on the clock of the arrivals.
        capture_ms: Where it was on the client's count of captured samples, None without one.
    """

    at_ms: float
    capture_ms: float | None


class PathError(Exception):
    """A media path cannot be opened, or is gone.

    Args:
        code: Why; the client is told it in ``PathClose``.
        reason: For people.
    """

    def __init__(self, code: "wire.ErrorCode", reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCall:
    """A telephone call that a session is.

    Attributes:
        vendor: Who brings it: ``twilio``, ...
        call_id: The vendor's name of it.
        caller: Number or address; empty = it was withheld. It is a claim: numbers are forged.
        called: Number or address.
        attestation: ``A``, ``B``, ``C``: what the caller's network says of his number, verified by
            the vendor; None = nothing is known.
        parameters: What was sent along. Not to be trusted: whoever opens the vendor's stream has
            written it.
        outgoing: Whether it began here: who is called is the user.
        transfer: Puts it through to a number; what it raises is a VoxwireError. None = nobody can.
    """

    vendor: str
    call_id: str
    caller: str = ""
    called: str = ""
    attestation: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    outgoing: bool = False
    transfer: Callable[[str], Awaitable[None]] | None = field(
        default=None, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """All that a session is born with; a Hello is one way to come by it.

    Attributes:
        bot: Name of the bot that runs.
        examples: Phrases worth trying with it.
        user: Who the token names; empty where none was needed.
        features: What the client can do; the session uses what both sides name.
        max_duration_s: Longest duration that the token allows; None = no limit of its own.
        token_expires_at_s: End of the token's life, seconds since the epoch; None = no token.
        origin: Origin of the web page that opens it; empty for a program.
        client: The client's program, as it names itself.
        metadata_json: What the client sent along; empty or a JSON object.
        tools: The tools that the client declares.
        speaks: Whether the bot speaks its answers; else they are text, unless the bot insists.
        accepts: What the bot takes of files.
        phone: The telephone call that it is; None = its client is a program.
    """

    bot: str = ""
    examples: tuple[str, ...] = ()
    user: str = ""
    features: frozenset["wire.Feature"] = frozenset()
    max_duration_s: int | None = None
    token_expires_at_s: float | None = None
    origin: bytes = b""
    client: wire.ClientInfo = field(default_factory=wire.ClientInfo)
    metadata_json: str = ""
    tools: tuple[wire.ToolDeclaration, ...] = ()
    speaks: bool = True
    accepts: Acceptance = NO_FILES
    phone: PhoneCall | None = None


class KeptConversation(NamedTuple):
    """What a bot goes on from whose session another process had.

    Attributes:
        messages: The conversation as the model was told of it; None = there was no model yet.
        state: What the bot has kept itself, JSON; empty = nothing.
    """

    messages: list[Any] | None = None
    state: str = ""


# the session, as its parts see it


class SessionPort(Protocol):
    """What a part of a session may ask of the session itself. Settings are values, not asked."""

    @property
    def clock(self) -> Clock:
        """The session's clock. The session ends when a timer's work raises."""
        ...

    def emit(self, **payload: Any) -> None:
        """Send one payload of the envelope to the client: ``emit(flush=Flush())``."""
        ...

    def emit_error(
        self,
        code: "wire.ErrorCode",
        reason: str,
        *,
        subject: str = "",
        fatal: bool = False,
        retryable: bool = False,
        retry_after_ms: int = 0,
    ) -> None:
        """Tell the client what went wrong."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run ``work`` as part of the session; None when it is over: nothing is begun then."""
        ...

    def late(self, late_ms: float) -> None:
        """A block of audio was sent so late; what a timer of :attr:`clock` paces is known."""
        ...

    def end(self, reason: "wire.EndReason", error: wire.Error | None = None) -> None:
        """End the session. The first reason counts."""
        ...


# the four doors


class Inbox(SessionPort, Protocol):
    """What a control channel tells its session, beside what every part may ask of it."""

    @property
    def life(self) -> Life:
        """What the session is; a channel has what happens to it looked up there."""
        ...

    def message(self, message: wire.Envelope) -> None:
        """A message of the client, in order, once. Never raises."""
        ...

    def alive(self) -> None:
        """Something came from the client, whatever it was."""
        ...

    def overrun(self) -> None:
        """The user's audio came too fast; some of it was dropped unread."""
        ...

    def lost(self, since_ms: float, *, silent: bool = False) -> None:
        """Nothing carries the channel any more.

        Args:
            since_ms: When the client was last heard of.
            silent: It was given up because nothing came, or nothing was read, for too long.
        """
        ...

    def back(self, since_ms: float | None) -> None:
        """Something carries the channel again.

        Args:
            since_ms: When the client was last heard of on what carried it until now and is
                superseded; None when the channel was lost before.
        """
        ...

    def snapshot(self, max_bytes: int) -> wire.Snapshot:
        """The state to go on from where messages are lost, in at most so many bytes."""
        ...


class ControlChannel(Protocol):
    """Messages to and from one client, over whatever carries them.

    One with ``FEATURE_SEQUENCE`` has a client behind it that answers pings: it is taken for gone
    when it stays silent. No other one is.
    """

    @property
    def features(self) -> frozenset["wire.Feature"]:
        """What both sides can do."""
        ...

    @property
    def last_sign_ms(self) -> float:
        """When the client was last heard of."""
        ...

    @property
    def attached(self) -> bool:
        """Whether anything carries it now."""
        ...

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading what is sent to it."""
        ...

    def begin(self, inbox: Inbox) -> None:
        """The session is there; from here on it is told what comes. Once."""
        ...

    def send(self, envelope: wire.Envelope) -> None:
        """Send a message, or keep it until something carries the channel again. Never blocks.

        Raises:
            ChannelError: It is too large; nothing is sent.
        """
        ...

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        """Close what carries it, behind everything that was sent: the session is over.

        Args:
            code: WebSocket close code, for what has one.
            reason: For people.
            gone: The client is taken for gone instead: its session is told at once that nothing
                carries the channel any more (``Inbox.lost``), and nothing is waited for.
        """
        ...


class Sound(Protocol):
    """The bot's placed voice, as a media path takes it: nothing while the path is not in use."""

    @property
    def sample_rate(self) -> int:
        """Of what is taken, Hz."""
        ...

    @property
    def pending(self) -> bool:
        """True when placed audio waits to be sent."""
        ...

    @property
    def ahead_ms(self) -> float:
        """What was taken and is not believed to be heard yet."""
        ...

    def take(self, num_samples: int) -> Block | None:
        """The next audio to send, at most ``num_samples``, contiguous; None when all is sent."""
        ...


class PathSink(Protocol):
    """Where all that comes by one media path goes; every opener is given one."""

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        """The user's voice, at the rate of the path's capture format.

        Args:
            pcm: The samples.
            timestamp: RTP timestamp of the first, 48 kHz, where there is one.
        """
        ...

    def report(self, report: Report) -> None:
        """What the listener says of its playout."""
        ...

    def keys(self, digits: str) -> None:
        """The user pressed keys: ``0``-``9``, ``*``, ``#``."""
        ...

    def gone(self, error: PathError) -> None:
        """The path is gone; nothing comes behind it."""
        ...


class MediaPath(Protocol):
    """One way for audio to travel. It never shows what carries it."""

    @property
    def path_id(self) -> int:
        """Its number, from 1, used once in a session."""
        ...

    @property
    def formats(self) -> Formats:
        """What it carries."""
        ...

    def wake(self) -> None:
        """Audio was placed, or more of it was heard: send what is due. Never blocks."""
        ...

    def void(self, cut: Cut) -> float | None:
        """Audio before the cut is void: forget what has not left yet, have the rest dropped.

        Returns:
            Where what it had taken and forgot begins, milliseconds of the media clock: nobody hears
            that. None = all of it has left.
        """
        ...

    async def close(self) -> None:
        """Give it up. Idempotent; afterwards no task, socket or thread of it remains."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A path that was made on request of a client; it carries nothing yet.

    Attributes:
        path: The path. Who opens it makes it; the session closes it.
        sdp_answer: Answer to the client's SDP offer, where it made one.
        connected: Waits until audio can flow, within a deadline of its own; raises ``PathError``
            when it never will. None = it can.
        on_channel: Whether it travels on the control channel: it is gone with that, and the user's
            audio comes as chunks of that.
        way_ms: How long sound takes to the listener, by estimate, milliseconds, where what carries
            it gives no positions; None = it does.
        room_url: The Daily room that the client is to enter, where that carries it.
        room_token: What lets the client in.
    """

    path: MediaPath
    sdp_answer: str = ""
    connected: Callable[[], Awaitable[None]] | None = None
    on_channel: bool = False
    way_ms: float | None = None
    room_url: str = field(default="", repr=False)
    room_token: str = field(default="", repr=False)


class Opener(Protocol):
    """Makes the paths of one carrier."""

    async def __call__(
        self, request: wire.PathOpen, sink: PathSink, sound: Callable[[int], Sound], /
    ) -> Opened:
        """Make a path. Cancel-safe: what was made of it by then is closed.

        Args:
            request: The client's wish.
            sink: Where all that comes by the path goes; nothing is taken before it is in use.
            sound: Gives the bot's voice at a rate of the path's own, Hz.

        Raises:
            PathError: There is none to be had; the client is told so.
        """
        ...


class Pipeline(Protocol):
    """The bot's pipeline, once it has started."""

    def user_audio(self, pcm: bytes) -> None:
        """Take a block of the user's voice at the session's rate. Never blocks."""
        ...

    async def text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        """The user typed; no answer is wanted any more once ``is_void`` is true."""
        ...

    async def file(self, file: SentFile) -> None:
        """The user sent a file."""
        ...

    async def keys(self, digits: str) -> None:
        """The user pressed keys."""
        ...

    async def interrupt(self, source: "wire.InterruptionSource", *, settle: bool = False) -> None:
        """Cut the bot off; with ``settle`` wait until the pipeline knows.

        Args:
            source: Who does it; the client is told so of this interruption and no other.
            settle: Wait, 1 s at most, until it has gone through.
        """
        ...

    def heard(self) -> None:
        """The listener's position moved."""
        ...

    def messages(self) -> list[Any] | None:
        """The conversation as the model is told of it, as JSON; None = there is no model yet."""
        ...

    async def end(self) -> None:
        """End it: the session is over."""
        ...


class IcePort(Protocol):
    """What a WebRTC path needs of the session's STUN and TURN servers."""

    @property
    def policy(self) -> str:
        """What the server is reached by: ``host``, ``all`` or ``relay``."""
        ...

    def for_server(self) -> list[wire.IceServer]:
        """The servers for this side, with fresh credentials of its own."""
        ...

    def listen(self, path_id: int, take: Callable[[str], object]) -> None:
        """Hand the client's candidates for a path to ``take``, those that are here first."""
        ...

    def forget(self, path_id: int) -> None:
        """The path is closed."""
        ...
