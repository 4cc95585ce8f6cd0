"""The bot's voice as the session wants it: mono, at its rate, as loud as was asked."""

from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pipecat.audio.utils import scale_audio
from pipecat.frames.frames import AudioRawFrame
from soxr import ResampleStream

__all__ = ["UnusableAudioError", "VoiceFormat", "Voiced"]

_MIN_RATE: Final = 1000
_MAX_RATE: Final = 768_000
_MAX_CHANNELS: Final = 8
_NOTHING: Final = np.zeros(0, np.int16)

Voiced = list[tuple[str | None, bytes]]
"""Pieces of audio in the session's format, each with its context (None = of none)."""


class UnusableAudioError(ValueError):
    """A frame whose audio cannot be played; the text says what it must be."""


@dataclass(slots=True)
class _Stretch:
    """Audio that continues itself: one context, one rate, one number of channels."""

    context: str | None
    sample_rate: int
    num_channels: int
    resampler: ResampleStream | None
    rest: bytes = field(default=b"")

    def continued_by(self, frame: AudioRawFrame, context: str | None) -> bool:
        form = (context, frame.sample_rate, frame.num_channels)
        return form == (self.context, self.sample_rate, self.num_channels)


class VoiceFormat:
    """Brings audio frames to the session's format; nothing of a stretch is lost.

    Args:
        sample_rate: The session's rate, Hz.
        volume: Factor for the samples; 1 = as they are.
    """

    def __init__(self, *, sample_rate: int, volume: float) -> None:
        self.volume = volume
        self._rate = sample_rate
        self._stretch: _Stretch | None = None

    @property
    def holds_back(self) -> bool:
        """True while a resampler has the last milliseconds of what it was given."""
        return self._stretch is not None and self._stretch.resampler is not None

    def convert(self, frame: AudioRawFrame, context: str | None) -> Voiced:
        """The frame's audio: int16 little-endian PCM, mono, at the session's rate.

        A sample that a frame has half of waits for the next frame.

        Args:
            frame: int16 little-endian PCM, interleaved.
            context: What it belongs to; the end of another stretch comes out first.

        Raises:
            UnusableAudioError: It has no such audio.
        """
        _check(frame)
        ended: Voiced = []
        stretch = self._stretch
        if stretch is None or not stretch.continued_by(frame, context):
            ended = self.finish()
            stretch = self._stretch = self._begin(frame, context)
        data = stretch.rest + bytes(frame.audio)
        whole = len(data) - len(data) % (2 * stretch.num_channels)
        stretch.rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2")
        if stretch.num_channels > 1:
            mean = samples.reshape(-1, stretch.num_channels).mean(axis=1)
            samples = np.rint(mean).astype(np.int16)
        if stretch.resampler is not None:
            samples = stretch.resampler.resample_chunk(samples)
        return [*ended, *self._voiced(context, samples)]

    def finish(self) -> Voiced:
        """The stretch has ended: what its resampler held back."""
        stretch, self._stretch = self._stretch, None
        if stretch is None or stretch.resampler is None:
            return []
        return self._voiced(stretch.context, stretch.resampler.resample_chunk(_NOTHING, last=True))

    def ends(self, context: str | None) -> bool:
        """Whether the stretch belongs to a context that ended; None = to any."""
        return self._stretch is not None and context in (None, "", self._stretch.context)

    def cut(self) -> None:
        """What comes next does not continue what came before, and that is not heard to its end."""
        self._stretch = None

    def _begin(self, frame: AudioRawFrame, context: str | None) -> _Stretch:
        resampler = None
        if frame.sample_rate != self._rate:
            resampler = ResampleStream(
                frame.sample_rate, self._rate, 1, dtype="int16", quality="MQ"
            )
        return _Stretch(context, frame.sample_rate, frame.num_channels, resampler)

    def _voiced(self, context: str | None, samples: NDArray[Any]) -> Voiced:
        if not len(samples):
            return []
        pcm = samples.astype("<i2", copy=False).tobytes()
        return [(context, pcm if self.volume == 1.0 else scale_audio(pcm, self.volume))]


def _check(frame: AudioRawFrame) -> None:
    audio = cast("object", frame.audio)
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise UnusableAudioError("a frame's audio must be bytes of int16 samples")
    for value, least, most, name in (
        (frame.sample_rate, _MIN_RATE, _MAX_RATE, "sample_rate"),
        (frame.num_channels, 1, _MAX_CHANNELS, "num_channels"),
    ):
        if type(value) is not int or not least <= value <= most:
            raise UnusableAudioError(
                f"a frame's {name} must be a whole number of {least} to {most}"
            )
