"""WebRTC audio on aiortc for server and client: our codec, our receive path, our sending track.

Import this package only when WebRTC is used: it brings in aiortc and PyAV (about 0.3 s). Nothing
outside it needs to import either.

:class:`Peer` is one side of a connection, for whoever offers and whoever answers; the rest is what
it is made of, and for tests that play a stranger.
"""

from importlib.util import find_spec

__all__ = [
    "MAX_MESSAGE_BYTES",
    "BadSdpError",
    "DataCarrier",
    "DataChannel",
    "Here",
    "InboundAudio",
    "InboundStats",
    "MissingExtraError",
    "OpusDecoder",
    "OpusEncoder",
    "OutboundStats",
    "PacketTrack",
    "Peer",
    "PeerCandidates",
    "PeerStats",
    "TurnError",
    "attach",
    "check_offer",
    "own_addresses",
    "packet_samples",
    "strip_candidates",
    "try_turn",
    "with_opus_fmtp",
]


class MissingExtraError(ImportError):
    """WebRTC was asked for and its packages are not installed."""


for _name in ("aiortc", "av", "numpy"):
    if find_spec(_name) is None:
        raise MissingExtraError(
            f"WebRTC needs {_name}: pip install 'voxwire-protocol[webrtc]'", name=_name
        )

from voxwire_protocol.opus import OpusDecoder, OpusEncoder, packet_samples  # noqa: E402
from voxwire_protocol.rtc.data import (  # noqa: E402
    MAX_MESSAGE_BYTES,
    DataCarrier,
    DataChannel,
)
from voxwire_protocol.rtc.ice import own_addresses  # noqa: E402
from voxwire_protocol.rtc.inbound import InboundAudio, InboundStats, attach  # noqa: E402
from voxwire_protocol.rtc.outbound import PacketTrack  # noqa: E402
from voxwire_protocol.rtc.peer import (  # noqa: E402
    BadSdpError,
    Here,
    OutboundStats,
    Peer,
    PeerStats,
)
from voxwire_protocol.rtc.relay import PeerCandidates  # noqa: E402
from voxwire_protocol.rtc.sdp import (  # noqa: E402
    check_offer,
    strip_candidates,
    with_opus_fmtp,
)
from voxwire_protocol.rtc.turn_servers import TurnError, try_turn  # noqa: E402
