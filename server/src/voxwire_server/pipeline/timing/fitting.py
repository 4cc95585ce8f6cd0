"""Word times of speech whose transcript comes beside it, refined as both arrive.

Pure. A model that speaks sends audio and a transcript of it in pieces, one ahead of the other by
whatever the network and the model make of it. :class:`Fitting` aligns what is known so far, and
again when more is known. Words far enough behind the end of the audio, and words that the
listener has reached, stay where they are; so the work grows with the audio and not with its
square, and nothing that was heard is told again.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxwire_server.pipeline.timing.align import Span, Word, align, row_costs, usual_rows
from voxwire_server.pipeline.timing.features import HOP_MS, Features, rows_of
from voxwire_server.pipeline.timing.phones import PAUSE_MARKS, sounds_of

__all__ = ["FittedWord", "Fitting"]

_LOOKAHEAD_ROWS: Final = 60
"""Audio behind a word that is needed before its place is believed for good."""
_SURE_ROWS: Final = 4
"""Rows from a word's start to the end of the audio from which it is believed to have begun."""
_LATE_ROWS: Final = 15
"""As many for one that fires late all the same."""
_PATIENCE_ROWS: Final = 100
"""So many make up for a transcript that does not go on behind the word."""
_WINDOW_ROWS: Final = 300
_WINDOW_SLACK: Final = 1.6
_LEAST_LEVEL_DB: Final = 45.0
_VOICED_DB: Final = 35.0
_USUAL_WEIGHT: Final = 40.0
_RATES: Final = (0.6, 1.7)
_SENTENCE_END: Final = re.compile(r"[.!?…]['\")\]]*$")
_CLOSED: Final = re.compile(r"(?<!\d)[.,;:!?…]['\")\]]*$")
"""A mark behind a digit may stand inside a number."""
_CLOSERS: Final = "'\")]}”’"


@dataclass(slots=True)
class FittedWord:
    """A word and its time, milliseconds from the utterance's first sample."""

    text: str
    start_ms: int
    end_ms: int


def _word_of(token: str) -> Word:
    mark = PAUSE_MARKS.get(token.rstrip(_CLOSERS)[-1:], 0)
    return Word(tuple(sounds_of(token)), mark)


class Fitting:
    """One utterance: its audio and its transcript so far, and where the words are.

    Args:
        sample_rate: Rate of the audio, Hz.
        rate: How much longer than usual this voice's sounds are, from utterances before.
    """

    def __init__(self, *, sample_rate: int, rate: float = 1.0) -> None:
        self.words: list[FittedWord] = []
        """The words that have a place, in order."""
        self.text = ""
        """The transcript so far."""
        self.rate = rate
        self.ended = False
        self._sample_rate = sample_rate
        self._tail = np.zeros(0, np.int16)
        self._rows = 0
        self._samples = 0
        self._features: list[Features] = []
        self._base_row = 0
        """First row that is kept: rows of words that are settled are not needed again."""
        self._loud: list[float] = []
        self._tokens: list[Word] = []
        self._texts: list[str] = []
        self._settled = 0
        self._told: list[int] = []
        """Starts as :meth:`refit` told of them last."""
        self._window_rows = _WINDOW_ROWS
        self._spoken_rows = self._usual = _USUAL_WEIGHT
        self._spoken_rows *= rate

    # what comes in

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Audio follows: int16 mono."""
        self._samples += len(samples)
        self._tail = np.concatenate([self._tail, samples])
        hop = self._sample_rate * HOP_MS // 1000
        count = (len(self._tail) - hop // 2) // hop if len(self._tail) >= 2 * hop else 0
        if count > 0:
            self._extend(count)
            self._tail = self._tail[count * hop :]

    def _extend(self, count: int) -> None:
        rows = rows_of(self._tail, self._sample_rate, 0, count)
        self._features.append(rows)
        self._loud.extend(float(x) for x in rows[:, 0])
        self._rows += count

    def add_text(self, text: str) -> None:
        """Transcript follows; a piece may begin or end inside a word."""
        self.ended = False
        in_number = text[:1].isdigit() and self.text[-2:-1].isdigit()
        if text[:1].isalnum() and not in_number and _SENTENCE_END.search(self.text):
            self.text += " "  # a piece that is a sentence by itself (Nova Sonic)
        self.text += text
        self._tokenize()

    def end(self) -> None:
        """Neither audio nor transcript follows."""
        if self.ended:
            return
        self.ended = True
        hop = self._sample_rate * HOP_MS // 1000
        left = -(-len(self._tail) // hop)
        if left:
            self._extend(left)
            self._tail = self._tail[:0]
        self._tokenize()

    def _tokenize(self) -> None:
        """Take up the words that are complete: the last one may still grow."""
        found = [m.group() for m in re.finditer(r"\S+", self.text)]
        open_end = self.text and not self.text[-1].isspace() and not self.ended
        if open_end and found and not _CLOSED.search(self.text):
            found.pop()
        last = len(self._texts) - 1
        if 0 <= last < len(found) and found[last] != self._texts[last]:  # it grew all the same
            self._texts[last], self._tokens[last] = found[last], _word_of(found[last])
            if last < len(self.words):
                self.words[last].text = found[last]
                del self._told[last:]
        self._texts += found[len(self._texts) :]
        self._tokens += [_word_of(token) for token in self._texts[len(self._tokens) :]]

    # what comes out

    @property
    def audio_ms(self) -> int:
        """Length of the audio so far."""
        return self._samples * 1000 // self._sample_rate

    def refit(self, heard_ms: float) -> int | None:
        """Place the words anew, except those that were heard.

        Args:
            heard_ms: What the listener will have heard when this is told.

        Returns:
            Index of the first word that is new or has moved noticeably; None if there is none.
        """
        self._settle_heard(heard_ms)
        while self._fit_window(heard_ms):
            pass
        for index, word in enumerate(self.words):
            if index >= len(self._told) or abs(self._told[index] - word.start_ms) > HOP_MS:
                self._told[index:] = [word.start_ms for word in self.words[index:]]
                return index
        return None

    def _settle_heard(self, heard_ms: float) -> None:
        while self._settled < len(self.words) and self.words[self._settled].start_ms <= heard_ms:
            self._settle_one()

    def _settle_one(self) -> None:
        """The next word keeps its start for good; its end is where the one behind it begins."""
        if self._settled:
            self._learn_pace(self._settled - 1)
        self._settled += 1

    def _learn_pace(self, index: int) -> None:
        word, token = self.words[index], self._tokens[index]
        if token.kinds:
            self._spoken_rows += (word.end_ms - word.start_ms) / HOP_MS
            self._usual += usual_rows(token.kinds)
            rate = self._spoken_rows / self._usual
            self.rate = min(max(rate, _RATES[0]), _RATES[1])

    @property
    def _first(self) -> int:
        """The first word to look for: the last one whose start is settled, for its end."""
        return max(0, self._settled - 1)

    def _window(self, first: int, last: int) -> Features:
        while self._features and self._base_row + len(self._features[0]) <= first:
            self._base_row += len(self._features.pop(0))
        joined = np.concatenate(self._features) if self._features else np.zeros((0, 3), np.float32)
        self._features = [joined]
        return joined[first - self._base_row : last - self._base_row]

    def _fit_window(self, heard_ms: float) -> bool:
        """Align one stretch of audio from the last settled word on; True when more is to do."""
        first = self.words[self._first].start_ms // HOP_MS if self._settled else 0
        last = min(self._rows, first + self._window_rows)
        tokens = self._next_tokens(last - first)
        if last <= first or not tokens:
            return self._end_tokens()
        level = max(_LEAST_LEVEL_DB, float(np.percentile(self._loud, 95)))
        rows = self._window(first, last)
        more_audio = not (self.ended and last == self._rows)
        more_text = not self.ended or self._first + len(tokens) < len(self._tokens)
        spans = align(
            row_costs(rows, level),
            tokens,
            rate=self._rate_here(rows, tokens, level, complete=not (more_audio or more_text)),
            more_text=more_text,
            more_audio=more_audio,
            begun=self._settled > 0,
            voiced=rows[:, 0] > level - _VOICED_DB,
        )
        if not spans and not more_audio:
            return self._end_tokens()
        if more_audio:
            self._leave_unsure(spans, first, heard_ms)
        self._write(spans, first, heard_ms)
        return self._settle_early(last)

    def _leave_unsure(self, spans: list[Span], first: int, heard_ms: float) -> None:
        """Take back new words at the end of which too little is known: told, they would stay."""
        while spans and self._first + len(spans) > len(self.words):
            index = self._first + len(spans) - 1
            begun_rows = self._rows - first - spans[-1].start
            late = index > 0 and (first + spans[-1].start) * HOP_MS <= heard_ms
            followed = index + 1 < len(self._tokens)
            known = begun_rows >= (_LATE_ROWS if late else _SURE_ROWS) and (followed or not late)
            if self.ended or known or begun_rows >= _PATIENCE_ROWS:
                break
            spans.pop()

    def _next_tokens(self, rows: int) -> list[Word]:
        tokens: list[Word] = []
        usual = 0.0
        for token in self._tokens[self._first :]:
            if usual > rows * _WINDOW_SLACK / self.rate and rows >= _WINDOW_ROWS:
                break
            tokens.append(token)
            usual += usual_rows(token.kinds)
            if usual > rows * 3 and rows < _WINDOW_ROWS and not self.ended:
                break
        return tokens

    def _rate_here(
        self, rows: Features, tokens: list[Word], level: float, *, complete: bool
    ) -> float:
        """How long this stretch's sounds are; of one that is complete, measured."""
        if not complete:
            return self.rate
        voiced = float((rows[:, 0] > level - _VOICED_DB).sum()) + _USUAL_WEIGHT / 4 * self.rate
        usual = sum(usual_rows(token.kinds) for token in tokens) + _USUAL_WEIGHT / 4
        return min(max(voiced / usual, _RATES[0]), _RATES[1])

    def _write(self, spans: list[Span], first: int, heard_ms: float) -> None:
        known = len(self.words)
        for index, span in enumerate(spans, self._first):
            start, end = (first + span.start) * HOP_MS, (first + span.end) * HOP_MS
            if index < self._settled:
                start = self.words[index].start_ms
            elif index < known:
                start = max(start, round(heard_ms))
            if index:
                before = self.words[index - 1]
                start = max(start, before.start_ms)
                before.end_ms = min(before.end_ms, start)
            word = FittedWord(self._texts[index], start, max(start, end))
            if index < known:
                self.words[index] = word
            else:
                self.words.append(word)
        self._keep_order(self._first + len(spans))

    def _keep_order(self, index: int) -> None:
        """Words that were placed before and are not found now stay behind those that are."""
        for word_index in range(max(1, index), len(self.words)):
            word, before = self.words[word_index], self.words[word_index - 1]
            word.start_ms = max(word.start_ms, before.end_ms)
            word.end_ms = max(word.end_ms, word.start_ms)

    def _settle_early(self, last: int) -> bool:
        """Settle words far behind the end of the stretch; True when another stretch is due."""
        limit = (last - _LOOKAHEAD_ROWS) * HOP_MS
        settled = self._settled
        while self._settled < len(self.words) - 1 and self.words[self._settled].end_ms <= limit:
            self._settle_one()
        if self._settled > settled:
            self._window_rows = _WINDOW_ROWS
            return last < self._rows
        if last == self._rows or len(self.words) == len(self._tokens):
            return False
        self._window_rows *= 2  # a pause as long as the stretch: look across it
        return True

    def _end_tokens(self) -> bool:
        """Words for which there is no sound stand at the audio's end, once nothing follows."""
        if not self.ended:
            return False
        end = self.audio_ms
        for index in range(len(self.words), len(self._tokens)):
            start = max(end, self.words[-1].end_ms if self.words else 0)
            self.words.append(FittedWord(self._texts[index], start, start))
        return False
