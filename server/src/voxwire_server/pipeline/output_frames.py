"""What stands in the release queue beside Pipecat's frames, and what a cut leaves. Pure."""

from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import InterruptionFrame, SystemFrame, TTSTextFrame
from pipecat.pipeline.pipeline import PipelineSink
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameProcessor

from voxwire_protocol import wire
from voxwire_server.outgoing import app_json
from voxwire_server.pipeline.utterance import PlacedWord

__all__ = [
    "BotStarts",
    "CutTurn",
    "FirstSound",
    "HeardWord",
    "SourcedInterruption",
    "app_message",
    "copy_word",
    "is_heard_behind",
    "source_of",
]


_USER = wire.InterruptionSource.INTERRUPTION_SOURCE_USER


@dataclass
class SourcedInterruption(InterruptionFrame):
    """An interruption that says who it comes from; Pipecat's own is the user's.

    Attributes:
        source: Who cuts the bot off.
    """

    source: "wire.InterruptionSource" = _USER


def source_of(frame: InterruptionFrame) -> "wire.InterruptionSource":
    """Who an interruption comes from."""
    return frame.source if isinstance(frame, SourcedInterruption) else _USER


@dataclass
class HeardWord(TTSTextFrame, SystemFrame):
    """A word heard before an interruption: system tier, so it stays ahead of it, in order."""


@dataclass(frozen=True, slots=True)
class CutTurn:
    """A turn of a speech-to-speech model that was cut.

    Attributes:
        context_id: Its context.
        heard: Its words that were heard.
        heard_ms: How much of its audio was heard.
        whole: Whether that is all there was.
    """

    context_id: str
    heard: str
    heard_ms: int
    whole: bool


@dataclass(slots=True)
class BotStarts:
    """Marks the start of an utterance in the release queue."""


@dataclass(slots=True)
class FirstSound:
    """Marks the first audible sample of an answer in the release queue."""


def copy_word(
    frame: TTSTextFrame, word: PlacedWord | None, kind: type[TTSTextFrame]
) -> TTSTextFrame:
    """A word frame like ``frame``, for one word of it or for all of it."""
    text = frame.text if word is None else word.text
    copy = kind(text, text_type=frame.text_type, segment_id=frame.segment_id)
    copy.context_id = frame.context_id
    copy.append_to_context = frame.append_to_context
    copy.will_be_spoken = frame.will_be_spoken
    if word is None:
        copy.raw_text = frame.raw_text
        copy.includes_inter_frame_spaces = frame.includes_inter_frame_spaces
    return copy


def is_heard_behind(processor: FrameProcessor) -> bool:
    """Whether a processor behind this one may use the audio (a recorder, say)."""
    behind = processor.next
    while behind is not None:
        if not isinstance(behind, PipelineSink | LLMAssistantAggregator):
            return True
        behind = behind.next
    return False


def app_message(message: Any) -> wire.AppMessage:
    """A message of the pipeline's own, for the client's application.

    Raises:
        JsonTextError: It cannot be sent.
    """
    return wire.AppMessage(type="pipecat", data_json=app_json(message))
