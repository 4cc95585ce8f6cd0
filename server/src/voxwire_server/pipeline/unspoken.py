"""Text that a synthesiser was given and has not spoken: it is not part of the conversation.

Pipecat's services push the text of a sentence that failed, or that was silent, when its context
ends (pipecat 1.14: ``_apply_force_complete``, ``_push_spoken_text``). Such a frame is marked.
"""

from typing import Final

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

__all__ = ["UNSPOKEN_KEY", "SilentContexts", "UnspokenText"]

UNSPOKEN_KEY: Final = "voxwire_unspoken"
"""Metadata key of a text frame whose sentence has no sound."""

_KEPT: Final = 64
_KEPT_CONTEXTS: Final = 8


class UnspokenText:
    """Marks the text of sentences that one synthesiser has announced and not spoken.

    Args:
        tts: The synthesiser.
    """

    def __init__(self, tts: TTSService) -> None:
        self._silent: dict[int, str | None] = {}
        self._failed: dict[int, str | None] = {}
        self._last_pts = 0
        tts.add_event_handler("on_before_push_frame", self._pushed)

    def _pushed(self, _: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            if self._silent:
                self._sounds(frame.context_id)
        elif isinstance(frame, TTSTextFrame):
            self._text(frame)
        elif isinstance(frame, AggregatedTextFrame):
            if frame.will_be_spoken:
                _keep(self._silent, frame.id, frame.context_id)
        elif isinstance(frame, ErrorFrame):
            for sentence in self._silent:
                _keep(self._failed, sentence, None)
            self._silent.clear()

    def _sounds(self, context: str | None) -> None:
        self._silent = {s: c for s, c in self._silent.items() if c != context}

    def _text(self, frame: TTSTextFrame) -> None:
        sentence = frame.segment_id
        late = bool(frame.pts) and frame.pts == self._last_pts
        if sentence in self._failed or (sentence in self._silent and late):
            frame.metadata[UNSPOKEN_KEY] = True
        self._last_pts = frame.pts or 0


class SilentContexts:
    """Contexts that have begun and have no sound yet, with their text, which waits for it.

    Without a sound it is never let go: nobody has heard it.
    """

    def __init__(self) -> None:
        self._texts: dict[str, list[TTSTextFrame]] = {}

    def note(self, frame: Frame) -> None:
        """A frame comes by: perhaps the start of a context that an interruption may cut."""
        if isinstance(frame, TTSStartedFrame) and frame.context_id and frame.interruptible:
            self._begin(frame.context_id)

    def wait(self, text: TTSTextFrame) -> None:
        """A text of a context without sound."""
        self._begin(text.context_id or "").append(text)

    def _begin(self, context: str) -> list[TTSTextFrame]:
        texts = self._texts.setdefault(context, [])
        if len(self._texts) > _KEPT_CONTEXTS:
            del self._texts[next(iter(self._texts))]
        return texts

    def sounds(self, context: str) -> list[TTSTextFrame]:
        """A context has a sound: the text that has waited for it."""
        return self._texts.pop(context, [])

    def cut(self) -> list[str]:
        """An interruption: the contexts that it cuts, before any of their sound."""
        kept = {c: t for c, t in self._texts.items() if any(not f.interruptible for f in t)}
        gone = [context for context in self._texts if context not in kept]
        self._texts = kept
        return gone


def _keep(memory: dict[int, str | None], key: int, value: str | None) -> None:
    memory[key] = value
    if len(memory) > _KEPT:
        del memory[next(iter(memory))]
