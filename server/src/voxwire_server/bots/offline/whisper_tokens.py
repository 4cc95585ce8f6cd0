"""Whisper's tokens as text, and back: byte-level pairs as in GPT-2. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

__all__ = ["Tokens", "without_repeats"]

_PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?\d+| ?[^\sA-Za-z\d]+|\s+")


@cache
def _bytes_shown() -> Mapping[int, str]:
    """How GPT-2's vocabulary writes each byte: as itself where that can be seen."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {
        byte: chr(256 + index) for index, byte in enumerate(unseen)
    }


class Tokens:
    """The merges of a ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Args:
            path: The file.
        """
        merges = json.loads(path.read_text("utf-8"))["model"]["merges"]
        pairs = (tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in merges)
        self._ranks = {pair: rank for rank, pair in enumerate(pairs)}

    def encode(self, text: str) -> list[str]:
        """Return the tokens of a text in plain English."""
        return [token for piece in _PIECE.findall(text) for token in self._merged(piece)]

    def _merged(self, piece: str) -> list[str]:
        parts = [_bytes_shown()[byte] for byte in piece.encode()]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            at = pairs.index(best)
            parts[at : at + 2] = ["".join(best)]
        return parts

    @staticmethod
    def decode(tokens: Iterable[str]) -> str:
        """Return the text of tokens; special ones (``<|...|>``) are left out."""
        shown = {char: byte for byte, char in _bytes_shown().items()}
        plain = "".join(token for token in tokens if not token.startswith("<|"))
        return bytes(shown[char] for char in plain).decode("utf-8", "replace").strip()


def without_repeats(text: str) -> str:
    """Return a text up to where it begins to say the same again: a short window makes it loop."""
    words = text.split()
    keys = [word.lower().strip(".,!?;:") for word in words]
    for size in range(1, len(words) // 2 + 1):
        if keys[:size] == keys[size : 2 * size] and (size > 1 or keys[:1] == keys[2:3]):
            return " ".join(words[:size])
    return text
