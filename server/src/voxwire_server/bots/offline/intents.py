"""What the offline bot understands, declared once.

``INTENTS`` and ``SLOTS`` are the only place that knows the phrases: the recogniser's grammar and
dictionary (``grammar``), the parser below, the phrases that the bot offers, and the phrases that
tests speak are all derived from them. Other wording is understood by its words (``free_wording``).
Pure: no I/O.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from voxwire_server.bots.offline.free_wording import (
    FREE_NAME,
    courtesy_alone,
    slots_of,
    telltale,
)
from voxwire_server.bots.offline.small_talk import cannot, small_talk
from voxwire_server.bots.offline.templates import Template

__all__ = [
    "CLIENT_TOOLS",
    "EXAMPLES",
    "INTENTS",
    "SLOTS",
    "UNKNOWN_TEXT",
    "Intent",
    "Understood",
    "nearest_phrases",
    "normalize",
    "parse",
    "unknown_shown",
]

UNKNOWN_TEXT = "[unknown]"
"""The transcript of speech that the recogniser rejects, as the agent and the context have it."""

SLOTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "city": (
            *("paris", "london", "berlin", "rome", "vienna", "tokyo", "sydney", "toronto"),
            *("chicago", "seattle", "amsterdam", "barcelona", "singapore", "istanbul"),
        ),
        "cuisine": (
            *("italian", "japanese", "mexican", "indian"),
            *("french", "chinese", "greek", "vegetarian"),
        ),
        "day": ("today", "tomorrow"),
        "name": (
            *("alice", "carlos", "daniel", "david", "emma", "george"),
            *("hannah", "julia", "kevin", "laura", "michael", "oliver"),
            *("patricia", "peter", "rachel", "samantha", "sophia", "susan"),
            *("thomas", "victoria", "william"),
        ),
    }
)
"""The values of every slot, lower case, as they are spoken."""


@dataclass(frozen=True)
class Intent:
    """Something that a user can want.

    Attributes:
        name: Its identifier.
        phrases: Templates (see ``templates``); these are what the recogniser can hear.
        example: One phrase of it, as the bot would offer it.
        tool: The tool that answers it, or "" when the agent does.
    """

    name: str
    phrases: tuple[str, ...]
    example: str
    tool: str = ""

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The compiled phrases."""
        return tuple(Template(phrase) for phrase in self.phrases)

    @cached_property
    def slot_names(self) -> tuple[str, ...]:
        """Every slot that a phrase of it may fill."""
        names = [name for template in self.templates for name in template.slot_names()]
        return tuple(dict.fromkeys(names))

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The phrases as patterns over normalized text with a trailing space."""
        return tuple(re.compile(rf"\b{t.regex(SLOTS)}") for t in self.templates)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a text means.

    Attributes:
        intent: The name of an intent of ``INTENTS``; or "slots": nothing but values, which belong
            to the question before; "chat": small talk; "beyond": something that the bot cannot do;
            "unknown".
        slots: The values of the slots that were said, lower case.
    """

    intent: str
    slots: Mapping[str, str] = field(default_factory=dict[str, str])


INTENTS: tuple[Intent, ...] = (
    Intent(
        "weather",
        (
            "(what is|what's|how is) the weather in {city} [{day}]",
            "what is the weather like in {city} [{day}]",
            "what is the forecast for {city} [{day}]",
            "is it going to rain in {city} {day}",
        ),
        "what is the weather in Paris",
        "get_weather",
    ),
    Intent(
        "restaurants",
        (
            "(find|find me) (a|an) {cuisine} restaurant in {city}",
            "where can i (eat|find) {cuisine} food in {city}",
            "i would like {cuisine} food in {city}",
        ),
        "find a Japanese restaurant in London",
        "find_restaurant",
    ),
    Intent(
        "map",
        (
            "[please] show [me] {city} on the map",
            "[please] show [me] (the|that) restaurant on the map",
        ),
        "show Paris on the map",
        "show_on_map",
    ),
    Intent(
        "time",
        ("what time is it [now]", "(can|could) you tell me the time"),
        "what time is it",
        "get_time",
    ),
    Intent(
        "joke",
        ("[please] tell me (a|another) joke", "i want to hear a joke"),
        "tell me a joke",
        "get_joke",
    ),
    Intent(
        "story",
        ("[please] tell me a [long] story", "i want to hear a [long] story"),
        "tell me a long story",
    ),
    Intent("set_name", ("my name is {name}",), "my name is Alice"),
    Intent("get_name", ("(what is|what's) my name",), "what is my name"),
    Intent(
        "help",
        ("what can you do", "what can i (say|ask)", "(please|can you) help me"),
        "what can you do",
    ),
    Intent("hello", ("hello [there]", "good (morning|afternoon|evening)"), "hello"),
    Intent(
        "repeat",
        ("(please|can you) repeat that", "what did you say"),
        "please repeat that",
    ),
    Intent("thanks", ("thank you [very much]",), "thank you"),
    Intent("goodbye", ("goodbye", "see you later"), "goodbye"),
)

CLIENT_TOOLS = ("show_on_map",)
"""Tools that a client may bring along; the bot has none of these itself."""

EXAMPLES: tuple[str, str, str] = (
    "what is the weather in Paris",
    "find a Japanese restaurant in London",
    "tell me a long story",
)
"""Three phrases that the greeting and every client name."""

_SYNONYMS = {
    "hi": "hello",
    "hey": "hello",
    "bye": "goodbye",
    "thanks": "thank you",
    "thx": "thank you",
    "good bye": "goodbye",
    "who am i": "what is my name",
}
_NOT_WORD = re.compile(r"[^\w'\s]+")
_COURTESIES = frozenset({"hello", "thanks", "goodbye", "help"})
"""Intents of phrases that come along with what people really want."""
_SHORT_WORDS = 6


def normalize(text: str) -> str:
    """Return ``text`` in lower case, without punctuation, its words joined by single spaces."""
    text = text.lower().replace("\u2019", "'").replace("`", "'")
    words = _NOT_WORD.sub(" ", text).split()
    return " ".join(filter(None, (word.strip("'") for word in words)))


def parse(text: str) -> Understood:
    """Understand a transcript or typed text.

    The longest phrase of any intent found in the text wins, unless it is a mere courtesy and there
    is more; without one, the intent that the words give away, with whatever slot values are. Case
    and punctuation do not matter.

    Args:
        text: What the user said or wrote.

    Returns:
        The intent and its slots; intent "unknown" when nothing fits.
    """
    if text.strip() == UNKNOWN_TEXT:
        return Understood("unknown")
    plain = normalize(text)
    plain = _SYNONYMS.get(plain, plain)
    phrase = _by_phrase(plain)
    if phrase is not None and (phrase.intent not in _COURTESIES or courtesy_alone(plain)):
        return phrase
    return (
        _by_free_name(plain)
        or _by_words(plain)
        or phrase
        or _by_chat(plain)
        or _by_slots(plain)
        or Understood("unknown")
    )


def _by_phrase(plain: str) -> Understood | None:
    best: tuple[int, Understood] | None = None
    for intent in INTENTS:
        for pattern in intent.patterns:
            for found in pattern.finditer(plain + " "):
                length = found.end() - found.start()
                if best is None or length > best[0]:
                    slots = {k: v for k, v in found.groupdict().items() if v is not None}
                    best = (length, Understood(intent.name, slots))
    return best[1] if best is not None else None


def _by_free_name(plain: str) -> Understood | None:
    """A typed name need not be one that the recogniser knows."""
    found = FREE_NAME.search(plain)
    if found is None:
        words = re.fullmatch(r"(?:hi |hello |hey )?(?:i am|i'm|this is) (\w+)", plain)
        found = words if words and words.group(1) in SLOTS["name"] else None
    return Understood("set_name", {"name": found.group(1)}) if found else None


def _by_words(plain: str) -> Understood | None:
    """What the words give away, unless they are chat, or ask for what the bot cannot do."""
    name = telltale(plain)
    if not name or courtesy_alone(plain) or (name == "restaurants" and cannot(plain)):
        return None
    intent = next(intent for intent in INTENTS if intent.name == name)
    wanted = [slot for slot in intent.slot_names if slot != "name"]
    slots = slots_of(plain, SLOTS, wanted)
    return None if small_talk(plain, about_us=True) and not slots else Understood(name, slots)


def _by_chat(plain: str) -> Understood | None:
    if small_talk(plain):
        return Understood("chat")
    return Understood("beyond") if cannot(plain) else None


def _by_slots(plain: str) -> Understood | None:
    """An answer to a question, or a question that goes on: "and in Rome?"."""
    if len(plain.split()) > _SHORT_WORDS:
        return None
    slots = slots_of(plain, SLOTS, ("city", "cuisine", "day"))
    return Understood("slots", slots) if slots else None


def nearest_phrases(text: str, count: int = 3) -> list[str]:
    """Return the phrases that the bot understands and that are closest to ``text``.

    Phrases for a tool that only some clients have are not offered.

    Args:
        text: What was heard, or "" when there is nothing to go by.
        count: How many, at most.

    Returns:
        Examples of different intents, best first.
    """
    everywhere = (intent.example for intent in INTENTS if intent.tool not in CLIENT_TOOLS)
    examples = list(dict.fromkeys([*EXAMPLES, *everywhere]))
    plain = normalize(text)
    if not plain or plain == "unknown":
        return examples[:count]

    def likeness(example: str) -> float:
        return difflib.SequenceMatcher(None, plain, normalize(example)).ratio()

    return sorted(examples, key=likeness, reverse=True)[:count]


def unknown_shown(heard: str) -> str:
    """Return what people are shown of speech that was rejected.

    Args:
        heard: The phrase that came nearest, or "" when nothing did.
    """
    guide = "nearest" if heard else "try"
    return f"(not understood; {guide}: {' / '.join(nearest_phrases(heard))})"
