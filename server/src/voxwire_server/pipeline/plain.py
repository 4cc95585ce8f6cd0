"""Processors that are no services and do a service's work all the same.

Whoever pushes a frame of the conversation is its source, except for a processor that was given one
of that kind before: it rewrites what another one said, and that has been told already.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

__all__ = ["PlainProcessor", "PlainVoice", "is_answer"]

_QUIET_SECS: Final = 2.0
_Guarded = Callable[[Callable[[], None]], Callable[[], None]]
_VOICE = TTSStartedFrame | TTSAudioRawFrame | TTSTextFrame | TTSStoppedFrame


def is_answer(frame: Frame) -> bool:
    """Whether a frame is part of what a model writes."""
    return type(frame) is TextFrame or isinstance(
        frame, LLMFullResponseStartFrame | LLMTextFrame | LLMFullResponseEndFrame
    )


class PlainVoice:
    """Gives bare audio and text of a processor that speaks a context, as a synthesiser would.

    Args:
        prefix: Begins the names of its contexts.
        stop: Ends a context that its processor has left open: is given the frame to push.
        guarded: Wraps what a timer calls, for instance ``Session.guarded``.
    """

    def __init__(
        self, prefix: str, stop: Callable[[TTSStoppedFrame], None], *, guarded: _Guarded
    ) -> None:
        self._prefix = prefix
        self._stop = stop
        self._stop_later = guarded(self._left_open)
        self._number = 0
        self._context: str | None = None
        self._own = False
        self._timer: asyncio.TimerHandle | None = None

    def given(self, frame: Frame) -> None:
        """It was given a frame: what it makes of another one's voice belongs to that."""
        if isinstance(frame, TTSStartedFrame | TTSAudioRawFrame) and frame.context_id:
            self._context, self._own = frame.context_id, False
        elif isinstance(frame, InterruptionFrame):
            self._end()

    def note(self, frame: Frame) -> None:
        """It pushes a frame: give it its context, before it is pushed."""
        if not isinstance(frame, _VOICE):
            return
        if frame.context_id is None:
            if self._context is None or (isinstance(frame, TTSStartedFrame) and self._own):
                self._number += 1
                self._context, self._own = f"{self._prefix}-{self._number}", True
            frame.context_id = self._context
        else:
            self._context, self._own = frame.context_id, False
        if isinstance(frame, TTSStoppedFrame):
            self._end()
        elif self._own:
            self._restart()

    def _end(self) -> None:
        self._context, self._own = None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_QUIET_SECS, self._stop_later)

    def _left_open(self) -> None:
        context = self._context
        self._end()
        self._stop(TTSStoppedFrame(context_id=context))


class PlainProcessor:
    """What one such processor was given, and the voice that it may be.

    Args:
        name: Its name.
        stop: As for :class:`PlainVoice`.
        guarded: Likewise.
    """

    def __init__(
        self, name: str, stop: Callable[[TTSStoppedFrame], None], *, guarded: _Guarded
    ) -> None:
        self.voice = PlainVoice(name, stop, guarded=guarded)
        self._transcripts = False
        self._answers = False

    def given(self, frame: Frame) -> None:
        """It is about to process a frame."""
        if isinstance(frame, LLMContextFrame):
            self._answers = False
        elif isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            self._transcripts = True
        elif is_answer(frame):
            self._answers = True
        else:
            self.voice.given(frame)

    def rewrites(self, frame: Frame) -> bool:
        """Whether a frame of its own is made of what another processor said."""
        if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
            return self._transcripts
        return is_answer(frame) and self._answers
