"""Events about the session's wires: the control channel lost and found, what got lost with it.

Import them from ``events``.
"""

from dataclasses import dataclass
from enum import StrEnum

from voxwire_protocol.event_enums import BotState, TurnRole, UserState

__all__ = [
    "ConnectionChanged",
    "ConnectionState",
    "EventsSkipped",
    "FallbackReason",
    "Snapshot",
    "Turn",
]


class ConnectionState(StrEnum):
    """Whether a session has its control channel; no message says it."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


class FallbackReason(StrEnum):
    """Why ``transport="auto"`` is not on WebRTC; no message says it.

    ``not_installed``: the extra is missing here. ``not_offered``: the other end has none.
    ``refused``: it has, and not for this path. ``ice_failed``: no UDP packet comes through.
    ``turn_failed``: nor did a TURN server give a relay. ``dtls_failed``: packets come through and
    the handshake does not. ``timed_out``: the other end did not answer in time.
    """

    NOT_INSTALLED = "not_installed"
    NOT_OFFERED = "not_offered"
    REFUSED = "refused"
    ICE_FAILED = "ice_failed"
    TURN_FAILED = "turn_failed"
    DTLS_FAILED = "dtls_failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The control channel of a session was lost, is dialled again, or is back.

    Not raised for the first connection: `SessionStarted` says that.

    Attributes:
        state: ``reconnecting`` before every try, ``connected`` when one was welcomed.
        attempt: Number of the try since the loss, from 1; 0 = a second socket took over while
            the first one still stood.
        epoch: Number of the attach in the session that is, or was, in force.
        after_ms: Time since the loss, milliseconds.
    """

    state: ConnectionState
    attempt: int
    epoch: int
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation as it was heard.

    Attributes:
        turn_id: Names the turn in its session.
        role: Who spoke.
        text: What was said; of the bot, what was heard.
        unheard_text: Of the bot: what was to be said and was not heard.
    """

    turn_id: str
    role: TurnRole
    text: str
    unheard_text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a session, from which it goes on after a loss.

    Attributes:
        turns: The conversation so far, oldest first.
        utterance_id: The utterance that is being spoken; empty = none.
        heard_media_ms: Where the media clock is for the listener, milliseconds.
        call_ids: Open tool calls.
        bot: What the bot is doing.
        user: What the user is doing.
        user_muted: True while this client has the microphone closed, as the server knows it.
    """

    turns: tuple[Turn, ...]
    utterance_id: str
    heard_media_ms: int
    call_ids: tuple[str, ...]
    bot: BotState
    user: UserState
    user_muted: bool


@dataclass(frozen=True, slots=True)
class EventsSkipped:
    """Events were lost: nobody read them in time, a resume came too late, or a stock bot was had
    back, which says nothing twice.

    After a resume that came too late, what is the case now follows as ordinary events: the
    utterance that is being spoken, its words, open tool calls, the state.

    Attributes:
        count: How many; 0 = not known, which is so after a resume.
        unsent: Messages of this side that the server may not have got, and that were given up.
        snapshot: The state from which the session goes on; None when only the reader was late,
            and of a stock bot.
    """

    count: int
    unsent: int = 0
    snapshot: Snapshot | None = None
