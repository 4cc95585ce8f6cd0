"""Opus, mono, at the rate that the caller works with; on the libopus that PyAV brings along.

Calling libopus directly lets it decode to 8-48 kHz without a resampler, mend losses from the next
packet (FEC) or by concealment, and encode without a frame object per block. Where the library is
not found, PyAV's codecs stand in: same audio, more CPU, concealment by silence.
"""

from collections.abc import Callable
from typing import Final, Protocol

from voxwire_protocol.opus.libopus import LibDecoder, LibEncoder, libopus
from voxwire_protocol.opus.packets import SAMPLE_RATES, Pcm
from voxwire_protocol.opus.pyav import AvDecoder, AvEncoder

__all__ = ["OpusDecoder", "OpusEncoder"]

# After this much real silence the codec's predictors are at rest on both sides, and sending the
# same packet again leaves them there.
_SETTLING_MS: Final = 200


class OpusDecoder:
    """Decodes one stream of Opus packets to mono.

    Owned by one stream and used from one thread. A packet of 20 ms costs 16-40 us.

    Args:
        sample_rate: 8000, 12000, 16000, 24000 or 48000 Hz, whatever the sender used.

    Raises:
        ValueError: Opus has no such rate.
    """

    def __init__(self, sample_rate: int) -> None:
        _check_rate(sample_rate)
        self.sample_rate = sample_rate
        library = libopus()
        self._backend: _Decoder = (
            LibDecoder(library, sample_rate) if library else AvDecoder(sample_rate)
        )

    def decode(self, packet: bytes) -> Pcm:
        """Decode the next packet.

        Args:
            packet: One Opus packet of 2.5-120 ms.

        Returns:
            A new array of int16 mono samples.

        Raises:
            ValueError: The packet is malformed; the decoder stays usable.
        """
        return self._backend.decode(packet)

    def conceal(self, num_samples: int) -> Pcm:
        """Make up audio that was lost, from what came before; it fades out within about 100 ms.

        Args:
            num_samples: Exactly this many samples, at `sample_rate`, are returned.
        """
        return self._backend.conceal(num_samples, None)

    def foresee(self, num_samples: int) -> Pcm:
        """What `conceal` would make up now; the next packet is decoded as if nobody had asked.

        For a carrier that loses nothing and may be late: what is made up is not part of the stream.

        Args:
            num_samples: Exactly this many samples, at `sample_rate`, are returned.
        """
        return self._backend.foresee(num_samples)

    def restart(self) -> None:
        """Forget what came before: the next packet is the first of another encoder."""
        self._backend.restart()

    def decode_fec(self, packet: bytes, num_samples: int) -> Pcm:
        """Recover what was lost right before a packet; `decode` that packet afterwards.

        Where the packet has no redundant copy, or for what lies further back, this conceals.

        Args:
            packet: The packet that follows the loss.
            num_samples: Length of the loss, at `sample_rate`; exactly this many are returned.
        """
        return self._backend.conceal(num_samples, packet)


class OpusEncoder:
    """Encodes mono speech, one packet a block.

    Owned by one stream and used from one thread. Without DTX: it freezes the playout position that
    browsers report.

    Args:
        sample_rate: Of the input: 8000, 12000, 16000, 24000 or 48000 Hz.
        bitrate: Target, bit/s.
        complexity: 0-10; CPU for quality.
        block_ms: 10, 20, 40 or 60.
        fec: Add a redundant copy of each block to the next packet (for 10 % loss).

    Raises:
        ValueError: Opus has no such rate or block.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        bitrate: int = 32_000,
        complexity: int = 5,
        block_ms: int = 20,
        fec: bool = True,
    ) -> None:
        _check_rate(sample_rate)
        if block_ms not in (10, 20, 40, 60):
            raise ValueError(f"Opus has no blocks of {block_ms} ms")
        self.sample_rate = sample_rate
        self.block_samples = sample_rate * block_ms // 1000
        library = libopus()
        make: Callable[..., _Encoder] = (
            AvEncoder if library is None else lambda *args: LibEncoder(library, *args)
        )
        self._backend = make(sample_rate, bitrate, complexity, block_ms, fec)
        self._silent_block = bytes(2 * self.block_samples)
        self._settling_blocks = -(-_SETTLING_MS // block_ms)
        self._silent_blocks = 0
        self._silence = b""

    @property
    def lookahead_samples(self) -> int:
        """How much later than its RTP timestamp says audio comes out of a decoder, in samples.

        The sample that stood at position p of the input is at p + this in the decoded stream.
        """
        return self._backend.lookahead_samples

    def encode(self, pcm: bytes | bytearray | memoryview | Pcm) -> bytes:
        """Encode exactly one block.

        Args:
            pcm: `block_samples` int16 mono samples in native byte order (little-endian wherever
                Python runs today), as bytes or as an array.

        Raises:
            ValueError: It is not exactly one block.
        """
        self._silent_blocks = 0
        data = pcm if isinstance(pcm, bytes) else bytes(pcm)
        if len(data) != 2 * self.block_samples:
            raise ValueError(f"a block has {self.block_samples} samples")
        return self._backend.encode(data)

    def restart(self) -> None:
        """Forget what came before; the decoder has to do so, too (`OpusDecoder.restart`)."""
        self._silent_blocks = 0
        self._backend.restart()

    def silence(self) -> bytes:
        """The packet of one block of digital silence.

        The first 200 ms of a pause are really encoded, which flushes the look-ahead and brings the
        predictors of encoder and decoder to rest; from then on the last packet is used again, at
        no cost, and speech may resume at any block.
        """
        if self._silent_blocks < self._settling_blocks:
            self._silent_blocks += 1
            self._silence = self._backend.encode(self._silent_block)
        return self._silence


class _Decoder(Protocol):
    def decode(self, packet: bytes) -> Pcm: ...
    def conceal(self, num_samples: int, following: bytes | None) -> Pcm: ...
    def foresee(self, num_samples: int) -> Pcm: ...
    def restart(self) -> None: ...


class _Encoder(Protocol):
    lookahead_samples: int

    def encode(self, data: bytes) -> bytes: ...
    def restart(self) -> None: ...


def _check_rate(sample_rate: int) -> None:
    if sample_rate not in SAMPLE_RATES:
        raise ValueError(f"Opus has no rate of {sample_rate} Hz, only {SAMPLE_RATES}")
