"""Word times of Pipecat's TTS services, as offsets from their context's first sample.

A word frame of a service with word timestamps carries only a pts on the pipeline's clock; its
baseline is not on the frame, and a context that queues behind a playing one gets a baseline that
has nothing to do with its audio (pipecat 1.14: ``WordTimestampTracker.start``). The offset
``pts - baseline`` is right in both cases, so it is taken where the word is pushed, while the
baseline still holds. A service may instead put exact times into ``frame.metadata["word"]``
(``start_ms``, ``end_ms`` from the context's first sample); those win.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, cast

from pipecat.frames.frames import AggregatedTextFrame, Frame, TTSTextFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import TTSService

from voxwire_protocol import wire
from voxwire_protocol.text_join import join_texts

__all__ = ["OFFSET_KEY", "WORD_KEY", "note_word_offsets", "walk"]

_MAX_SENTENCES: Final = 64
_PUNCTUATION: Final = re.compile(r"[^\w\s]+")

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

    spaces = _Spaces()

    async def before_push(processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, TTSTextFrame):
            spaces.restore(frame)
            baseline = _baseline_ns(processor)
            # text that was never timed is pushed at the end with the pts of an older context
            if baseline is not None and frame.pts and frame.pts >= baseline:
                frame.metadata[OFFSET_KEY] = (frame.pts - baseline) / 1e6
        elif isinstance(frame, AggregatedTextFrame):
            spaces.announced(frame)

    tts.add_event_handler("on_before_push_frame", before_push)
    source = wire.TimingSource
    return source.TIMING_SOURCE_ESTIMATED if timeless else source.TIMING_SOURCE_PROVIDER_WORD


class _Spaces:
    """Puts back what Pipecat 1.14 takes from words that bring their own spaces.

    It strips every word, so that "Hel", "lo ", "there" would be joined to "Hellothere"; the
    sentence, which is announced before, still has the space. And it writes a punctuation mark
    twice into the context that the synthesiser gives as a word of its own: with the word before
    it, and as itself.
    """

    def __init__(self) -> None:
        self._sentences: OrderedDict[int, tuple[str, int]] = OrderedDict()
        self._before = ""

    def announced(self, frame: AggregatedTextFrame) -> None:
        """A sentence will be spoken; its words name it by its id."""
        self._sentences[frame.id] = frame.text, 0
        if len(self._sentences) > _MAX_SENTENCES:
            self._sentences.popitem(last=False)

    def restore(self, frame: TTSTextFrame) -> None:
        """A word leaves the synthesiser."""
        before, self._before = self._before, frame.raw_text or frame.text
        if frame.raw_text is None and _PUNCTUATION.fullmatch(frame.text):
            frame.append_to_context &= not before.endswith(frame.text)
        segment = frame.segment_id
        if not frame.includes_inter_frame_spaces or segment not in self._sentences:
            return
        sentence, cursor = self._sentences[segment]
        at = sentence.find(frame.text, cursor)
        if at < 0:
            return
        self._sentences[segment] = sentence, at + len(frame.text)
        if at == 0 and before:  # a sentence begins
            spaced = join_texts(before, frame.text) != before + frame.text
        else:
            spaced = sentence[cursor:at].isspace()
        if not spaced:
            return
        frame.text = f" {frame.text}"
        if frame.raw_text:
            frame.raw_text = f" {frame.raw_text}"
