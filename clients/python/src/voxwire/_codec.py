"""What the audio of a path on the control channel is encoded as."""

from typing import Final

from voxwire._choices import CODECS
from voxwire._path import PLAYOUT_RATE
from voxwire.audio import CAPTURE_RATE
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["CodecChoice", "check_codec"]

_INSTALL: Final = "pip install 'voxwire[opus]'"


def check_codec(wanted: str, *, loopback: bool) -> None:
    """Checks what the caller of `connect` wants. Opus is loaded where it may be used, so that no
    session that is being dialled waits for it.

    Raises:
        UsageError: No such codec, or MISSING_EXTRA with the command that installs it.
    """
    if wanted not in CODECS:
        reason = f"codec is one of {', '.join(CODECS)}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
    may_be_used = wanted == "opus" or (wanted == "auto" and not loopback)
    if may_be_used and not _here() and wanted == "opus":
        raise UsageError(ErrorCode.MISSING_EXTRA, f"Opus is not installed: {_INSTALL}")


class CodecChoice:
    """One session's choice: Opus where it is wanted and both sides can, PCM else.

    Attributes:
        opus: Whether the next path asks for Opus.
        reason: Why it is what it is: half a sentence.
    """

    def __init__(self, wanted: str = "pcm", *, loopback: bool = False) -> None:
        """Chooses; nothing is loaded unless Opus may be used."""
        self.opus = False
        if wanted == "pcm":
            self.reason = "PCM was asked for"
        elif wanted == "auto" and loopback:
            self.reason = "the server is on this machine"
        elif not _here():
            self.reason = f"Opus is not installed: {_INSTALL}"
        else:
            self.opus = True
            self.reason = "both sides can"

    @property
    def wire(self) -> wire.Codec.ValueType:
        """What the next path asks for."""
        return wire.Codec.CODEC_OPUS if self.opus else wire.Codec.CODEC_PCM_S16LE

    def answered(self, *, opus: bool) -> None:
        """The server has said what it will be."""
        if self.opus and not opus:
            self.reason = "the server carries PCM"

    def give_up(self, reason: str) -> None:
        """Opus failed: the paths of this session are PCM from here on."""
        self.opus = False
        self.reason = reason


def _here() -> bool:
    from voxwire_protocol.opus import opus_ready

    return opus_ready(CAPTURE_RATE) and opus_ready(PLAYOUT_RATE)
