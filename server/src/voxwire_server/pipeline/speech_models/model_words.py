"""Words of a model that speaks by itself: fitted to its audio, told early, and told again.

Between :mod:`fitting`, which knows one utterance's audio and transcript, and the output, which
knows what is placed and heard. Words stand in the release queue at their places, so that what goes
downstream, and what a cut leaves in the context, is what was heard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from pipecat.frames.frames import TTSTextFrame
from pipecat.utils.text.base_text_aggregator import TextType

from voxwire_server.pipeline.timing.fitting import Fitting
from voxwire_server.pipeline.utterance import PlacedWord, Utterance
from voxwire_server.pipeline.utterances import Utterances

__all__ = ["LiveWord", "LiveWords"]

_TOLD_AHEAD_MS: Final = 40
"""A word this near to being heard is not moved any more: the news would come too late."""
_GAP_MS: Final = 20


class LiveWord(TTSTextFrame):
    """A word of a model's turn, at its place in the release queue."""

    index: int = 0


@dataclass(slots=True)
class _Turn:
    """One turn: its transcript may come before its audio."""

    fitting: Fitting
    utterance: Utterance | None = None
    released: int = 0


class LiveWords:
    """The turns of a speech-to-speech model that are open.

    Args:
        utterances: Tells the client.
        sample_rate: Rate of the placed audio, Hz.
        hold: Puts a word into the release queue at a position, ms.
        drop: Takes what a predicate chooses out of the release queue.
    """

    def __init__(
        self,
        utterances: Utterances,
        *,
        sample_rate: int,
        hold: Callable[[TTSTextFrame, float], None],
        drop: Callable[[Callable[[object], bool]], None],
    ) -> None:
        self._utterances = utterances
        self._sample_rate = sample_rate
        self._hold = hold
        self._drop = drop
        self._turns: dict[str, _Turn] = {}
        self._rate = 1.0

    @property
    def contexts(self) -> list[str]:
        """Contexts of which something came and which have not ended."""
        return list(self._turns)

    def _turn(self, context: str) -> _Turn:
        turn = self._turns.get(context)
        if turn is None:
            fitting = Fitting(sample_rate=self._sample_rate, rate=self._rate)
            turn = self._turns[context] = _Turn(fitting)
        return turn

    def audio(self, context: str, start_ms: int, pcm: bytes) -> None:
        """Audio of an open utterance was placed: int16 mono PCM at the session's rate."""
        turn = self._turn(context)
        turn.utterance = turn.utterance or self._utterances.get(context)
        if turn.utterance is None:
            return
        gap_ms = start_ms - turn.utterance.start_ms - turn.fitting.audio_ms
        if gap_ms > _GAP_MS:  # the model fell behind, and the clock went on
            gap = gap_ms * self._sample_rate // 1000
            turn.fitting.add_audio(np.zeros(gap, np.int16))
        turn.fitting.add_audio(np.frombuffer(pcm, np.int16))

    def text(self, context: str, text: str) -> None:
        """The transcript goes on."""
        self._turn(context).fitting.add_text(text)

    def end(self, context: str, heard_ms: float) -> None:
        """Neither audio nor transcript follows."""
        turn = self._turns.get(context)
        if turn is not None:
            turn.fitting.end()
            self.refit(heard_ms)
            if turn.fitting.words:
                self._rate = turn.fitting.rate

    def forget(self, context: str) -> None:
        """The utterance is over."""
        self._turns.pop(context, None)

    def clear(self) -> None:
        """All turns were cut."""
        self._turns.clear()

    def released(self, context: str, index: int) -> None:
        """A word went downstream."""
        turn = self._turns.get(context)
        if turn is not None:
            turn.released = max(turn.released, index + 1)

    def refit(self, heard_ms: float) -> None:
        """Place the words of every turn anew, as far as they are not heard.

        Args:
            heard_ms: The listener's position on the media clock.
        """
        for context, turn in self._turns.items():
            if turn.utterance is None:
                continue
            heard = max(0.0, heard_ms + _TOLD_AHEAD_MS - turn.utterance.start_ms)
            first = turn.fitting.refit(heard)
            if first is not None:
                self._tell(context, turn, turn.utterance, first)

    def _tell(self, context: str, turn: _Turn, utterance: Utterance, first: int) -> None:
        base, last = utterance.start_ms, max(utterance.start_ms, utterance.end_ms - 1)
        placed = [
            (word.text, min(base + word.start_ms, last), min(base + word.end_ms, last + 1))
            for word in turn.fitting.words[first:]
        ]
        before = utterance.words[first - 1] if first else None
        if before is not None and before.end_ms > placed[0][1]:  # told when it was still open
            first -= 1
            placed.insert(0, (before.text, before.start_ms, max(before.start_ms, placed[0][1])))
        words = self._utterances.place_words(context, first, placed)
        begin = max(first, turn.released)
        self._drop(
            lambda item: (
                isinstance(item, LiveWord) and item.context_id == context and item.index >= begin
            )
        )
        for index, word in enumerate(words, first):
            if index >= begin:
                self._hold(_frame_of(word, context, index), float(word.start_ms))

    def full_text(self, context: str) -> str:
        """All that the model said in a turn, as far as its transcript came."""
        turn = self._turns.get(context)
        return turn.fitting.text.strip() if turn is not None else ""


def _frame_of(word: PlacedWord, context: str, index: int) -> LiveWord:
    frame = LiveWord(word.text, text_type=TextType.WORD)
    frame.context_id = context
    frame.append_to_context = True
    frame.index = index
    return frame
