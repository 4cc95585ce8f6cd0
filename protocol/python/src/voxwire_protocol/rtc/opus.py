"""Opus, mono, at the rate that the caller works with; on the libopus that PyAV brings along.

Calling libopus directly lets it decode to 8-48 kHz without a resampler, mend losses from the next
packet (FEC) or by concealment, and encode without a frame object per block. Where the library is
not found, PyAV's codecs stand in: same audio, more CPU, concealment by silence.
"""

import ctypes
import ctypes.util
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["OpusDecoder", "OpusEncoder", "Pcm", "packet_samples"]

Pcm = npt.NDArray[np.int16]
"""int16 mono samples, native byte order."""

SAMPLE_RATES: Final = (8000, 12000, 16000, 24000, 48000)
_CLOCK_RATE: Final = 48_000
_MAX_PACKET_MS: Final = 120
_MAX_PACKET_BYTES: Final = 1275

# opus_defines.h
_OK: Final = 0
_APPLICATION_VOIP: Final = 2048
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_GET_LOOKAHEAD: Final = 4027

# FEC costs bits in proportion to the loss that the encoder is told to expect.
_EXPECTED_LOSS_PERCENT: Final = 10

# After this much real silence the codec's predictors are at rest on both sides, and sending the
# same packet again leaves them there.
_SETTLING_MS: Final = 200


def packet_samples(packet: bytes) -> int:
    """How much audio an Opus packet holds, in ticks of 1/48000 s; 0 when it is malformed.

    RFC 6716 §3.1 (duration of a frame) and §3.2 (frames in a packet).
    """
    if not packet:
        return 0
    toc = packet[0]
    config = toc >> 3
    if config >= 16:
        frame = 120 << (config & 3)
    elif config >= 12:
        frame = 480 << (config & 1)
    else:
        frame = (480, 960, 1920, 2880)[config & 3]
    code = toc & 3
    if code == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        count = 1 if code == 0 else 2
    samples = frame * count
    return samples if samples <= _CLOCK_RATE * _MAX_PACKET_MS // 1000 else 0


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
        library = _libopus()
        self._backend: _Decoder = (
            _LibDecoder(library, sample_rate) if library else _AvDecoder(sample_rate)
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
        library = _libopus()
        make: Callable[..., _Encoder] = (
            _AvEncoder if library is None else lambda *args: _LibEncoder(library, *args)
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


class _Encoder(Protocol):
    lookahead_samples: int

    def encode(self, data: bytes) -> bytes: ...


class _LibDecoder:
    """An `OpusDecoder` of libopus."""

    def __init__(self, library: ctypes.PyDLL, sample_rate: int) -> None:
        error = ctypes.c_int()
        self._state = library.opus_decoder_create(sample_rate, 1, ctypes.byref(error))
        if error.value != _OK:
            raise RuntimeError(f"opus_decoder_create failed ({error.value})")
        weakref.finalize(self, library.opus_decoder_destroy, self._state)
        self._decode = library.opus_decode
        self._step = sample_rate // 400  # libopus conceals multiples of 2.5 ms
        self._capacity = sample_rate * _MAX_PACKET_MS // 1000
        self._out = np.zeros(self._capacity, np.int16)
        self._address = self._out.ctypes.data

    def decode(self, packet: bytes) -> Pcm:
        if not packet:
            raise ValueError("empty Opus packet")
        got = self._decode(self._state, packet, len(packet), self._address, self._capacity, 0)
        if got < 0:
            raise ValueError(f"malformed Opus packet ({got})")
        return self._out[:got].copy()

    def conceal(self, num_samples: int, following: bytes | None) -> Pcm:
        pcm = np.zeros(num_samples, np.int16)
        done = 0
        while (left := num_samples - done) >= self._step:
            size = min(left, self._capacity) // self._step * self._step
            packet = following if done + size + self._step > num_samples else None
            length = len(packet) if packet else 0
            got = self._decode(self._state, packet, length, self._address, size, 1 if packet else 0)
            if got <= 0:
                break  # a malformed packet: what is left stays silent
            pcm[done : done + got] = self._out[:got]
            done += got
        return pcm


class _LibEncoder:
    """An `OpusEncoder` of libopus."""

    def __init__(
        self,
        library: ctypes.PyDLL,
        sample_rate: int,
        bitrate: int,
        complexity: int,
        block_ms: int,
        fec: bool,
    ) -> None:
        error = ctypes.c_int()
        self._state = library.opus_encoder_create(
            sample_rate, 1, _APPLICATION_VOIP, ctypes.byref(error)
        )
        if error.value != _OK:
            raise RuntimeError(f"opus_encoder_create failed ({error.value})")
        weakref.finalize(self, library.opus_encoder_destroy, self._state)
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, int(fec)),
            (_SET_PACKET_LOSS_PERC, _EXPECTED_LOSS_PERCENT if fec else 0),
        ):
            if library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)) != _OK:
                raise ValueError(f"libopus refused setting {request} = {value}")
        lookahead = ctypes.c_int()
        library.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(lookahead))
        self.lookahead_samples = lookahead.value
        self._encode = library.opus_encode
        self._block_samples = sample_rate * block_ms // 1000
        self._out = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        self._address = ctypes.addressof(self._out)

    def encode(self, data: bytes) -> bytes:
        got = self._encode(self._state, data, self._block_samples, self._address, _MAX_PACKET_BYTES)
        if got < 0:
            raise RuntimeError(f"opus_encode failed ({got})")
        return ctypes.string_at(self._address, got)


class _AvDecoder:
    """PyAV's decoder, which yields 48 kHz whatever is asked for, and a resampler behind it."""

    def __init__(self, sample_rate: int) -> None:
        import av

        self._av: Any = av
        self._rate = sample_rate
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate = _CLOCK_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._resampler: Any = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
        self._pending = np.zeros(0, np.int16)

    def decode(self, packet: bytes) -> Pcm:
        try:
            frames: list[Any] = self._codec.decode(self._av.Packet(packet)) if packet else []
        except self._av.FFmpegError as error:
            raise ValueError("malformed Opus packet") from error
        if not frames:
            raise ValueError("malformed Opus packet")
        for frame in frames:
            for out in self._resampler.resample(frame):
                pcm = np.frombuffer(out.planes[0], np.int16, out.samples)
                self._pending = np.concatenate([self._pending, pcm])
        # The resampler holds some samples back; packets keep their length.
        wanted = packet_samples(packet) * self._rate // _CLOCK_RATE
        ready = np.pad(self._pending, (max(0, wanted - len(self._pending)), 0))
        self._pending = ready[wanted:]
        return ready[:wanted].copy()

    def conceal(self, num_samples: int, following: bytes | None) -> Pcm:
        return np.zeros(num_samples, np.int16)


class _AvEncoder:
    """PyAV's encoder."""

    def __init__(
        self, sample_rate: int, bitrate: int, complexity: int, block_ms: int, fec: bool
    ) -> None:
        import av

        self._av: Any = av
        self._codec: Any = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate = sample_rate
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = bitrate
        self._codec.options = {
            "application": "voip",
            "compression_level": str(complexity),
            "frame_duration": str(block_ms),
            "fec": str(int(fec)),
            "packet_loss": str(_EXPECTED_LOSS_PERCENT if fec else 0),
        }
        self._codec.open()
        self._block_samples = sample_rate * block_ms // 1000
        self._pts = 0
        self.lookahead_samples = sample_rate * 13 // 2000  # 6.5 ms: VOIP, any complexity

    def encode(self, data: bytes) -> bytes:
        frame = self._av.AudioFrame(format="s16", layout="mono", samples=self._block_samples)
        frame.sample_rate = self._codec.sample_rate
        frame.pts = self._pts
        self._pts += self._block_samples
        frame.planes[0].update(data)
        packets = self._codec.encode(frame)
        if len(packets) != 1:
            raise RuntimeError("PyAV's Opus encoder did not return one packet for one block")
        return bytes(packets[0])


def _check_rate(sample_rate: int) -> None:
    if sample_rate not in SAMPLE_RATES:
        raise ValueError(f"Opus has no rate of {sample_rate} Hz, only {SAMPLE_RATES}")


def _candidates() -> Iterator[str]:
    """Paths where libopus may be: what PyAV's wheel bundles, then the system's."""
    spec = find_spec("av")
    if spec and spec.origin:
        package = Path(spec.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):  # Linux and Windows; macOS
            for pattern in ("libopus*", "opus*.dll"):
                yield from map(str, sorted(folder.glob(pattern)))
    if found := ctypes.util.find_library("opus"):
        yield found


@cache
def _libopus() -> ctypes.PyDLL | None:
    """Load libopus once for the process; None where there is none.

    As a `PyDLL`, that is, without releasing the GIL: a call takes 20-200 us, while getting the GIL
    back from a busy thread takes 5 ms and more (measured p95 6.7 ms against 0.17 ms).
    """
    pointer, integer, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: tuple[tuple[str, Any, list[Any]], ...] = (
        ("opus_decoder_create", pointer, [integer, integer, pointer]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", integer, [pointer, data, integer, pointer, integer, integer]),
        ("opus_encoder_create", pointer, [integer, integer, integer, pointer]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_encode", integer, [pointer, data, integer, pointer, integer]),
        # Variadic: only the fixed arguments are declared, as Apple's ARM64 ABI requires.
        ("opus_encoder_ctl", integer, [pointer, integer]),
    )
    for path in _candidates():
        try:
            library = ctypes.PyDLL(path)
            for name, result, arguments in signatures:
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return library
    return None
