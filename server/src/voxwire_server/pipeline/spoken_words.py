"""The words of a synthesiser's text frame, and where each stands on the media clock."""

from typing import Any

from pipecat.frames.frames import TTSTextFrame

from voxwire_server.pipeline.output_frames import copy_word
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.words import OFFSET_KEY, WORD_KEY

__all__ = ["place_text"]


def place_text(
    frame: TTSTextFrame, utterances: Utterances, *, end_ms: int
) -> list[tuple[TTSTextFrame, float]]:
    """Place a text frame of a context: a word with its time, or a sentence without.

    Args:
        frame: The frame; it has a context.
        utterances: Where its words are kept.
        end_ms: End of the audio that is placed, for a word whose audio has not come.

    Returns:
        Frames with the position of each, ms; nothing for a sentence without audio.
    """
    context = frame.context_id or ""
    times: dict[str, Any] | None = frame.metadata.get(WORD_KEY)
    offset: float | None = frame.metadata.get(OFFSET_KEY)
    if times is None and offset is None:
        return [
            (copy_word(frame, word, TTSTextFrame), float(word.start_ms))
            for word in utterances.sentence(context, frame.text)
        ]
    if times is not None:
        start, end = float(times["start_ms"]), float(times["end_ms"])
    else:
        start, end = float(offset or 0.0), None
    word = utterances.timed_word(context, frame.text.strip(), start, end)
    return [(frame, float(word.start_ms) if word else end_ms + start)]
