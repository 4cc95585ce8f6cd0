"""What the offline bot says to people who chat, and what it says that it cannot do.

The wording is in ``data/wording.json``: patterns over normalized text, and an answer for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

__all__ = ["ABILITIES", "cannot", "no_places", "small_talk"]

ABILITIES: Final = "I know the weather, restaurants, the time, jokes and a long story."

_Rules = Sequence[tuple[re.Pattern[str], str]]


@cache
def _wording() -> dict[str, Any]:
    return json.loads(files(__package__ or "").joinpath("data", "wording.json").read_text("utf-8"))


@cache
def _rules(table: str, said: str) -> _Rules:
    """The rules of a table: what is heard, and what is said of it."""
    return [
        (re.compile(rf"(?<!\w)(?:{'|'.join(entry['heard'])})(?!\w)"), entry[said])
        for entry in _wording()[table]
    ]


def _first(rules: _Rules, plain: str) -> str:
    return next((said for pattern, said in rules if pattern.search(plain)), "")


def small_talk(plain: str, *, about_us: bool = False) -> str:
    """Return the answer to a normalized text that is chat, or "".

    Args:
        plain: The text.
        about_us: Only what is said of the bot or of people, which may stand beside anything.
    """
    answer = _first(_rules("about_us", "answer"), plain)
    return answer or ("" if about_us else _first(_rules("fillers", "answer"), plain))


def cannot(plain: str) -> str:
    """Return what a normalized text asks for that the bot cannot do, or ""."""
    return _first(_rules("beyond", "cannot"), plain)


@cache
def no_places() -> frozenset[str]:
    """Words that may stand where a place does: "in general", "for lunch"."""
    return frozenset(_wording()["no_places"].split())
