"""From phonemes and how long they last to one span per whitespace token: pure, no I/O, no clock.

The synthesiser reads a normalised text ("7:30" became "seven thirty"), so its words are not
always ours. Words of the same letters belong together; what lies between two such pairs shares
the time there, one to one when there are as many of each, else by letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from voxwire_server.bots.offline.word_spans import WordSpan, tokenize

__all__ = ["LATE_MS", "SpokenWord", "has_sound", "parts_of", "spans_of", "spoken_words"]

LATE_MS = 40
"""The model's words begin so much later than their sound does (ten sentences, p90 60)."""

_SILENT = frozenset(' ,.!?;:—…"“”()')


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word that the model said; without a sound of its own it has no length.

    Attributes:
        text: Its text, normalised.
        start: Its first sample.
        end: One past its last sample.
    """

    text: str
    start: int
    end: int


def has_sound(marks: Iterable[tuple[str, int]]) -> bool:
    """Whether phonemes, as `spoken_words` takes them, are more than spaces and punctuation."""
    return any(word >= 0 and phoneme not in _SILENT for phoneme, word in marks)


def parts_of(phonemes: Sequence[str], most: int) -> list[Sequence[str]]:
    """Cut phonemes into parts of a length that a model takes, behind a space where there is one.

    Args:
        phonemes: The phonemes.
        most: The length of the longest part.

    Returns:
        The parts in order, at least one; joined they are what was given.
    """
    parts: list[Sequence[str]] = []
    while len(phonemes) > most:
        spaces = (at for at in range(most, 0, -1) if phonemes[at - 1] == " ")
        end = next(spaces, most)
        parts.append(phonemes[:end])
        phonemes = phonemes[end:]
    return [*parts, phonemes]


def spoken_words(
    marks: Sequence[tuple[str, int]], texts: Sequence[str], edges: Sequence[int]
) -> list[SpokenWord]:
    """Place the words that the model read.

    Args:
        marks: The phonemes that it was given, each with the index of its word (-1 = none).
        texts: The words' texts.
        edges: Where each phoneme begins, in samples, and after the last one where it ends.

    Returns:
        The words in order.
    """
    bounds: list[tuple[int, int] | None] = [None] * len(texts)
    for (phoneme, word), start, end in zip(marks, edges[:-1], edges[1:], strict=True):
        if word >= 0 and phoneme not in _SILENT:
            known = bounds[word]
            bounds[word] = (known[0] if known else start, end)
    at = edges[0] if edges else 0
    words: list[SpokenWord] = []
    for text, bound in zip(texts, bounds, strict=True):
        start, end = bound or (at, at)
        words.append(SpokenWord(text, start, end))
        at = end
    return words


def spans_of(text: str, words: Iterable[SpokenWord], num_samples: int) -> list[WordSpan]:
    """Give every whitespace token of a text its place.

    Args:
        text: The text as it was given.
        words: What the model said.
        num_samples: The length of the sound; no span lies beyond it.

    Returns:
        One span a token, in order, none before the end of the one before it.
    """
    tokens = tokenize(text)
    said = list(words)
    keys, spoken = [_key(token) for token, _, _ in tokens], [_key(word.text) for word in said]
    places: list[tuple[int, int]] = []
    at = 0
    matcher = SequenceMatcher(None, keys, spoken, autojunk=False)
    for _, first, until, first_said, until_said in matcher.get_opcodes():
        found = said[first_said:until_said]
        places += _shared(keys[first:until], found, at)
        at = max([at, *(end for _, end in places[-1:]), *(word.end for word in found)])
    return _in_order(tokens, places, num_samples)


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _shared(keys: Sequence[str], words: Sequence[SpokenWord], at: int) -> list[tuple[int, int]]:
    """Divide what words take among tokens."""
    if len(keys) == len(words):
        return [(word.start, word.end) for word in words]
    start = words[0].start if words else at
    end = max(start, words[-1].end) if words else at
    total = sum(map(len, keys))
    places: list[tuple[int, int]] = []
    seen, begin = 0, start
    for key in keys:
        seen += len(key)
        to = start + (end - start) * seen // total if total else start
        places.append((begin, to))
        begin = to
    return places


def _in_order(
    tokens: Sequence[tuple[str, int, int]], places: Sequence[tuple[int, int]], num_samples: int
) -> list[WordSpan]:
    spans: list[WordSpan] = []
    for index, (token, (start, end)) in enumerate(zip(tokens, places, strict=True)):
        after = places[index + 1][0] if index + 1 < len(places) else num_samples
        start = min(max(start, spans[-1].end_sample if spans else 0), num_samples)
        end = min(max(start, min(end, max(start, after))), num_samples)
        spans.append(WordSpan(token[0], start, end, token[1], token[2]))
    return spans
