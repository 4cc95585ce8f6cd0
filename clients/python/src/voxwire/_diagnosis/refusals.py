"""What to do about a server that lets nobody in, by what it says. Pure."""

from typing import Final

from voxwire._attach import BUSY
from voxwire_protocol.errors import ErrorCode, VoxwireError

__all__ = ["advice_on"]

_OF_TOKEN: Final = "end one of this user's sessions, or get a token that allows more: max_sessions"
_FULL: Final = "the operator can raise VOXWIRE_MAX_SESSIONS or add servers"
_LOOKED_UP: Final = "the operator has to see what the authenticator says in the server's log"
_OF_CAPACITY: Final = {
    "the server is too busy": "the operator can add servers, or a faster one",
    "this token allows no more sessions": _OF_TOKEN,
    "has used up the day's": (
        "the operator can raise VOXWIRE_CAPS_PER_USER or VOXWIRE_CAPS_PER_BOT, or what tokens allow"
    ),
    "who comes cannot be looked up": _LOOKED_UP,
    "the server cannot decide just now": "the operator has to see why the servers' store is silent",
}
"""By its reason: the code is the same."""
_RATE: Final = (
    "the operator can raise VOXWIRE_STARTS_PER_ADDRESS or VOXWIRE_STARTS_PER_USER, whichever it"
    " names"
)
_OF_CODE: Final = {
    ErrorCode.INVALID_ARGUMENT: "name the bot: --bot, and bot=... in a program",
    ErrorCode.FORBIDDEN: "name the bot that the token is for (--bot), or get another token",
    ErrorCode.VERSION: "bring client and server to versions that go together",
    ErrorCode.RATE_LIMITED: _RATE,
    ErrorCode.GOING_AWAY: "the server is being stopped, or restarted",
}


def advice_on(error: VoxwireError) -> str:
    """What to do about a refusal; empty = it is about the token, or not known."""
    code = ErrorCode(error.code)
    told = _OF_CODE.get(code, "")
    if code == ErrorCode.CAPACITY:
        told = next((it for reason, it in _OF_CAPACITY.items() if reason in error.reason), _FULL)
    if told is _OF_TOKEN or code not in (*BUSY, ErrorCode.GOING_AWAY):
        return told
    when = f"in {error.retry_after_ms / 1000:g} s" if error.retry_after_ms else "later"
    return f"try again {when}; {told}"
