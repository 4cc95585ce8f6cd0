"""Opus in the chunks of a control channel: every sample at its position, once, none added.

A carrier that loses nothing needs no redundancy, but what it carries has places: a chunk says which
samples of the track its packet brings, and how much of what it decodes to comes ahead of them. So
the encoder's look-ahead, and what fills up a block, never become sound (ADR 32).
"""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.opus.codec import OpusDecoder, OpusEncoder
from voxwire_protocol.opus.libopus import libopus
from voxwire_protocol.opus.packets import CLOCK_RATE, SAMPLE_RATES, Pcm, packet_samples

__all__ = ["BITRATE", "ChunkDecoder", "ChunkEncoder", "opus_ready"]

BITRATE: Final = 24_000
"""What speech is coded at, bit/s."""

_COMPLEXITY: Final = 5
_MAX_PACKET_TICKS: Final = CLOCK_RATE * 60 // 1000
_SAMPLE_BYTES: Final = 2


def opus_ready(sample_rate: int) -> bool:
    """True where there is a libopus, and it codes audio of that rate, Hz."""
    return sample_rate in SAMPLE_RATES and libopus() is not None


class ChunkEncoder:
    """Encodes one track of a path, stretch by stretch.

    A stretch is audio without a hole. Every one begins with a fresh encoder, so that a receiver
    that missed the end of the one before decodes it all the same.

    Args:
        sample_rate: Of the samples and of their numbers, Hz; one of `SAMPLE_RATES`.
        path_id: The path that the chunks name.
        block_ms: Length of a block: 10, 20, 40 or 60.
    """

    def __init__(self, sample_rate: int, *, path_id: int, block_ms: int) -> None:
        self._encoder = OpusEncoder(
            sample_rate, bitrate=BITRATE, complexity=_COMPLEXITY, block_ms=block_ms, fec=False
        )
        self._path_id = path_id
        self._block_bytes = _SAMPLE_BYTES * self._encoder.block_samples
        self._input = bytearray()
        self._skip = 0  # decoded samples to come that are none of the track's
        self._next = self._end = 0
        self._open = self._restarts = False

    @property
    def end(self) -> int:
        """Number of the sample that would go on without a hole."""
        return self._end

    @property
    def owes(self) -> bool:
        """True while samples are held that no chunk has brought: `finish` gives them."""
        return self._open and self._next < self._end

    def push(self, sample_index: int, pcm: bytes) -> list[wire.AudioChunk]:
        """Takes audio; a hole ahead of it ends the stretch.

        Args:
            sample_index: Number of the first sample.
            pcm: int16 little-endian mono.

        Returns:
            The chunks that are complete.

        Raises:
            RuntimeError: libopus failed.
        """
        chunks: list[wire.AudioChunk] = []
        if not self._open or sample_index != self._end:
            chunks = self.finish()
            self._begin(sample_index, len(pcm))
        self._input += pcm
        self._end += len(pcm) // _SAMPLE_BYTES
        return chunks + self._encode()

    def finish(self) -> list[wire.AudioChunk]:
        """Ends the stretch.

        Returns:
            The chunks with the rest of it.

        Raises:
            RuntimeError: libopus failed.
        """
        chunks: list[wire.AudioChunk] = []
        while self.owes:
            self._input += bytes(self._block_bytes - len(self._input))
            chunks += self._encode()
        self._open = False
        return chunks

    def drop(self) -> int | None:
        """Ends the stretch and forgets the rest of it.

        Returns:
            Number of the first sample that no chunk has brought; None = they brought all.
        """
        first = self._next if self.owes else None
        self._open = False
        return first

    def _begin(self, sample_index: int, num_bytes: int) -> None:
        """Begins a stretch with a block's end where the first audio ends: it leaves at once."""
        lead_bytes = -num_bytes % self._block_bytes
        self._encoder.restart()
        self._input[:] = bytes(lead_bytes)
        self._skip = lead_bytes // _SAMPLE_BYTES + self._encoder.lookahead_samples
        self._next = self._end = sample_index
        self._open = self._restarts = True

    def _encode(self) -> list[wire.AudioChunk]:
        chunks: list[wire.AudioChunk] = []
        while len(self._input) >= self._block_bytes:
            packet = self._encoder.encode(bytes(self._input[: self._block_bytes]))
            del self._input[: self._block_bytes]
            skip = min(self._skip, self._encoder.block_samples)
            decoded = self._encoder.block_samples - skip
            count = min(decoded, self._end - self._next)
            chunks.append(
                wire.AudioChunk(
                    path_id=self._path_id,
                    sample_index=self._next,
                    data=packet,
                    skip_samples=skip,
                    num_samples=count if count < decoded else 0,
                    restarts=self._restarts,
                )
            )
            self._skip -= skip
            self._next += count
            self._restarts = False
        return chunks


class ChunkDecoder:
    """Decodes one track of a path.

    Args:
        sample_rate: Of the samples and of their numbers, Hz; one of `SAMPLE_RATES`.
    """

    def __init__(self, sample_rate: int) -> None:
        self._decoder = OpusDecoder(sample_rate)

    def decode(self, chunk: wire.AudioChunk) -> Pcm:
        """Decodes the next chunk.

        Returns:
            The samples from `chunk.sample_index` on, a new array; may be empty.

        Raises:
            ValueError: It holds no Opus packet of at most 60 ms, or fewer samples than it names;
                the decoder stays usable.
        """
        if not 0 < packet_samples(chunk.data) <= _MAX_PACKET_TICKS:
            raise ValueError("no Opus packet of at most 60 ms")
        if chunk.restarts:
            self._decoder.restart()
        pcm = self._decoder.decode(chunk.data)
        first = chunk.skip_samples
        last = first + chunk.num_samples if chunk.num_samples else len(pcm)
        if not first <= last <= len(pcm):
            raise ValueError("the packet holds fewer samples than the chunk names")
        return pcm[first:last]

    def foresee(self, num_samples: int) -> Pcm:
        """Sound to bridge the wait for the next chunk, at most 60 ms of it or so can be heard."""
        return self._decoder.foresee(num_samples)
