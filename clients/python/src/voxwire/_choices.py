"""What `connect`, and the command line, can be asked for by a word. It imports nothing."""

from typing import Final

__all__ = ["CODECS", "ICE_POLICIES", "PHONE_VENDORS", "TRANSPORTS"]

CODECS: Final = ("auto", "opus", "pcm")
"""What the audio of a path on the control channel is encoded as."""

ICE_POLICIES: Final = ("all", "relay")
"""W3C `RTCIceTransportPolicy` (WebRTC 1.0 §4.2.5)."""

PHONE_VENDORS: Final = ("twilio", "telnyx", "plivo", "exotel", "vonage")
"""Who brings telephone calls."""

TRANSPORTS: Final = ("auto", "webrtc", "websocket", "daily")
"""What carries the audio."""
