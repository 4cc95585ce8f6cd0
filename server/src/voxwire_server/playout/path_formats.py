"""The formats of a media path, as a client names them and is told them. Pure."""

from typing import Final

from voxwire_protocol import wire
from voxwire_server.ports import Format, Opened

__all__ = ["BLOCKS_MS", "SAMPLE_RATES", "formats_known", "path_answer"]

SAMPLE_RATES: Final = frozenset({8000, 16000, 24000, 32000, 44100, 48000})
"""Rates that a client may name in a format, Hz."""
BLOCKS_MS: Final = frozenset({0, 10, 20, 40, 60})
"""Block lengths that a client may name, milliseconds; 0 = the server's choice."""

_CODECS: Final = frozenset(wire.Codec.values())


def formats_known(request: wire.PathOpen) -> bool:
    """True when both formats are left open or exist: nothing is computed from odd numbers."""
    return _known(request, "capture") and _known(request, "playout")


def path_answer(made: Opened) -> wire.PathAnswer:
    """What a client is told of a path that was made for it."""
    formats = made.path.formats
    return wire.PathAnswer(
        path_id=made.path.path_id,
        capture=_told(formats.capture),
        playout=_told(formats.playout),
        sdp_answer=made.sdp_answer,
        room_url=made.room_url,
        room_token=made.room_token,
    )


def _told(form: Format) -> wire.AudioFormat:
    return wire.AudioFormat(
        codec=form.codec,
        sample_rate=form.sample_rate,
        num_channels=1,
        block_ms=form.block_ms,
    )


def _known(request: wire.PathOpen, name: str) -> bool:
    if not request.HasField(name):  # type: ignore[arg-type]
        return True
    asked: wire.AudioFormat = getattr(request, name)
    return (
        asked.codec in _CODECS
        and asked.sample_rate in SAMPLE_RATES
        and asked.num_channels in (0, 1)
        and asked.block_ms in BLOCKS_MS
    )
