"""The concierge answers in a real pipeline, through Pipecat's function calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.frames.frames import (
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams

from voxwire_server.bots.offline import replies, tools
from voxwire_server.bots.offline.agent import ConciergeLLMService
from voxwire_server.bots.offline.intents import EXAMPLES, INTENTS, SLOTS


@dataclass
class Chat:
    """A running agent that is typed to."""

    worker: Any
    probe: Any
    context: LLMContext

    async def run(self) -> list[str]:
        await self.worker.queue_frame(LLMRunFrame())
        return await self._responses(0, 1)

    async def ask(self, text: str, responses: int = 1) -> list[str]:
        since = len(self.probe.frames)
        message = {"role": "user", "content": text}
        await self.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
        return await self._responses(since, responses)

    async def _responses(self, since: int, count: int) -> list[str]:
        await self.probe.wait(
            lambda: len(self.probe.of(LLMFullResponseEndFrame, since=since)) >= count
        )
        texts: list[str] = []
        for frame in self.probe.frames[since:]:
            if isinstance(frame, LLMFullResponseStartFrame):
                texts.append("")
            elif isinstance(frame, LLMTextFrame):
                texts[-1] += frame.text
        return texts


@pytest.fixture
async def chat(run_pipeline, make_probe) -> AsyncIterator[Chat]:
    context = LLMContext(tools=tools.TOOLS)
    pair = LLMContextAggregatorPair(context)
    probe = make_probe()
    llm = ConciergeLLMService(take_rejected=lambda: "what time is")
    async with run_pipeline(pair.user(), llm, probe, pair.assistant(), probe=probe) as worker:
        yield Chat(worker, probe, context)


async def test_it_greets_with_three_phrases(chat):
    (text,) = await chat.run()
    assert all(example in text for example in EXAMPLES)


@pytest.mark.parametrize("city", SLOTS["city"])
@pytest.mark.parametrize("day", SLOTS["day"])
async def test_the_weather_comes_from_the_tool(chat, city, day):
    filler, answer = await chat.ask(f"What is the weather in {city} {day}?", responses=2)
    forecast = tools.weather()[city][day]
    assert filler == replies.FILLER
    assert city.capitalize() in answer
    assert day in answer
    assert forecast["condition"] in answer
    assert f"high of {forecast['high_c']} degrees" in answer
    (call,) = chat.probe.of(FunctionCallInProgressFrame)
    assert (call.function_name, call.arguments) == (
        "get_weather",
        {"city": city.capitalize(), "day": day},
    )
    assert len(chat.probe.of(FunctionCallsStartedFrame)) == 1


@pytest.mark.parametrize("restaurant", tools.restaurants(), ids=lambda r: r["name"])
async def test_every_restaurant_can_be_found(chat, restaurant):
    question = f"find a {restaurant['cuisine']} restaurant in {restaurant['city']}"
    _, answer = await chat.ask(question, responses=2)
    assert restaurant["name"] in answer
    assert restaurant["where"] in answer
    assert f"{restaurant['rating']} out of 5" in answer


async def test_a_cuisine_that_is_not_there_names_those_that_are(chat):
    _, answer = await chat.ask("find a mexican restaurant in rome", responses=2)
    assert answer == (
        "Sorry, I know no Mexican restaurant in Rome. There I know Italian, Greek and Chinese food."
    )


async def test_a_quick_tool_settles_before_the_filler_is_spoken(chat):
    await chat.ask("what is the weather in rome", responses=2)
    kinds = [type(frame) for frame in chat.probe.frames]
    filler_start = kinds.index(LLMFullResponseStartFrame)
    assert kinds.index(FunctionCallResultFrame) < filler_start


async def test_the_time_and_jokes_are_tools_without_a_filler(chat):
    (text,) = await chat.ask("what time is it")
    (result,) = chat.probe.of(FunctionCallResultFrame)
    assert text == f"It is {result.result['spoken']}."
    told = [(await chat.ask("another joke please"))[0] for _ in range(len(tools.jokes()) + 1)]
    assert told == [*tools.jokes(), tools.jokes()[0]]


async def test_it_remembers_the_name(chat):
    (text,) = await chat.ask("what is my name")
    assert "do not know" in text
    assert await chat.ask("my name is alice") == ["Nice to meet you, Alice."]
    assert await chat.ask("What's my name?") == ["Your name is Alice."]
    assert (await chat.ask("hello"))[0].startswith("Hello Alice")
    assert (await chat.ask("goodbye"))[0].startswith("Goodbye Alice")


async def test_it_repeats_its_last_answer(chat):
    _, answer = await chat.ask("what is the weather in oslo or paris", responses=2)
    assert await chat.ask("please repeat that") == [answer]
    assert await chat.ask("what did you say") == [answer]


async def test_the_story_is_long_enough_to_interrupt(chat):
    (text,) = await chat.ask("tell me a long story")
    assert len(text.split()) / 160 * 60 >= 25  # seconds at 160 words a minute


async def test_speech_that_was_rejected_is_answered_with_the_nearest_phrases(chat):
    (text,) = await chat.ask("[unknown]")
    assert text.startswith("Sorry, I did not catch that. You can say: what time is it,")


async def test_a_question_without_a_place_is_asked_back(chat):
    (text,) = await chat.ask("how is the weather")
    assert text.startswith("For which city?")
    (text,) = await chat.ask("I am hungry")
    assert text.startswith("What kind of food")
    assert chat.probe.of(FunctionCallsStartedFrame) == []


async def test_a_question_that_goes_on_is_asked_of_something_else(chat):
    await chat.ask("what is the weather in paris", responses=2)
    for text, place, day in (("And in Rome?", "Rome", "today"), ("tomorrow?", "Rome", "tomorrow")):
        _, answer = await chat.ask(text, responses=2)
        assert answer.startswith(f"In {place} it ") and day in answer
    assert (await chat.ask("how is the weather"))[0].startswith("For which city?")
    _, answer = await chat.ask("Tokyo.", responses=2)
    assert answer.startswith("In Tokyo it ")


async def test_what_it_does_not_know_or_cannot_do_it_says(chat):
    _, answer = await chat.ask("is it warm in Madrid", responses=2)
    assert answer == "Sorry, I have no forecast for Madrid."
    assert await chat.ask("will it rain in Rome next week") == [replies.TOO_FAR]
    (answer,) = await chat.ask("please call my mother")
    assert answer.startswith("Sorry, I cannot make calls. I know the weather,")
    (answer,) = await chat.ask("colourless green ideas sleep furiously")
    assert answer.startswith("Sorry, I cannot help with that. You can say: ")
    (answer,) = await chat.ask("sushi")
    assert answer.startswith("In which city?")


async def test_it_chats(chat):
    assert await chat.ask("How are you today?") == ["I am fine, thank you. How can I help you?"]
    assert "program" in (await chat.ask("are you a robot"))[0]


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
async def test_every_intent_has_an_answer(chat, intent):
    slow = intent.tool in ("get_weather", "find_restaurant")
    *_, answer = await chat.ask(intent.example, responses=2 if slow else 1)
    assert answer.endswith((".", "?"))
    assert "Sorry" not in answer


async def test_a_map_is_the_clients_or_there_is_none(chat):
    assert await chat.ask("show Paris on the map") == [replies.NO_MAP]
    asked: list[dict[str, Any]] = []

    async def show_on_map(params: FunctionCallParams, place: str) -> None:
        asked.append({"place": place})
        gone = {"error": {"code": "TIMEOUT"}} if place == "Rome" else {"result": None}
        await params.result_callback(gone)

    chat.context.set_tools([*tools.TOOLS, show_on_map])
    assert await chat.ask("show me the restaurant on the map") == [
        "Which city? You can say: show Paris on the map."
    ]
    assert await chat.ask("show Paris on a map") == ["It is on your map: Paris."]
    assert (await chat.ask("show Rome on the map"))[0].startswith("Sorry, I could not show Rome")
    await chat.ask("find a Japanese restaurant in London", responses=2)
    (answer,) = await chat.ask("show me that restaurant on the map")
    assert answer.startswith("It is on your map: ") and answer.endswith(", London.")
    assert len(asked) == 3


def test_a_broken_tool_result_is_an_apology():
    for name, result in (("get_weather", {}), ("nope", {}), ("get_joke", {"error": 1})):
        assert replies.tool_reply(name, result).startswith("Sorry")
