"""The concierge's tools: Pipecat direct functions over data that ships with the package."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

# Pipecat evaluates the tools' annotations when a context lists them, so this is a real import.
from pipecat.services.llm_service import FunctionCallParams

if TYPE_CHECKING:
    from pipecat.adapters.llm.schemas.direct_function import DirectFunction
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

__all__ = [
    "TOOLS",
    "find_restaurant",
    "get_joke",
    "get_time",
    "get_weather",
    "jokes",
    "restaurants",
    "story",
    "weather",
]


@cache
def _load(name: str) -> Any:
    return json.loads(files(__package__ or "").joinpath("data", name).read_text("utf-8"))


def weather() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the forecasts: city, then "today" or "tomorrow", then condition, high_c, low_c."""
    return _load("weather.json")


def restaurants() -> list[dict[str, Any]]:
    """Return the restaurants: city, cuisine, name, where, rating."""
    return _load("restaurants.json")


def jokes() -> list[str]:
    """Return the jokes, in the order in which they are told."""
    return _load("jokes.json")


def story() -> list[str]:
    """Return the sentences of the long story."""
    return _load("story.json")


async def get_weather(params: FunctionCallParams, city: str, day: str = "today") -> None:
    """Get the weather forecast for a city.

    Args:
        params: The call.
        city: The city, e.g. "Paris".
        day: "today" or "tomorrow".
    """
    forecast = weather().get(city.lower(), {}).get(day.lower())
    if forecast is None:
        await params.result_callback({"city": city, "day": day, "found": False})
        return
    await params.result_callback({"city": city, "day": day, "found": True, **forecast})


async def find_restaurant(params: FunctionCallParams, cuisine: str, city: str) -> None:
    """Find the best restaurant of a cuisine in a city, and what else there is.

    Args:
        params: The call.
        cuisine: The kind of food, e.g. "Japanese".
        city: The city, e.g. "London".
    """
    there = [r for r in restaurants() if r["city"] == city.lower()]
    fits = sorted(
        (r for r in there if r["cuisine"] == cuisine.lower()), key=lambda r: -float(r["rating"])
    )
    others = [r["cuisine"] for r in there if r["cuisine"] != cuisine.lower()]
    result = {"city": city, "cuisine": cuisine, "other_cuisines": others}
    if fits:
        best = fits[0]
        result |= {"name": best["name"], "where": best["where"], "rating": best["rating"]}
    await params.result_callback(result)


async def get_time(params: FunctionCallParams) -> None:
    """Get the time of day where the server is.

    Args:
        params: The call.
    """
    now = datetime.now().astimezone()
    spoken = f"{now.hour % 12 or 12}:{now.minute:02d} {'AM' if now.hour < 12 else 'PM'}"
    await params.result_callback({"time": now.isoformat(timespec="seconds"), "spoken": spoken})


async def get_joke(params: FunctionCallParams, number: int = 0) -> None:
    """Get a joke.

    Args:
        params: The call.
        number: Which one, from 0; after the last comes the first again.
    """
    all_jokes = jokes()
    await params.result_callback({"joke": all_jokes[number % len(all_jokes)]})


TOOLS: list[FunctionSchema | DirectFunction] = [get_weather, find_restaurant, get_time, get_joke]
"""What to pass to ``LLMContext(tools=…)``."""
