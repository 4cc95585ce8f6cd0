"""The recogniser's grammar and pronunciation dictionary, generated from the intents.

The dictionary holds only the words of the grammar (a decoder with it loads in tens of
milliseconds and takes about 10 MB; with all of CMUdict it is 31 MB), looked up once in the
CMUdict that comes inside the pocketsphinx wheel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from voxwire_server.bots.offline.extras import require
from voxwire_server.bots.offline.intents import INTENTS, SLOTS

__all__ = ["GRAMMAR_NAME", "jsgf", "pronunciations", "vocabulary"]

GRAMMAR_NAME = "voxwire"
_VARIANT = re.compile(r"\(\d+\)$")


def jsgf() -> str:
    """Return the grammar in JSGF: one rule per slot, one per intent, and their choice."""
    lines = ["#JSGF V1.0;", f"grammar {GRAMMAR_NAME};"]
    lines += [f"<{name}> = {' | '.join(values)};" for name, values in SLOTS.items()]
    for intent in INTENTS:
        phrases = " | ".join(template.jsgf() for template in intent.templates)
        lines.append(f"<intent_{intent.name}> = {phrases};")
    choice = " | ".join(f"<intent_{intent.name}>" for intent in INTENTS)
    lines.append(f"public <utterance> = {choice};")
    return "\n".join(lines) + "\n"


def vocabulary() -> set[str]:
    """Return every word that the grammar can produce."""
    words = {word for values in SLOTS.values() for value in values for word in value.split()}
    for intent in INTENTS:
        for template in intent.templates:
            words |= template.words()
    return words


@cache
def pronunciations() -> tuple[tuple[str, str], ...]:
    """Return the dictionary of the grammar: (entry, phones), variants as ``word(2)``.

    Reads a 3 MB file once; call it off the event loop.

    Raises:
        MissingExtraError: pocketsphinx is not installed.
        LookupError: The grammar uses a word that CMUdict does not know.
    """
    require("pocketsphinx", "speech recognition")
    from pocketsphinx import get_model_path

    wanted = vocabulary()
    path = Path(get_model_path("en-us/cmudict-en-us.dict"))
    with path.open(encoding="utf-8") as lines:
        entries = tuple(_matching(lines, wanted))
    missing = wanted - {entry for entry, _ in entries}
    if missing:
        raise LookupError(f"no pronunciation for {', '.join(sorted(missing))}")
    return entries


def _matching(lines: Iterable[str], wanted: set[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        entry, _, phones = line.strip().partition(" ")
        if _VARIANT.sub("", entry) in wanted:
            yield entry, phones.strip()
