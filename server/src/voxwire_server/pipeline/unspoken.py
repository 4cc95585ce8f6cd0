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
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

from voxwire_server.pipeline.words import OFFSET_KEY

__all__ = ["UNSPOKEN_KEY", "UnspokenText"]

UNSPOKEN_KEY: Final = "voxwire_unspoken"
"""Metadata key of a text frame whose sentence has no sound."""

_KEPT: Final = 64


class UnspokenText:
    """Marks the text of sentences that one synthesiser has announced and not spoken.

    Args:
        tts: The synthesiser; its words have their offsets by then (`note_word_offsets`).
    """

    def __init__(self, tts: TTSService) -> None:
        self._silent: dict[int, str | None] = {}
        self._failed: dict[int, str | None] = {}
        self._last_pts = 0
        self._last_context: str | None = None
        tts.add_event_handler("on_before_push_frame", self._pushed)

    def owes(self, context: str) -> bool:
        """Whether a sentence of a context was announced, and no sound has come since."""
        return context in self._silent.values()

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
        # the first word of a context that queues behind another has the pts of its last one, too
        first = OFFSET_KEY in frame.metadata and frame.context_id != self._last_context
        late = bool(frame.pts) and frame.pts == self._last_pts and not first
        if sentence in self._failed or (sentence in self._silent and late):
            frame.metadata[UNSPOKEN_KEY] = True
        self._last_pts, self._last_context = frame.pts or 0, frame.context_id


def _keep(memory: dict[int, str | None], key: int, value: str | None) -> None:
    memory[key] = value
    if len(memory) > _KEPT:
        del memory[next(iter(memory))]
