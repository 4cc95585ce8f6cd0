"""What this server can do beyond the protocol's version."""

from typing import Final

from voxwire_protocol import wire

__all__ = ["SERVER_FEATURES", "WITH_DAILY"]

SERVER_FEATURES: Final = frozenset(
    {
        wire.Feature.FEATURE_PLAYOUT_REPORTS,
        wire.Feature.FEATURE_FLUSH,
        wire.Feature.FEATURE_WORDS,
        wire.Feature.FEATURE_SEQUENCE,
        wire.Feature.FEATURE_RESUME,
        wire.Feature.FEATURE_CHUNKS,
        wire.Feature.FEATURE_WEBSOCKET_AUDIO,
        wire.Feature.FEATURE_WEBRTC,
        wire.Feature.FEATURE_CLIENT_TOOLS,
        wire.Feature.FEATURE_KEPT_CAPTURE,
        wire.Feature.FEATURE_WAITING,
        wire.Feature.FEATURE_USER_ACTIVITY,
    }
)
"""A session uses those of them that its client names, too."""

WITH_DAILY: Final = SERVER_FEATURES | {wire.Feature.FEATURE_DAILY}
"""The same of a server that has rooms of Daily's."""
