"""What has to outlive a connection to a model: the user's voice, and what is owed to it. Pure."""

from collections import deque
from enum import Enum, auto
from typing import Final

from pipecat.frames.frames import InputAudioRawFrame

__all__ = ["KEPT_SECS", "KeptVoice", "Owed"]

KEPT_SECS: Final = 30.0
"""Longest stretch of the user's voice that is kept."""


class Owed(Enum):
    """What the model owes an answer to."""

    TURN = auto()
    """The user's voice, of which nothing came back but perhaps its transcript."""
    TEXT = auto()
    CALL = auto()
    """Nothing yet: the tool is running."""
    RESULT = auto()


class KeptVoice:
    """The user's voice, kept for as long as it may have to be sent again."""

    def __init__(self) -> None:
        """Starts with nothing kept."""
        self._blocks: deque[InputAudioRawFrame] = deque()
        self._secs = 0.0

    def __len__(self) -> int:
        return len(self._blocks)

    def keep(self, frame: InputAudioRawFrame, limit_secs: float = KEPT_SECS) -> None:
        """Keep a block; the oldest go as soon as there is more than the limit."""
        self._blocks.append(frame)
        self._secs += frame.num_frames / frame.sample_rate
        while self._secs > limit_secs:
            oldest = self._blocks.popleft()
            self._secs -= oldest.num_frames / oldest.sample_rate

    def take(self) -> list[InputAudioRawFrame]:
        """Everything, in order; nothing is kept then."""
        blocks = list(self._blocks)
        self._blocks.clear()
        self._secs = 0.0
        return blocks
