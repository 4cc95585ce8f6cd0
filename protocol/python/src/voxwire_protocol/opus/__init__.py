"""Opus for both carriers: the codec, and chunks of a control channel that it fills.

What needs libopus says so when it is made, not when it is imported; numpy is needed to import it.
"""

from voxwire_protocol.opus.chunks import ChunkDecoder, ChunkEncoder, opus_ready
from voxwire_protocol.opus.codec import OpusDecoder, OpusEncoder
from voxwire_protocol.opus.packets import SAMPLE_RATES, Pcm, packet_samples

__all__ = [
    "SAMPLE_RATES",
    "ChunkDecoder",
    "ChunkEncoder",
    "OpusDecoder",
    "OpusEncoder",
    "Pcm",
    "opus_ready",
    "packet_samples",
]
