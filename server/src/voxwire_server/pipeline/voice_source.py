"""The bot's voice, frame by frame: formatted, handed on, and ended where its end is."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from pipecat.frames.frames import AudioRawFrame

from voxwire_server.pipeline.voice_format import UnusableAudioError, VoiceFormat

__all__ = ["VoiceSource"]

_TAIL_SECS: Final = 0.05
"""Audio of no context has ended when none has come for so long, and 1.5 times its last frame."""

_STALLED_SECS: Final = 0.5
"""A synthesiser may be slow, and may say late that it has ended; what is placed within a second
of what came before continues it without a gap."""


class _Place(Protocol):
    def __call__(self, context: str | None, pcm: bytes, *, spoken: bool) -> None: ...


class VoiceSource:
    """Takes audio frames and hands on what they hold, in the session's format.

    A resampler holds the last milliseconds of what it was given back. They are handed on when the
    context ends (`finish`), when another one begins, and when no more has come for a while.

    Args:
        audio: Formats it.
        place: Takes the audio of a context (None = of none); ``spoken`` = it is part of an answer.
        refuse: Takes why audio cannot be played, once for each reason.
        guarded: Wraps what a timer calls, for instance ``Drops.guarded`` with the voice's name.
    """

    def __init__(
        self,
        audio: VoiceFormat,
        *,
        place: _Place,
        refuse: Callable[[str], None],
        guarded: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self.format = audio
        self._place = place
        self._refuse = refuse
        self._finish_later = guarded(self.finish)
        self._refused: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, frame: AudioRawFrame, context: str | None, *, spoken: bool) -> bool:
        """Hand a frame's audio on; False when nothing of it is there yet."""
        try:
            voiced = self.format.convert(frame, context)
        except UnusableAudioError as error:
            if str(error) not in self._refused:
                self._refused.add(str(error))
                self._refuse(f"audio of the bot's own cannot be used: {error}")
            return False
        for part, pcm in voiced:
            self._place(part, pcm, spoken=spoken)
        self.wait()
        if self.format.holds_back:
            frame_secs = len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)
            secs = _TAIL_SECS + 1.5 * frame_secs if context is None else _STALLED_SECS
            self._timer = asyncio.get_running_loop().call_later(secs, self._finish_later)
        return bool(voiced)

    def finish(self, context: str | None = None) -> None:
        """A context has ended (None = whichever speaks): hand the last of it on."""
        self.wait()
        if self.format.ends(context):
            for part, pcm in self.format.finish():
                self._place(part, pcm, spoken=part is not None)

    def wait(self) -> None:
        """More comes, however long it takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """Nothing of what was taken is to be heard any more."""
        self.wait()
        self.format.cut()
