"""What `connect`, and the command line, can be asked for by a word. It imports nothing."""

from typing import Final

__all__ = ["CODECS", "ICE_POLICIES", "TRANSPORTS"]

CODECS: Final = ("auto", "opus", "pcm")
"""What the audio of a path on the control channel is encoded as."""

ICE_POLICIES: Final = ("all", "relay")
"""W3C `RTCIceTransportPolicy` (WebRTC 1.0 §4.2.5)."""

TRANSPORTS: Final = ("auto", "webrtc", "websocket")
"""What carries the audio."""
