"""The libopus of this machine: what PyAV's wheel brings along, else the system's."""

import ctypes
import ctypes.util
import sys
import weakref
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxwire_protocol.opus.packets import Pcm

__all__ = ["LibDecoder", "LibEncoder", "libopus"]

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
_RESET_STATE: Final = 4028

# FEC costs bits in proportion to the loss that the encoder is told to expect.
_EXPECTED_LOSS_PERCENT: Final = 10


class LibDecoder:
    """An `OpusDecoder` of libopus."""

    def __init__(self, library: ctypes.PyDLL, sample_rate: int) -> None:
        error = ctypes.c_int()
        self._state = library.opus_decoder_create(sample_rate, 1, ctypes.byref(error))
        if error.value != _OK:
            raise RuntimeError(f"opus_decoder_create failed ({error.value})")
        weakref.finalize(self, library.opus_decoder_destroy, self._state)
        self._library = library
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

    def foresee(self, num_samples: int) -> Pcm:
        # opus.h: the states "are always position independent and can be freely copied"
        state = ctypes.create_string_buffer(self._library.opus_decoder_get_size(1))
        ctypes.memmove(state, self._state, len(state))
        kept, self._state = self._state, ctypes.addressof(state)
        try:
            return self.conceal(num_samples, None)
        finally:
            self._state = kept

    def restart(self) -> None:
        self._library.opus_decoder_ctl(self._state, _RESET_STATE)


class LibEncoder:
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
        self._library = library
        self._encode = library.opus_encode
        self._block_samples = sample_rate * block_ms // 1000
        self._out = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        self._address = ctypes.addressof(self._out)

    def restart(self) -> None:
        self._library.opus_encoder_ctl(self._state, _RESET_STATE)

    def encode(self, data: bytes) -> bytes:
        got = self._encode(self._state, data, self._block_samples, self._address, _MAX_PACKET_BYTES)
        if got < 0:
            raise RuntimeError(f"opus_encode failed ({got})")
        return ctypes.string_at(self._address, got)


def _candidates() -> Iterator[str]:
    """Paths where libopus may be: what PyAV's wheel bundles, then the system's."""
    spec = find_spec("av")
    if spec and spec.origin:
        package = Path(spec.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):  # Linux and Windows; macOS
            for pattern in ("libopus*", "opus*.dll"):
                yield from map(str, sorted(folder.glob(pattern)))
    if sys.platform == "linux":
        yield "libopus.so.0"  # what find_library would find, without the processes that it starts
    elif found := ctypes.util.find_library("opus"):
        yield found


@cache
def libopus() -> ctypes.PyDLL | None:
    """Load libopus once for the process; None where there is none.

    As a `PyDLL`, that is, without releasing the GIL: a call takes 20-200 us, while getting the GIL
    back from a busy thread takes 5 ms and more (measured p95 6.7 ms against 0.17 ms).
    """
    pointer, integer, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: tuple[tuple[str, Any, list[Any]], ...] = (
        ("opus_decoder_create", pointer, [integer, integer, pointer]),
        ("opus_decoder_get_size", integer, [integer]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", integer, [pointer, data, integer, pointer, integer, integer]),
        ("opus_encoder_create", pointer, [integer, integer, integer, pointer]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_encode", integer, [pointer, data, integer, pointer, integer]),
        # Variadic: only the fixed arguments are declared, as Apple's ARM64 ABI requires.
        ("opus_decoder_ctl", integer, [pointer, integer]),
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
