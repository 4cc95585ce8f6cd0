"""A concierge on Gemini Live: one model hears, thinks and speaks, and two functions help it.

Run it: voxwire-server run bot.py     (README.md has the steps)
"""

import os
from pathlib import Path

from dotenv import load_dotenv
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.services.llm_service import FunctionCallParams

from voxwire_server import BotSession, ToolReport, serve

EXAMPLES = ("What is the weather in Paris?", "Find a Japanese restaurant in London.")
INSTRUCTION = (
    "You are a concierge on the telephone. Answer in one or two short sentences, in plain words "
    "that are easy to listen to. For the weather and for restaurants use your tools, never guess."
)
GREET = "Greet the user in one sentence and say that you know the weather and restaurants."

WEATHER = {
    "paris": {"today": ("sunny", 22, 13), "tomorrow": ("cloudy with light rain", 17, 11)},
    "london": {"today": ("cloudy", 16, 10), "tomorrow": ("sunny", 19, 11)},
    "tokyo": {"today": ("clear", 25, 18), "tomorrow": ("rainy", 21, 17)},
}
RESTAURANTS = {
    ("japanese", "london"): ("Koya Bar", "on Frith Street", 4.6),
    ("italian", "london"): ("Padella", "at Borough Market", 4.7),
    ("french", "paris"): ("Bistrot Paul Bert", "in rue Paul Bert", 4.5),
}


# A tool is an async function. The model reads its name, its parameters and this documentation;
# what goes to the callback is what it reads as the answer.
async def get_weather(params: FunctionCallParams, city: str, day: str = "today") -> None:
    """Get the weather forecast for a city.

    Args:
        params: The call.
        city: The city, e.g. "Paris".
        day: "today" or "tomorrow".
    """
    forecast = WEATHER.get(city.lower(), {}).get(day.lower())
    result: dict[str, object] = {"city": city, "day": day, "found": forecast is not None}
    if forecast is not None:
        condition, high_c, low_c = forecast
        result |= {"condition": condition, "high_c": high_c, "low_c": low_c}
    await params.result_callback(result)


async def find_restaurant(params: FunctionCallParams, cuisine: str, city: str) -> None:
    """Find a good restaurant.

    Args:
        params: The call.
        cuisine: The kind of food, e.g. "Japanese".
        city: The city, e.g. "London".
    """
    result: dict[str, object] = {"cuisine": cuisine, "city": city}
    found = RESTAURANTS.get((cuisine.lower(), city.lower()))
    if found is not None:
        name, where, rating = found
        result |= {"name": name, "where": where, "rating": rating}
    else:
        known = [kind for kind, place in RESTAURANTS if place == city.lower()]
        result["other_cuisines"] = known
    await params.result_callback(result)


def api_key() -> str:
    """The key, from the environment or from the file .env beside this program."""
    load_dotenv(Path(__file__).with_name(".env"))
    key = os.environ.get("GOOGLE_API_KEY", "").strip()
    if not key:
        raise SystemExit(
            "There is no GOOGLE_API_KEY. Get one at https://aistudio.google.com/apikey and write "
            f"the line GOOGLE_API_KEY=... into the file {Path(__file__).with_name('.env')}"
        )
    return key


KEY = api_key()  # when the server starts, not when the first user calls


async def bot(session: BotSession) -> None:
    """One conversation with one user."""
    # Under the session's rules every call has a deadline and ends exactly once.
    tools = [
        session.tool(get_weather, timeout_ms=5000),
        session.tool(find_restaurant, timeout_ms=5000),
    ]
    session.report_tools(ToolReport.FULL)  # the client sees arguments and results, too

    llm = GeminiLiveLLMService(
        api_key=KEY,
        settings=GeminiLiveLLMService.Settings(system_instruction=INSTRUCTION, voice="Charon"),
        tools=[*tools],
    )
    context = LLMContext([{"role": "developer", "content": GREET}])
    user, assistant = session.aggregators(context)

    async def greet(worker: PipelineWorker) -> None:
        await worker.queue_frames([LLMRunFrame()])

    # The user's voice goes in on the left, the bot's comes out on the right; in place of a
    # recogniser, a model and a voice there is the one block that does it all.
    await session.run([session.input(), user, llm, session.output(), assistant], on_ready=greet)


if __name__ == "__main__":
    serve(bot)
