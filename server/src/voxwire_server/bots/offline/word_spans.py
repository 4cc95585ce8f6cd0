"""The words of a text and where they are spoken: pure, no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["WordSpan", "tokenize"]

_TOKEN = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class WordSpan:
    """One whitespace token of a text and where it is spoken.

    Attributes:
        text: The token, punctuation included.
        start_sample: Its first sample, counted from the first sample of the sentence.
        end_sample: One past its last sample; never before ``start_sample``.
        char_start: Its first code point in the sentence.
        char_end: One past its last code point.
    """

    text: str
    start_sample: int
    end_sample: int
    char_start: int
    char_end: int


def tokenize(text: str) -> list[tuple[str, int, int]]:
    """Return the whitespace tokens of ``text`` as (token, char_start, char_end)."""
    return [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
