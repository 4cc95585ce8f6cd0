"""Where a sentence is cut for a synthesiser that speaks a text as a whole: pure.

The first clause of a long sentence goes alone, so that its sound is there soon; what follows is
made while it plays.
"""

from __future__ import annotations

import re

__all__ = ["clauses"]

_ALONE_CHARS = 60
"""A sentence up to this length is spoken in one piece."""
_LEAST_CHARS = 12
_MOST_CHARS = 260
"""What is made at once is waited for; a word is never cut, however long it is."""
_BREAK = re.compile(r"(?<=[,;:—–.!?])\s+")
_SPACE = re.compile(r"\s+")


def clauses(text: str) -> list[tuple[int, str]]:
    """Cut a sentence.

    Args:
        text: The sentence.

    Returns:
        Pieces in order, as (their first code point in the sentence, the piece); joined with what
        was white space between them they are the sentence.
    """
    pieces: list[tuple[int, str]] = []
    start = 0
    if len(text) > _ALONE_CHARS:
        for found in _BREAK.finditer(text, 0, _MOST_CHARS):
            if found.start() >= _LEAST_CHARS and len(text) - found.end() >= _LEAST_CHARS:
                pieces.append((0, text[: found.start()]))
                start = found.end()
                break
    while len(text) - start > _MOST_CHARS:
        end, after = _next_break(text, start)
        if after == len(text):
            break
        pieces.append((start, text[start:end]))
        start = after
    pieces.append((start, text[start:]))
    return pieces


def _next_break(text: str, start: int) -> tuple[int, int]:
    """The end of a piece, and where the next one begins; it is too long if it is one word alone."""
    until = start + _MOST_CHARS
    found = [m for m in _BREAK.finditer(text, start, until) if m.start() - start >= _LEAST_CHARS]
    spaces = found or [m for m in _SPACE.finditer(text, start, until) if m.start() > start]
    at = spaces[-1] if spaces else _SPACE.search(text, until)
    return (at.start(), at.end()) if at else (len(text), len(text))
