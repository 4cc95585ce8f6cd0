"""When the next carrier is asked for beside one that is not ready, and why one is not. Pure."""

from enum import IntEnum
from typing import Final, NamedTuple

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.events import FallbackReason

__all__ = [
    "LATE_MS",
    "Fallback",
    "Progress",
    "Tried",
    "is_of_the_network",
    "next_due_ms",
    "why",
]

HEAD_START_MS: Final = 1500
"""How long WebRTC has the network for itself, from the server's answer on: ADR 31."""

GETTING_ON: Final = 1.5
"""So many times as long where packets come through: a handshake is three round trips more."""

AGAIN_MS: Final = 700
"""The same once the session is up: the bot's voice waits for 2 s, whatever carries it then."""

ANSWER_MS: Final = 3000
"""How long the server may take to answer before another carrier is asked for."""

LATE_MS: Final = 8000
"""How long a path that is not ready is tried, while another one carries the audio or could."""


class Progress(IntEnum):
    """How far a path has come that is not ready yet."""

    ASKED = 0
    ANSWERED = 1
    REACHED = 2  # a packet went there and back
    CONNECTED = 3  # it is the server's pipeline that is waited for


class Tried(NamedTuple):
    """A path that is being tried, milliseconds of one clock.

    Attributes:
        asked_ms: Since when the server could have answered: loading the stack counts.
        answered_ms: When it answered; None = not yet.
        progress: How far the path has come.
    """

    asked_ms: float
    answered_ms: float | None
    progress: Progress


class Fallback(NamedTuple):
    """Why WebRTC does not carry the audio.

    Attributes:
        reason: For the program.
        detail: One sentence for people.
    """

    reason: FallbackReason
    detail: str


def next_due_ms(tried: Tried, *, again: bool) -> float:
    """When the next carrier is asked for beside this one.

    What is getting on is given more time: two paths that become ready within a round trip would
    replace each other.

    Args:
        tried: The path that is not ready.
        again: True once the session is up.
    """
    if tried.progress >= Progress.CONNECTED:
        return tried.asked_ms + LATE_MS
    patience = GETTING_ON if tried.progress >= Progress.REACHED else 1.0
    if again:
        return tried.asked_ms + patience * AGAIN_MS
    if tried.answered_ms is None:
        return tried.asked_ms + ANSWER_MS
    return tried.answered_ms + patience * HEAD_START_MS


_OF_CODE: Final = {
    ErrorCode.TURN_FAILED: FallbackReason.TURN_FAILED,
    ErrorCode.UNSUPPORTED: FallbackReason.NOT_OFFERED,
}
_OF_PROGRESS: Final = {
    Progress.ASKED: FallbackReason.TIMED_OUT,
    Progress.ANSWERED: FallbackReason.ICE_FAILED,
    Progress.REACHED: FallbackReason.DTLS_FAILED,
    Progress.CONNECTED: FallbackReason.TIMED_OUT,
}
_DETAILS: Final = {
    FallbackReason.TIMED_OUT: "the server did not get a WebRTC path ready in time",
    FallbackReason.ICE_FAILED: "no UDP packet of the server came back: is UDP blocked here?",
    FallbackReason.DTLS_FAILED: "UDP packets come through, but the DTLS handshake did not end",
}


def why(error: VoxwireError | None, progress: Progress, *, told: bool) -> Fallback:
    """Why WebRTC does not carry the audio.

    Args:
        error: What ended it, or is known to be wrong with it; None = nothing, it takes too long.
        progress: How far it came.
        told: True when the error is the server's word.
    """
    if error is not None and error.code == ErrorCode.MISSING_EXTRA:
        kind = FallbackReason.NOT_OFFERED if told else FallbackReason.NOT_INSTALLED
        return Fallback(kind, error.reason)
    if error is not None and error.code in _OF_CODE:
        return Fallback(_OF_CODE[ErrorCode(error.code)], error.reason)
    if error is not None and error.code not in (ErrorCode.ICE_FAILED, ErrorCode.TIMEOUT):
        return Fallback(FallbackReason.REFUSED, error.reason)
    reason = _OF_PROGRESS[progress]
    if told and error is not None:
        return Fallback(FallbackReason.ICE_FAILED, error.reason)
    return Fallback(reason, _DETAILS[reason])


def is_of_the_network(reason: FallbackReason) -> bool:
    """True when another try may go well without anybody changing a program."""
    return reason in (
        FallbackReason.ICE_FAILED,
        FallbackReason.TURN_FAILED,
        FallbackReason.DTLS_FAILED,
        FallbackReason.TIMED_OUT,
    )
