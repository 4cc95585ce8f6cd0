"""Texts that follow each other, as one text. Pure; TypeScript has the same (``text-join.ts``).

Chinese and Japanese are written without spaces; every other script here has them, Korean and
(between phrases) Thai too (``protocol/vectors/words/join-*``).
"""

import re
from typing import Final

__all__ = ["UNSPACED", "WORD", "join_texts"]

UNSPACED: Final = (
    "\u2e80-\u2fdf"  # radicals
    "\u3000-\u312f"  # punctuation, Hiragana, Katakana, Bopomofo
    "\u31a0-\u4dbf\u4e00-\u9fff"  # Han, with marks and units
    "\uf900-\ufaff\ufe30-\ufe4f"
    "\uff00-\uff9f\uffe0-\uffee"  # full width, and Katakana of half width
    "\U0001b000-\U0001b16f\U0001f200-\U0001f2ff\U00020000-\U0003ffff"
)
"""Characters that are written without spaces between them, as a class of a regular expression."""

WORD: Final = re.compile(
    "[^\\t-\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+",
)
"""What stands between white space, which is what a page takes for it (``\\s`` in ECMAScript)."""

_MARKS: Final = "\u2018-\u201f\u2014\u2026"
_TIGHT: Final = re.compile(
    f"[{UNSPACED}][{_MARKS}]*\n[{_MARKS}]*[{UNSPACED}]",
)
_ENDS: Final = 8
"""How many characters on either side are looked at."""


def join_texts(before: str, after: str) -> str:
    """Joins two texts with one space, or with none where the script has none.

    Returns:
        ``before`` and ``after``; nothing between them when one is empty, when white space stands
        there already, or when both sides are Chinese or Japanese.
    """
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return before + after
    tight = _TIGHT.search(f"{before[-_ENDS:]}\n{after[:_ENDS]}")
    return before + after if tight else f"{before} {after}"
