"""WebRTC audio on aiortc for server and client: our codec, our receive path, our sending track.

Import this package only when WebRTC is used: it brings in aiortc and PyAV (about 0.3 s). Nothing
outside it needs to import either.

A session of one side, in the order that loses nothing:

1. `check_offer`, `strip_candidates`, then aiortc's `setRemoteDescription`;
2. `pc.addTrack(PacketTrack(...))` and `track.bind(sender)`; `attach(receiver, ...)`;
3. `createAnswer`, `setLocalDescription`, and `with_opus_fmtp` on the answer that is sent.
"""

from importlib.util import find_spec

__all__ = [
    "InboundAudio",
    "InboundStats",
    "MissingExtraError",
    "OpusDecoder",
    "OpusEncoder",
    "PacketTrack",
    "attach",
    "check_offer",
    "packet_samples",
    "strip_candidates",
    "with_opus_fmtp",
]


class MissingExtraError(ImportError):
    """WebRTC was asked for and its packages are not installed."""


for _name in ("aiortc", "av", "numpy"):
    if find_spec(_name) is None:
        raise MissingExtraError(
            f"WebRTC needs {_name}: pip install 'voxwire-protocol[webrtc]'", name=_name
        )

from voxwire_protocol.rtc.inbound import InboundAudio, InboundStats, attach  # noqa: E402
from voxwire_protocol.rtc.opus import OpusDecoder, OpusEncoder, packet_samples  # noqa: E402
from voxwire_protocol.rtc.outbound import PacketTrack  # noqa: E402
from voxwire_protocol.rtc.sdp import (  # noqa: E402
    check_offer,
    strip_candidates,
    with_opus_fmtp,
)
