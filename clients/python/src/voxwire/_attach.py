"""What the client says to get a session or to get it back, and how long it goes on trying.

Nothing here reads a clock or a socket; only nonces and jitter are random.
"""

import platform
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from voxwire._addresses import Addresses
from voxwire._version import library_version
from voxwire_protocol import wire
from voxwire_protocol.errors import (
    ErrorCode,
    RecoveryAction,
    TransportError,
    VoxwireError,
    error_from_wire,
    make_error,
)

__all__ = [
    "BUSY",
    "Greeting",
    "Refusal",
    "SentOn",
    "backoff_s",
    "client_info",
    "expired",
    "is_final",
    "is_for_another_time",
    "lost",
    "refused",
]

GRACE_MS: Final = 60_000
"""How long a session waits for its client when Welcome does not say."""

_DELAYS_S: Final = (0.0, 0.1, 0.2, 0.5, 1.0)
_JITTER: Final = 0.2

_FEATURES: Final = (
    wire.Feature.FEATURE_PLAYOUT_REPORTS,
    wire.Feature.FEATURE_FLUSH,
    wire.Feature.FEATURE_WORDS,
    wire.Feature.FEATURE_SEQUENCE,
    wire.Feature.FEATURE_CHUNKS,
    wire.Feature.FEATURE_WEBSOCKET_AUDIO,
    wire.Feature.FEATURE_KEPT_CAPTURE,
    wire.Feature.FEATURE_USER_ACTIVITY,
)

BUSY: Final = (ErrorCode.CAPACITY, ErrorCode.RATE_LIMITED)
"""A server that says so may be asked again."""
_WIRE: Final = (ErrorCode.CONNECTION_LOST, ErrorCode.TIMEOUT, ErrorCode.UNREACHABLE)


def client_info() -> wire.ClientInfo:
    """Which software speaks."""
    return wire.ClientInfo(
        library="voxwire-python",
        library_version=library_version(),
        platform=platform.system().lower(),
        platform_version=platform.release(),
    )


class Refusal(Exception):
    """The server answered Hello with an error."""

    def __init__(self, error: VoxwireError) -> None:
        super().__init__(str(error))
        self.error = error


class SentOn(Refusal):
    """The server answered Hello with where the session is."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What proves that the session is ours."""

    session_id: str
    resume_token: bytes
    epoch: int


class Greeting:
    """Makes the Hello of every attach of one session; the same nonce until it is welcomed."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        bot: str,
        metadata_json: str,
        webrtc: bool,
        daily: bool = False,
        resume: bool,
        resume_ms: int | None = None,
        tools: tuple[wire.ToolDeclaration, ...] = (),
        audio_response: bool = True,
        waits: bool = False,
    ) -> None:
        """Prepares the Hello of a new session.

        Args:
            url: Where it is dialled.
            token: Connect token; said once.
            bot: Name of the bot.
            metadata_json: Application data for the bot.
            webrtc: True when the client can do WebRTC.
            daily: True when it asks for a Daily room.
            resume: True when a lost control channel is to be resumed.
            resume_ms: Longest time to try; None = the server's grace.
            tools: What the client executes.
            audio_response: False = the bot's answers are text.
            waits: True when it waits for a place where the server has none.
        """
        self.addresses = Addresses(url)
        self._token = token
        self._bot = bot
        self._metadata_json = metadata_json
        self._tools = tools
        self._audio_response = audio_response
        self._features = list(_FEATURES)
        if webrtc:
            self._features.append(wire.Feature.FEATURE_WEBRTC)
        if daily:
            self._features.append(wire.Feature.FEATURE_DAILY)
        if tools:
            self._features.append(wire.Feature.FEATURE_CLIENT_TOOLS)
        if waits:
            self._features.append(wire.Feature.FEATURE_WAITING)
        if resume:
            self._features.append(wire.Feature.FEATURE_RESUME)
        self._nonce = secrets.token_bytes(16)
        self._held: _Held | None = None
        self.unanswered = False
        """True while a Hello may have arrived whose Welcome was not read."""
        self.resumable = False
        """True once the server has said that it keeps the session."""
        self._resume_ms = resume_ms
        self.grace_ms = GRACE_MS

    @property
    def first(self) -> bool:
        """True until the session was welcomed."""
        return self._held is None

    def hello(self, last_seq: int) -> bytes:
        """The encoded Hello; from here on it counts as said.

        Args:
            last_seq: Highest number received from the server without a gap.
        """
        self.unanswered = True
        held = self._held
        message = wire.Hello(
            protocol_version=wire.PROTOCOL_VERSION,
            attach_nonce=self._nonce,
            features=self._features,
            client=client_info(),
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
        )
        if held is None:
            message.token = self._token
            message.bot = self._bot
            message.metadata_json = self._metadata_json
            message.tools.extend(self._tools)
            if not self._audio_response:
                message.audio_response = False
        else:
            message.session_id = held.session_id
            message.resume_token = held.resume_token
            message.last_seq = last_seq
            message.epoch = held.epoch
        return wire.Envelope(hello=message).SerializeToString()

    def welcomed(self, welcome: wire.Welcome, url: str) -> None:
        """Takes the answer: the next attach uses its token and a new nonce.

        Args:
            welcome: What was said.
            url: Where it was said.

        Raises:
            VoxwireError: It is about another session.
        """
        if self._held is not None and welcome.session_id != self._held.session_id:
            raise make_error(
                ErrorCode.SESSION_EXPIRED,
                "the server answered with another session",
                action=RecoveryAction.RECONNECT,
            )
        self._held = _Held(welcome.session_id, welcome.resume_token, welcome.epoch)
        self._nonce = secrets.token_bytes(16)
        self.unanswered = False
        self.grace_ms = welcome.grace_ms or GRACE_MS
        if self._resume_ms is not None:
            self.grace_ms = min(self.grace_ms, self._resume_ms)
        both = wire.Feature.FEATURE_RESUME in self._features
        self.resumable = both and wire.Feature.FEATURE_RESUME in welcome.features
        self.addresses.welcomed(url, welcome.resume_url)

    def renew(self, token: str) -> None:
        """The first Hello is said again, with another token."""
        self._token = token


def backoff_s(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Waits before the first and every further try: at once, then 0.1 to 1 s, each ±20 %.

    Args:
        jitter: Returns a number from 0 (20 % less) to 1 (20 % more).
    """
    number = 0
    while True:
        delay_s = _DELAYS_S[min(number, len(_DELAYS_S) - 1)]
        yield delay_s * (1 + _JITTER * (2 * jitter() - 1))
        number += 1


def refused(message: wire.Error) -> Refusal:
    """The refusal that an ``Error`` in place of Welcome stands for."""
    return Refusal(error_from_wire(message))


def is_final(error: VoxwireError, *, attaching: bool) -> bool:
    """True when dialling again makes no sense.

    Args:
        error: Why the socket was lost, or the attach refused.
        attaching: True when it answered an attempt to come back.
    """
    if error.action == RecoveryAction.RESUME or error.code in _WIRE:
        return False
    if attaching and error.code in BUSY:
        return False
    return not (attaching and error.retryable)


def is_for_another_time(error: VoxwireError) -> bool:
    """True when a first Hello that is refused so is said again."""
    return error.code in BUSY or error.code == ErrorCode.GOING_AWAY


def expired(waited_ms: int, cause: VoxwireError) -> VoxwireError:
    """The error for a session that could not be had back within its grace."""
    error = make_error(
        ErrorCode.SESSION_EXPIRED,
        f"the connection was lost and not back within {waited_ms / 1000:.1f} s ({cause.reason})",
        action=RecoveryAction.RECONNECT,
    )
    error.__cause__ = cause
    return error


def lost(reason: str) -> TransportError:
    """The error for a wire that broke."""
    return TransportError(
        ErrorCode.CONNECTION_LOST, reason, retryable=True, action=RecoveryAction.RECONNECT
    )
