"""The words of synthesisers: each waits for its context's first sample, then stands at its place.

A word whose context has no placed sound has no position on the media clock, and nobody has heard
it: it waits here. A context that ends without a sound takes its words along.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Container
from typing import Any, Final, cast

from pipecat.frames.frames import Frame, TTSStartedFrame, TTSStoppedFrame, TTSTextFrame

from voxwire_server.outgoing import sendable
from voxwire_server.pipeline.output_frames import copy_word
from voxwire_server.pipeline.unspoken import UNSPOKEN_KEY
from voxwire_server.pipeline.utterance import PlacedWord
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.words import OFFSET_KEY, WORD_KEY

__all__ = ["SpokenWords"]

_log = logging.getLogger("voxwire.pipeline")

_MAX_CONTEXTS: Final = 32
_MAX_FRAMES: Final = 4096


class SpokenWords:
    """Places the text frames of synthesis contexts behind their sound.

    Args:
        utterances: Where the words are kept, and told to the client.
        hold: Puts a frame into the release queue at a position, ms.
        end_ms: End of the placed audio on the media clock.
        cut_contexts: Contexts of which nothing is wanted any more.
    """

    def __init__(
        self,
        utterances: Utterances,
        *,
        hold: Callable[[Frame, float], None],
        end_ms: Callable[[], int],
        cut_contexts: Container[str | None],
    ) -> None:
        self._utterances = utterances
        self._hold = hold
        self._end_ms = end_ms
        self._cut_contexts = cut_contexts
        self._waiting: dict[str, list[Frame]] = {}
        self._stopped: deque[str] = deque(maxlen=_MAX_CONTEXTS)
        self._begun: deque[str] = deque(maxlen=_MAX_CONTEXTS)

    @property
    def contexts(self) -> list[str]:
        """Contexts that have begun or have text, and no sound yet."""
        return [*self._waiting, *self._begun]

    def timed(self, context: str) -> bool:
        """Whether words with times of their own wait for the sound of a context."""
        waiting = self._waiting.get(context, [])
        return any(isinstance(f, TTSTextFrame) and _times(f) is not None for f in waiting)

    def take(self, frame: Frame) -> bool:
        """Take a frame that belongs to a context: its text, or what comes behind waiting text.

        Returns:
            False when the frame is nothing of this kind.
        """
        context = getattr(frame, "context_id", None)
        if not isinstance(context, str) or not context:
            return False
        if isinstance(frame, TTSStoppedFrame):
            return False
        if isinstance(frame, TTSStartedFrame) and frame.interruptible:
            self._begun.append(context)
        text = isinstance(frame, TTSTextFrame)
        if text and UNSPOKEN_KEY in frame.metadata:
            return True
        if not text and context not in self._waiting:
            return False
        if context in self._cut_contexts:
            return text
        if text:
            frame.text = sendable(frame.text)
            if frame.raw_text is not None:
                frame.raw_text = sendable(frame.raw_text)
        if isinstance(frame, TTSTextFrame) and self._has_said(frame, context):
            self._hold(frame, 0.0)  # it comes late: what it says was heard
        elif self._utterances.get(context) is None or self._is_ahead(frame, context):
            self._wait(frame, context)
        else:
            self._place(frame, context)
        return True

    def _has_said(self, frame: TTSTextFrame, context: str) -> bool:
        """Whether what a text says stood in an utterance of its context that has ended."""
        utterance, past = self._utterances.get(context), self._utterances.past
        times = _times(frame)
        if times is not None and times[0] is not None:
            fresh = utterance is None or not utterance.words
            return past.has_said(context, times[0], fresh=fresh)
        if utterance is not None or context in self._waiting:
            return False
        return context in past if times is not None else past.has_text(context)

    def _is_ahead(self, frame: Frame, context: str) -> bool:
        """Whether a frame of a context that was stopped belongs to sound that may come yet."""
        utterance = self._utterances.get(context)
        if utterance is None or context not in self._stopped:
            return False
        if not isinstance(frame, TTSTextFrame):
            return context in self._waiting
        start_ms = (_times(frame) or (None, None))[0]
        said_ms = self._utterances.past.ms(context) + utterance.sound_ms
        return start_ms is not None and said_ms <= start_ms

    def is_over(self, context: str) -> bool:
        """Whether a context was stopped and has not sounded since."""
        return context in self._stopped

    def _wait(self, frame: Frame, context: str) -> None:
        frames = self._waiting.setdefault(context, [])
        frames.append(frame)
        if len(frames) > _MAX_FRAMES or len(self._waiting) > _MAX_CONTEXTS:
            oldest = next(iter(self._waiting))
            _log.warning("too much text waits for its sound; the oldest is dropped")
            del self._waiting[oldest]

    def sounds(self, context: str) -> None:
        """The first sample of a context, or behind its stop, was placed: its words get places."""
        self._forget_begun(context)
        if context in self._stopped:
            self._stopped.remove(context)
        for frame in self._waiting.pop(context, []):
            if isinstance(frame, TTSTextFrame) and _times(frame) is None:
                self._wait(frame, context)  # how long it takes to say is not known yet
            else:
                self._place(frame, context)

    def stops(self, context: str) -> None:
        """No more sound of a context comes: what still waits is placed, or was never said."""
        self._forget_begun(context)
        if context in self._cut_contexts:
            return
        if self._utterances.get(context) is not None:
            for frame in self._estimate(context):
                if isinstance(frame, TTSTextFrame) and _times(frame) is not None:
                    self._wait(frame, context)
                else:
                    self._hold(frame, float(self._end_ms()))
            self._utterances.settle(context)
            if context not in self._stopped:
                self._stopped.append(context)
        else:
            self._hold_others(context)

    def _hold_others(self, context: str) -> None:
        """Let go of what waits with the text of a context that may sound again."""
        for frame in self._waiting.pop(context, []):
            if not isinstance(frame, TTSTextFrame):
                self._hold(frame, float(self._end_ms()))
            elif context in self._utterances.past:
                self._wait(frame, context)

    def _forget_begun(self, context: str) -> None:
        if context in self._begun:
            self._begun.remove(context)

    def cut(self) -> None:
        """The bot is interrupted: text whose sound is placed gets its place; the rest is void."""
        for context in list(self._waiting):
            if self._utterances.get(context) is not None:
                self._estimate(context)
        self._waiting.clear()
        self._begun.clear()

    def _place(self, frame: Frame, context: str) -> None:
        times = _times(frame) if isinstance(frame, TTSTextFrame) else None
        if not isinstance(frame, TTSTextFrame):
            self._hold(frame, self._last_ms(context))
        elif times is not None:
            word = self._utterances.timed_word(
                context, frame.text, *times, own_spaces=frame.includes_inter_frame_spaces
            )
            self._hold(frame, float(word.start_ms) if word else self._last_ms(context))
        else:
            for left in self._estimate(context):
                self._wait(left, context)
            if context in self._waiting or not self._say(frame, context):
                self._wait(frame, context)

    def _last_ms(self, context: str) -> float:
        utterance = self._utterances.get(context)
        if utterance is None:
            return float(self._end_ms())
        return float(utterance.words[-1].start_ms if utterance.words else utterance.start_ms)

    def _estimate(self, context: str) -> list[Frame]:
        """Give the sentences that wait the sound that came since; what is left without any."""
        frames = self._waiting.pop(context, [])
        for at, frame in enumerate(frames):
            if isinstance(frame, TTSTextFrame) and (
                _times(frame) is not None or not self._say(frame, context)
            ):
                return frames[at:]
        return []

    def _say(self, frame: TTSTextFrame, context: str) -> bool:
        words = self._utterances.sentence(context, frame.text)
        own_spaces = any(word.glued for word in words[1:])
        for at, word in enumerate(words):
            piece = _frame_of(word, frame, own_spaces=own_spaces, spaced=at > 0 and not word.glued)
            self._hold(piece, float(word.start_ms))
        return bool(words)


def _frame_of(
    word: PlacedWord, sentence: TTSTextFrame, *, own_spaces: bool, spaced: bool
) -> TTSTextFrame:
    """One word of a sentence, so that those of the sentence make its text again."""
    copy = copy_word(sentence, word, TTSTextFrame)
    if own_spaces:
        copy.text = f" {word.text}" if spaced else word.text
        copy.includes_inter_frame_spaces = True
    return copy


def _times(frame: TTSTextFrame) -> tuple[float | None, float | None] | None:
    """Start and end that the synthesiser gave, ms from the context's first sample.

    Returns:
        None for a sentence, which has none. A number that is none is None.
    """
    if WORD_KEY in frame.metadata:
        given: object = frame.metadata[WORD_KEY]
        times = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        return _number(times.get("start_ms")), _number(times.get("end_ms"))
    if OFFSET_KEY in frame.metadata:
        return _number(frame.metadata[OFFSET_KEY]), None
    return None


def _number(value: object) -> float | None:
    try:
        number = float(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
