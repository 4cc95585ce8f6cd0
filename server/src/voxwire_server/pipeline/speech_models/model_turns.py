"""Turns of a model that speaks by itself, as contexts, where Pipecat's service names none.

Pure. A synthesiser's audio carries the id of its context; a speech-to-speech service pushes audio
and transcript bare, between a start and a stop. Every turn of such a model becomes one context.
"""

from dataclasses import dataclass
from typing import Final

from pipecat.frames.frames import (
    ControlFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from voxwire_server.pipeline.contexts import LIVE_PREFIX

__all__ = ["SPOKEN_KEY", "AllSaid", "ModelTurns"]

SPOKEN_KEY: Final = "voxwire_spoken"
"""Metadata key on a text frame of the model: the context whose transcript it continues."""


@dataclass
class AllSaid(ControlFrame):
    """The model has said all of its turn, audio and transcript; the turn itself may go on."""

    context_id: str | None = None


class ModelTurns:
    """Gives the frames of one speech-to-speech service the context of their turn."""

    def __init__(self) -> None:
        """Starts before the first turn."""
        self._number = 0
        self._begun = False
        self._said = 0
        self._spoken = 0

    @property
    def context_id(self) -> str:
        """The context of the turn that runs, or ran last."""
        return f"{LIVE_PREFIX}{self._number}"

    def note(self, frame: Frame) -> None:
        """A frame leaves the service: give it its context, before it is pushed."""
        if isinstance(frame, TTSStartedFrame | LLMFullResponseStartFrame):
            self._begin()
        elif isinstance(frame, InterruptionFrame):
            self._begun = False  # what still comes without a start belongs to the turn that was cut
        if isinstance(frame, TTSTextFrame):
            self._note_spoken(frame)
        elif isinstance(frame, LLMTextFrame):
            self._said += len(frame.text)
            frame.metadata[SPOKEN_KEY] = self.context_id
        elif isinstance(frame, TTSStartedFrame | TTSAudioRawFrame | TTSStoppedFrame | AllSaid):
            frame.context_id = self.context_id
            if isinstance(frame, TTSStoppedFrame):
                self._begun = False

    def _begin(self) -> None:
        """A start: of a new turn, unless its other start came just before."""
        if not self._begun:
            self._begun = True
            self._number += 1
            self._said = self._spoken = 0

    def _note_spoken(self, frame: TTSTextFrame) -> None:
        """Services push their transcript twice; the earlier one is taken, and not both."""
        frame.context_id = self.context_id
        self._spoken += len(frame.text)
        if self._spoken > self._said:
            self._said = self._spoken
            frame.metadata[SPOKEN_KEY] = self.context_id
