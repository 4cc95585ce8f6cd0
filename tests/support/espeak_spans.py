"""From espeak-ng's events to one span per whitespace token: pure, no I/O, no clock.

espeak-ng says where words *start*, and its words are not ours: "I am" is one event, "$25" several,
a hyphenated word one. Every event is mapped onto the whitespace token that it falls in; a token
ends where the next one starts, or at the first pause before that. Tokens that share an event share
its span by their number of letters (interpolated, not measured); a token without letters or
digits, such as a bare dash, gets no length.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxwire_server.bots.offline.word_spans import WordSpan, tokenize

__all__ = ["SpanBuilder"]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    char_start: int
    char_end: int

    @property
    def weight(self) -> int:
        return sum(char.isalnum() for char in self.text)


class SpanBuilder:
    """Turns word, pause and end events of one sentence into spans, each as soon as it is known."""

    def __init__(self, text: str) -> None:
        """Start a sentence.

        Args:
            text: The sentence exactly as it is given to espeak-ng.
        """
        self._tokens = [_Token(*token) for token in tokenize(text)]
        self._first_open = 0
        self._current: int | None = None
        self._start_sample = 0
        self._pause_sample: int | None = None

    def word(self, char_offset: int, sample: int) -> list[WordSpan]:
        """Take a word event.

        Args:
            char_offset: 0-based code point at which the event's word starts.
            sample: Its first sample.

        Returns:
            The spans that this event completes, in order.
        """
        token = self._token_at(char_offset)
        if token is None:
            return []
        if self._current is None:
            spans = self._leading(token, sample)
        elif token <= self._current:
            self._pause_sample = None
            return []
        else:
            spans = self._close(token, sample)
        self._current, self._first_open = token, token
        self._start_sample, self._pause_sample = max(sample, self._start_sample), None
        return spans

    def pause(self, sample: int) -> None:
        """Take a pause phoneme that starts at ``sample``; only the first after a word counts."""
        if self._current is not None and self._pause_sample is None:
            self._pause_sample = sample

    def end(self, sample: int) -> list[WordSpan]:
        """Take the end of the audio.

        Args:
            sample: One past the last sample of the sentence.

        Returns:
            The spans of all tokens that are left.
        """
        if self._current is None:
            spans = self._share(self._first_open, len(self._tokens), 0, sample)
        else:
            spans = self._close(len(self._tokens), max(sample, self._start_sample))
        self._first_open = len(self._tokens)
        return spans

    def _token_at(self, char_offset: int) -> int | None:
        for index, token in enumerate(self._tokens):
            if char_offset < token.char_end:
                return index
        return None

    def _leading(self, until: int, sample: int) -> list[WordSpan]:
        """Tokens before the first event: espeak-ng had nothing to say for them."""
        return [self._span(token, sample, sample) for token in self._tokens[:until]]

    def _close(self, until: int, next_sample: int) -> list[WordSpan]:
        end = next_sample if self._pause_sample is None else min(self._pause_sample, next_sample)
        return self._share(self._first_open, until, self._start_sample, end)

    def _share(self, first: int, until: int, start: int, end: int) -> list[WordSpan]:
        """Divide ``start``..``end`` among tokens first..until-1 by their letters."""
        tokens = self._tokens[first:until]
        end = max(start, end)
        total = sum(token.weight for token in tokens)
        spans: list[WordSpan] = []
        seen, at = 0, start
        for token in tokens:
            seen += token.weight
            to = start + (end - start) * seen // total if total else start
            spans.append(self._span(token, at, to))
            at = to
        return spans

    @staticmethod
    def _span(token: _Token, start: int, end: int) -> WordSpan:
        return WordSpan(token.text, start, end, token.char_start, token.char_end)
