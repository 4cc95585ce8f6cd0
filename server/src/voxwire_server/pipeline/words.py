"""Word times of Pipecat's TTS services, as offsets from their context's first sample.

A word frame of a service with word timestamps carries only a pts on the pipeline's clock; its
baseline is not on the frame, and a context that queues behind a playing one gets a baseline that
has nothing to do with its audio (pipecat 1.14: ``WordTimestampTracker.start``). The offset
``pts - baseline`` is right in both cases, so it is taken where the word is pushed, while the
baseline still holds. A service may instead put exact times into ``frame.metadata["word"]``
(``start_ms``, ``end_ms`` from the context's first sample); those win.
"""

from collections.abc import Iterable
from typing import Any, Final, cast

from pipecat.frames.frames import Frame, TTSTextFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

from voxwire_protocol import wire

__all__ = ["OFFSET_KEY", "WORD_KEY", "note_word_offsets", "walk"]

OFFSET_KEY: Final = "voxwire_offset_ms"
"""Metadata key: start of a word in milliseconds after its context's first sample."""

WORD_KEY: Final = "word"
"""Metadata key: a dict with start_ms and end_ms (and optionally char_start, char_end)."""


def walk(processors: Iterable[FrameProcessor]) -> Iterable[FrameProcessor]:
    """Every processor, those inside pipelines and parallel branches included."""
    for processor in processors:
        yield processor
        yield from walk(processor.processors)


def _baseline_ns(tts: Any) -> int | None:
    """The service's current word-timestamp baseline on the pipeline's clock, nanoseconds."""
    return tts._word_timestamp_tracker._baseline


def note_word_offsets(tts: TTSService) -> wire.TimingSource:
    """Have ``tts`` write :data:`OFFSET_KEY` on each word frame that it pushes.

    Returns:
        Where the service's word times come from.

    Raises:
        RuntimeError: This Pipecat keeps its baseline elsewhere; words would be misplaced.
    """
    try:
        _baseline_ns(tts)
        timeless = bool(cast(Any, tts)._push_text_frames)
    except AttributeError as error:
        raise RuntimeError(
            "this pipecat-ai keeps its word-timestamp baseline elsewhere; "
            "voxwire-server supports pipecat-ai 1.14"
        ) from error

    async def before_push(processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, TTSTextFrame) and frame.pts:
            baseline = _baseline_ns(processor)
            if baseline is not None:
                frame.metadata[OFFSET_KEY] = (frame.pts - baseline) / 1e6

    tts.add_event_handler("on_before_push_frame", before_push)
    source = wire.TimingSource
    return source.TIMING_SOURCE_ESTIMATED if timeless else source.TIMING_SOURCE_PROVIDER_WORD
