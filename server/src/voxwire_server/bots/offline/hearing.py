"""What was said, of what two recognisers heard: pure, no I/O, no clock.

The grammar is quick and right about its own phrases, and takes some other sentences for them. The
ears know all of English and take noise for short sentences, but say how sure they are.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import replace

from voxwire_server.bots.offline.decoders import MIN_SCORE, Heard
from voxwire_server.bots.offline.ears import Guess
from voxwire_server.bots.offline.intents import normalize, parse

__all__ = ["Speaker", "is_speech", "is_unfinished", "settled"]

_NO_WORDS = frozenset(["ah", "aha", "hm", "hmm", "huh", "mm", "oh", "ooh", "uh", "um", "wow"])
"""What the ears make of sirens and of many voices at once; whoever says no more than this said
nothing that could be answered."""

MIN_GUESS_SCORE = -0.75
MAX_NO_SPEECH = 0.3
"""Of 20 noises the surest had -1.03 and 0.70, or -1.96 and 0.25. Of 100 sentences by five synthetic
voices four scored less than -0.7, three of them misheard; of 42 by three the highest had 0.12."""

_DOUBT = -24.0
"""A phrase of the grammar that scores lower may be something else, whoever spoke: of 150 phrases by
six synthetic voices the worst had -33 and a fifth less than this, of 120 other sentences one in
fifty had more."""
_USUAL_SPAN = 6.0
"""One that scores so much lower than this user's phrases do may be, too: voices differ by 10."""
_LIKELY = -33.0
_CLEAR = -0.3
_SHORT_WORDS = 2
"""Phrases so short are what knocks and sirens are taken for."""
_MEMORY = 0.7
_ALIKE = 0.8

_DANGLING = re.compile(
    r"\b(?:a|an|the|in|on|at|for|to|of|and|or|is|are|my|your|about|with|some|what|how|find|show|tell"
    r"|i|i'd|i'm|would|like|want|need)$"
)


class Speaker:
    """What the grammar's phrases score when this user says them."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._usual: float | None = None

    def is_sure(self, heard: Heard) -> bool:
        """Whether a phrase is taken without a second opinion."""
        least = _DOUBT if self._usual is None else max(_DOUBT, self._usual - _USUAL_SPAN)
        return bool(heard.text) and heard.score >= least

    def said(self, heard: Heard) -> None:
        """Note a phrase that was certainly said."""
        usual = heard.score if self._usual is None else self._usual
        self._usual = _MEMORY * usual + (1 - _MEMORY) * heard.score


def is_speech(guess: Guess) -> bool:
    """Whether the ears are sure that somebody said this."""
    spoken = [word for word in normalize(guess.text).split() if word not in _NO_WORDS]
    return bool(spoken) and guess.score >= MIN_GUESS_SCORE and guess.no_speech <= MAX_NO_SPEECH


def settled(heard: Heard, guess: Guess, min_score: float = MIN_SCORE) -> Heard:
    """Decide between a doubtful phrase of the grammar, or none, and what the ears heard.

    Args:
        heard: What the grammar made of it.
        guess: What the ears did.
        min_score: What a phrase needs to be taken when the ears do not understand.

    Returns:
        What was said; without text, or with a score below ``min_score``, nobody knows.
    """
    if not is_speech(guess):
        short = len(heard.text.split()) <= _SHORT_WORDS
        return replace(heard, score=-math.inf) if short else heard
    if heard.text and heard.score >= min_score and _same(heard.text, guess.text):
        return heard
    if heard.text and heard.score >= _LIKELY and not _is_clear(guess):
        return heard
    return replace(heard, text=guess.text, score=0.0, free=True)


def _is_clear(guess: Guess) -> bool:
    """Whether what the ears heard stands against a phrase that the grammar finds likely."""
    return guess.score >= _CLEAR and parse(guess.text).intent != "unknown"


def _same(phrase: str, text: str) -> bool:
    """Whether two texts are the same sentence, but for a word misheard."""
    if parse(phrase) == parse(text):
        return True
    matcher = difflib.SequenceMatcher(None, phrase.split(), normalize(text).split())
    return matcher.ratio() >= _ALIKE


def is_unfinished(text: str) -> bool:
    """Whether a sentence of free wording stops where none ends: "what is the weather in"."""
    plain = normalize(text)
    return _DANGLING.search(plain) is not None and parse(text).intent != "get_name"
