"""What the telephone's front door asks of a vendor, and what a vendor's messages say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from voxwire_server.phone.g711 import Encoding

__all__ = [
    "DAY_S",
    "FORM",
    "FRESH_S",
    "JSON",
    "TICKET",
    "Audio",
    "Dialect",
    "Document",
    "ForgedError",
    "Keys",
    "Mark",
    "Ringing",
    "Said",
    "Started",
    "Stopped",
    "Vendor",
    "Webhook",
    "WireError",
]

TICKET: Final = "ticket"
"""Name of the parameter that brings the ticket back."""
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
FRESH_S: Final = 300
"""How old a webhook may be that says when it was signed, seconds."""
DAY_S: Final = 86_400
"""How long one counts as come that does not: no vendor announces a call twice."""


class ForgedError(Exception):
    """A request does not come from the vendor, or not now. The text is for the log, and fixed."""


class WireError(ValueError):
    """A message on a call's WebSocket is none that its vendor sends; it is left out."""


# what a webhook says


class Webhook(NamedTuple):
    """A vendor's request.

    Attributes:
        method: ``GET`` or ``POST``.
        url: As the vendor knows it, with its query.
        headers: By their names in lower case.
        body: At most 32 KB.
        address: Where it comes from, behind our proxies.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """A call that a vendor has announced, and signed.

    Attributes:
        call_id: The vendor's name of the call.
        caller: Number or address; empty = it was withheld.
        called: Number or address.
        attestation: ``A``, ``B`` or ``C``, where the vendor has verified what the caller's network
            says of his number (SHAKEN); empty = it has not.
        proof: What is good once; empty = nothing of the request is.
        proof_s: How long it has to be remembered, seconds: what says when it was signed is no good
            any more before.
        outgoing: Whether the vendor says that the call began here; most do not, and the webhook's
            URL says so.
    """

    call_id: str
    caller: str = ""
    called: str = ""
    attestation: str = ""
    proof: bytes = field(default=b"", repr=False)
    proof_s: int = DAY_S
    outgoing: bool = False


class Document(NamedTuple):
    """What a webhook is answered with."""

    media_type: str
    text: str


# what comes on the WebSocket


@dataclass(frozen=True, slots=True)
class Started:
    """The stream begins.

    Attributes:
        call_id: The vendor's name of the call.
        parameters: What was sent along, the ticket among it; whoever opens the stream has written
            them.
    """

    call_id: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of the caller's voice, as it is written.

    Attributes:
        data: The samples.
        number: Its place among all pieces, from 1; 0 = they come in order.
    """

    data: bytes
    number: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """All that was sent before a mark was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The caller pressed keys."""

    digits: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The call is over."""


Said = Started | Audio | Mark | Keys | Stopped


class Dialect(Protocol):
    """How a vendor writes on the WebSocket of one call.

    Attributes:
        encoding: Of the bot's voice.
        hears: Of the caller's, at the same rate; known once the stream has begun.
        block_ms: Length of a piece of the bot's voice, milliseconds.
        unit_bytes: What a piece has whole ones of; the last of a stretch is filled up with
            silence. 1 = pieces may be of any length, up to ``block_ms``.
        echoes: Whether a mark with nothing before it comes straight back.
    """

    encoding: Encoding
    hears: Encoding
    block_ms: int
    unit_bytes: int
    echoes: bool

    def decode(self, message: str | bytes) -> Said | None:
        """What a message says; None = nothing that matters here.

        Raises:
            WireError: It is none of this vendor's.
        """
        ...

    def media(self, data: bytes) -> str | bytes:
        """A piece of the bot's voice."""
        ...

    def mark(self, name: str) -> str | bytes:
        """Ask to be told when all that was sent so far is played."""
        ...

    def clear(self) -> str | bytes:
        """Drop what was sent and not played."""
        ...


class Vendor(Protocol):
    """Who brings calls.

    Attributes:
        name: As in the paths of its routes.
        methods: Those that its webhook comes with.
        body_type: Media type of the body of one that has a body.
        own_query: Names in the query of a webhook that are the vendor's own.
    """

    name: str
    methods: tuple[str, ...]
    body_type: str
    own_query: frozenset[str]

    def ringing(self, webhook: Webhook, now_s: float) -> Ringing:
        """The call that a webhook announces.

        Args:
            webhook: The request.
            now_s: Seconds since the epoch.

        Raises:
            ForgedError: It is not the vendor's, or too old.
        """
        ...

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        """Whether the head of a WebSocket is the vendor's, as far as it signs that.

        Args:
            url: As the vendor was told it, with its query.
            headers: By their names in lower case.
            now_s: Seconds since the epoch.
        """
        ...

    def answer(self, url: str, ringing: Ringing, sent: Mapping[str, str]) -> Document:
        """The document that opens the stream.

        Args:
            url: Of the WebSocket.
            ringing: The call.
            sent: What the stream is to bring along: the ticket, and last what it may leave out.
        """
        ...

    def busy(self) -> Document:
        """The document that turns a call away."""
        ...

    def forward(self, to: str) -> Document | None:
        """The document that puts a call through to a number; None = that is asked of it otherwise,
        or its webhooks do not say which number was signed.
        """
        ...

    def dialect(self) -> Dialect:
        """How it writes on the WebSocket of one more call."""
        ...
