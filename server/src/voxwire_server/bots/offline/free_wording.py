"""What people mean who do not speak the grammar: words that give an intent away. Pure.

The first intent of ``TELLTALES`` with one of its words in the text is taken; slots are found
anywhere. Texts are normalized: lower case, no punctuation, single spaces.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from voxwire_server.bots.offline.small_talk import no_places

__all__ = ["FREE_NAME", "TELLTALES", "courtesy_alone", "slots_of", "telltale"]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b")


TELLTALES: Final[Mapping[str, re.Pattern[str]]] = {
    "map": _words(r"maps?|(?:show|where is) (?:me )?that restaurant"),
    "get_name": _words(
        r"(?:what|know|remember|recall|forgot|guess|say|tell me) (?:is |was )?(?:\w+ )?my name"
        r"|who (?:am i|i am)|what (?:do you|did i) call (?:me|myself)"
    ),
    "repeat": _words(
        r"repeat|pardon|say (?:that|it) (?:again|once more)|come again|one more time|once more"
        r"|(?:did not|didn't|couldn't) (?:hear|catch|get|understand) (?:that|you|it)"
        r"|what (?:did|have) you (?:just )?(?:say|said)|what was that"
    ),
    "story": _words(r"story|stories|tales?|fairy ?tales?"),
    "joke": _words(
        r"jokes?|funny|laugh|humou?r|cheer me up|make me (?:smile|laugh)|amuse me|something fun"
    ),
    "restaurants": _words(
        r"restaurants?|food|eat(?:ing)?|dinner|lunch|breakfast|supper|hungry|starving|dine|dining"
        r"|meals?|cuisine|bistro|place to eat|bite|sushi|ramen|pizza|pizzeria|pasta|tacos?"
        r"|burritos?|curry|dumplings|noodles|gyros|vegan|veggie"
    ),
    "weather": _words(
        r"weather|forecast|rain(?:s|ing|y|coat)?|sun(?:ny|shine)?|snow(?:s|ing|y)?|umbrella"
        r"|temperatures?|degrees|warm(?:er)?|cold(?:er)?|hot|wind(?:y)?|cloud(?:s|y)?|storm(?:s|y)?"
        r"|fog(?:gy)?|wet|dry|jacket|coat|sweater|sunglasses|outside|climate"
    ),
    "time": _words(
        r"(?:what|the|current|right) time|time (?:is it|now|of day)|(?<!o')clock|how late"
        r"|what hour|the hour"
    ),
    "help": _words(
        r"help|what (?:can|could|do) you (?:do|know|offer)|what (?:else )?(?:can|could) i"
        r"|how (?:does|do) (?:this|it|you) work|your (?:skills|options|abilities)|options|commands"
    ),
}
"""Words of each intent, the more telling intents first."""

FREE_NAME: Final = re.compile(r"\b(?:my name is|my name's|call me|i am called) (\w[\w'-]{0,39})")

_QUESTION: Final = _words(
    r"what|whats|what's|how|how's|where|when|which|will|would|is|are|can|could|find|tell|show|any"
    r"|does|want|need|like|give|let|know"
)
_COURTESY: Final = re.compile(r"^(?:thanks?|thank you|goodbye|bye|good bye|cheers)\b")

_DISHES: Final = {
    "italian": "pizza pizzeria pasta spaghetti lasagna risotto",
    "japanese": "sushi ramen tempura",
    "mexican": "taco tacos burrito burritos",
    "indian": "curry naan tandoori",
    "french": "bistro croissant croissants baguette",
    "chinese": "dumplings dumpling noodles",
    "greek": "gyros souvlaki moussaka",
    "vegetarian": "vegan veggie salad vegetables",
}
_CUISINE_OF: Final = {dish: kind for kind, dishes in _DISHES.items() for dish in dishes.split()}
_TODAY: Final = _words(r"tonight|now|right now|at the moment|this (?:morning|afternoon|evening)")
_LATER: Final = _words(
    r"(?:the )?day after tomorrow|next (?:week|month|year|\w+day)|(?:the |this |next )?weekend"
    r"|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday"
)
_PLACE: Final = re.compile(
    r"\b(?:in|for|around|near) "
    r"((?:(?:new|los|las|san|santa|hong|cape|tel|buenos|saint|kuala|abu) )?[a-z][a-z'-]{2,39})"
)


def telltale(plain: str) -> str:
    """Return the intent that a text's words give away, or ""."""
    return next((name for name, pattern in TELLTALES.items() if pattern.search(plain)), "")


def courtesy_alone(plain: str) -> bool:
    """Whether a text thanks or says goodbye, and asks for nothing."""
    found = _COURTESY.match(plain)
    return found is not None and _QUESTION.search(plain, found.end()) is None


def slots_of(
    plain: str, slots: Mapping[str, Collection[str]], wanted: Collection[str]
) -> dict[str, str]:
    """Find the values of slots in a text.

    Args:
        plain: The text.
        slots: The values that each slot is known to have.
        wanted: The slots to look for. A ``city`` may be one that nobody knows, after "in"; a
            ``day`` may be "later": a day of which nothing is known.

    Returns:
        The values found, lower case.
    """
    words = plain.split()
    found: dict[str, str] = {}
    for name in wanted:
        value = next((word for word in words if word in slots[name]), "")
        if name == "cuisine" and not value:
            value = next((_CUISINE_OF[word] for word in words if word in _CUISINE_OF), "")
        elif name == "day":
            value = _day(plain, value)
        elif name == "city" and not value:
            value = next((p for p in _PLACE.findall(plain) if _is_place(p, slots)), "")
        if value:
            found[name] = value
    return found


def _day(plain: str, value: str) -> str:
    if _LATER.search(plain):
        return "later"
    return value or ("today" if _TODAY.search(plain) else "")


def _is_place(word: str, slots: Mapping[str, Collection[str]]) -> bool:
    known = {value for values in slots.values() for value in values}
    return word not in no_places() and word not in known and word not in _CUISINE_OF
