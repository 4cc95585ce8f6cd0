"""What travels on the data channel "chat" of a stock SmallWebRTC peer beside RTVI. Pure.

Source: pipecat 1.14 ``transports/smallwebrtc/connection.py``; small-webrtc-transport of
pipecat-client-web-transports.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.rtvi.message import (
    MAX_MESSAGE_BYTES,
    RtviError,
    RtviMessage,
    encode,
    message_of,
    read_json,
)

__all__ = [
    "CHAT_LABEL",
    "ChatText",
    "PeerLeft",
    "Ping",
    "Renegotiate",
    "TrackStatus",
    "read_chat",
    "write_chat",
]

CHAT_LABEL: Final = "chat"
"""Label of the data channel; the client opens it, ordered and reliable. A stock bot talks on
whichever channel was opened last: never open a second one to it."""

RECEIVERS: Final = 3
"""Receivers that a status can be about: 0 microphone, 1 camera, 2 screen."""

_PING: Final = re.compile(r"ping(?:: ?(\d{1,15}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ping:
    """The client is there; every second, unanswered. A stock bot drops what it wants to say, and
    loses what it hears, after 3 s without one.

    Attributes:
        unix_ms: The client's clock, as it says it; 0 = it says none.
    """

    unix_ms: int = 0


@dataclass(frozen=True, slots=True)
class TrackStatus:
    """The client turned one of its tracks on or off; told of each when the channel opens.

    Attributes:
        receiver_index: 0 microphone, 1 camera, 2 screen.
        enabled: Whether it sends.
    """

    receiver_index: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class Renegotiate:
    """The bot asks for a new offer."""


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The bot has left; the client is told before the connection closes."""


ChatText: TypeAlias = RtviMessage | Ping | TrackStatus | Renegotiate | PeerLeft


def read_chat(text: str | bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> ChatText:
    """Reads a message of the channel.

    Raises:
        RtviError: As `decode`; MALFORMED also for signaling that no peer sends.
    """
    if len(text) <= 64:
        plain = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        if ping := _PING.fullmatch(plain):
            return Ping(int(ping[1] or 0))
    value = read_json(text, max_bytes)
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if members.get("type") == "signalling" and "label" not in members:
        return _signaling(members.get("message"))
    message = message_of(cast("object", value))
    if message is None:
        raise RtviError(ErrorCode.MALFORMED, "the text is neither RTVI nor signaling")
    return message


def write_chat(said: ChatText) -> str:
    """The text of a message of the channel.

    Raises:
        RtviError: As `encode`.
    """
    match said:
        case Ping():
            return f"ping: {said.unix_ms}"
        case TrackStatus():
            return _signaling_text(
                "trackStatus", receiver_index=said.receiver_index, enabled=said.enabled
            )
        case Renegotiate():
            return _signaling_text("renegotiate")
        case PeerLeft():
            return _signaling_text("peerLeft")
        case _:
            return encode(said)


def _signaling(value: object) -> TrackStatus | Renegotiate | PeerLeft:
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    match members.get("type"):
        case "renegotiate":
            return Renegotiate()
        case "peerLeft":
            return PeerLeft()
        case "trackStatus":
            index, enabled = members.get("receiver_index"), members.get("enabled")
            is_index = type(index) is int and 0 <= index < RECEIVERS
            if is_index and isinstance(enabled, bool):
                return TrackStatus(cast(int, index), enabled)
            raise RtviError(ErrorCode.MALFORMED, "trackStatus names no receiver and state")
        case _:
            raise RtviError(ErrorCode.MALFORMED, "signaling of a type that no peer sends")


def _signaling_text(kind: str, **members: object) -> str:
    message = {"type": "signalling", "message": {"type": kind, **members}}
    return json.dumps(message, separators=(",", ":"))
