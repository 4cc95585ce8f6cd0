"""What the other end can do, in words of a program that talks to it. Pure."""

from enum import StrEnum
from typing import Final

from voxwire_protocol import wire

__all__ = ["Feature", "features_of"]


class Feature(StrEnum):
    """Something that not everybody whom a client can talk to is able to do."""

    INTERRUPT = "interrupt"
    """`Session.interrupt` cuts the bot off."""

    RECONNECT = "reconnect"
    """A connection that is lost is dialled again, and the session goes on."""

    REPLAY = "replay"
    """And nothing that was said meanwhile is lost, or `EventsSkipped` says so."""

    WORD_TIMES = "word_times"
    """Words have positions on the media clock; without it, those of their arrival (`ARRIVAL`)."""

    HEARD_WORDS = "heard_words"
    """The bot is told what was heard of what it said, and remembers that."""

    TOOL_DECLARATIONS = "tool_declarations"
    """Tools of `connect` are told to the bot; without it, it has to know them by their names."""

    TOOL_PROGRESS = "tool_progress"
    """`ToolCall.progress` reaches the bot."""

    USER_ACTIVITY = "user_activity"
    """`Session.user_activity` reaches the server."""

    CLOCK = "clock"
    """`Session.round_trip_ms` is measured."""


_OF_WIRE: Final = {
    wire.Feature.FEATURE_RESUME: (Feature.RECONNECT, Feature.REPLAY),
    wire.Feature.FEATURE_WORDS: (Feature.WORD_TIMES,),
    wire.Feature.FEATURE_PLAYOUT_REPORTS: (Feature.HEARD_WORDS,),
    wire.Feature.FEATURE_USER_ACTIVITY: (Feature.USER_ACTIVITY,),
    wire.Feature.FEATURE_CLIENT_TOOLS: (Feature.TOOL_DECLARATIONS, Feature.TOOL_PROGRESS),
}


def features_of(welcome: wire.Welcome) -> frozenset[Feature]:
    """What a Voxwire server does in a session, by its Welcome."""
    found = {Feature.INTERRUPT, Feature.CLOCK}
    for feature in welcome.features:
        found.update(_OF_WIRE.get(feature, ()))
    return frozenset(found)
