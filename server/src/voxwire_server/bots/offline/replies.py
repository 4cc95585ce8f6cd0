"""What the concierge says: a pure function from intent or tool result to text.

Every text is a few plain sentences; words are separated by single spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voxwire_server.bots.offline.intents import EXAMPLES
from voxwire_server.bots.offline.small_talk import ABILITIES

__all__ = [
    "FILLER",
    "GREETING",
    "NO_MAP",
    "TOO_FAR",
    "beyond_reply",
    "city_name",
    "offer",
    "tool_reply",
    "unknown_reply",
    "what_about",
]

NO_MAP = "Your app has no map that I could use."
"""Said when a map is wanted of a client that has not brought one."""

TOO_FAR = "Sorry, I know the weather of today and tomorrow alone."
"""Said when the weather of another day is wanted."""

FILLER = "Let me check."
"""Said in a response of its own before the answer of a tool that one would wait for."""


def offer(phrases: list[str] | tuple[str, ...]) -> str:
    """Return a sentence that names phrases the bot understands."""
    *first, last = phrases
    return f"You can say: {', '.join([*first, f'or {last}'] if first else [last])}."


GREETING = f"Hello, I am your concierge. {offer(EXAMPLES)}"
"""The first thing that the bot says; it names three phrases that it understands."""


def city_name(city: str) -> str:
    """Return a city, cuisine or person as it is written."""
    return " ".join(part.capitalize() for part in city.split())


def unknown_reply(phrases: list[str]) -> str:
    """Return what to say to speech that was not understood."""
    return f"Sorry, I did not catch that. {offer(phrases)}"


def beyond_reply(what: str, phrases: list[str]) -> str:
    """Return what to say to speech that was understood and is beyond the bot.

    Args:
        what: What was asked for, after "I cannot"; "" = who knows.
        phrases: What can be said instead.
    """
    if what:
        return f"Sorry, I cannot {what}. {ABILITIES}"
    return f"Sorry, I cannot help with that. {offer(phrases)}"


def what_about(place: str) -> str:
    """Return the question to somebody who names a place and nothing else."""
    return f"What about {place}? I know the weather and restaurants."


def tool_reply(name: str, result: Mapping[str, Any]) -> str:
    """Return the answer that a tool's result makes.

    Args:
        name: The tool.
        result: What it returned; anything but a mapping with its fields is an apology.
    """
    render = _REPLIES.get(name)
    try:
        return render(result) if render is not None else _APOLOGY
    except (KeyError, TypeError, AttributeError):
        return _APOLOGY


_APOLOGY = "Sorry, that did not work. Please try again."


def _weather(result: Mapping[str, Any]) -> str:
    city, day = city_name(result["city"]), result["day"]
    if not result["found"]:
        return f"Sorry, I have no forecast for {city}."
    verb = "it is" if day == "today" else "it will be"
    return (
        f"In {city} {verb} {result['condition']} {day}, with a high of {result['high_c']} degrees "
        f"and a low of {_degrees(result['low_c'])}."
    )


def _degrees(value: int) -> str:
    return f"minus {-value}" if value < 0 else str(value)


def _restaurant(result: Mapping[str, Any]) -> str:
    cuisine, city = city_name(result["cuisine"]), city_name(result["city"])
    if "name" in result:
        return (
            f"For {cuisine} food in {city} I recommend {result['name']}, {result['where']}. "
            f"It is rated {result['rating']} out of 5."
        )
    others = [city_name(other) for other in result["other_cuisines"]]
    if not others:
        return f"Sorry, I know no restaurants in {city}."
    listed = " and ".join(filter(None, [", ".join(others[:-1]), others[-1]]))
    return f"Sorry, I know no {cuisine} restaurant in {city}. There I know {listed} food."


def _map(result: Mapping[str, Any]) -> str:
    if "error" in result or "cancelled" in result:
        return f"Sorry, I could not show {result['place']} on your map."
    shown = result.get("result")
    return f"It is on your map: {shown if isinstance(shown, str) and shown else result['place']}."


_REPLIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "get_weather": _weather,
    "find_restaurant": _restaurant,
    "show_on_map": _map,
    "get_time": lambda result: f"It is {result['spoken']}.",
    "get_joke": lambda result: str(result["joke"]),
}
