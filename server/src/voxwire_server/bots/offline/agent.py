"""The concierge: an agent by rule in the place of a language model.

It is an ordinary Pipecat ``LLMService``: it answers every ``LLMContextFrame`` with a streamed
response and calls its tools through ``run_function_calls``, so function-call frames, the context
and interruptions behave as they do with a real model, and everything it says is predictable.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from pipecat.adapters.llm.base_llm_adapter import BaseLLMAdapter
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    FunctionCallResultFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    UserFileRawFrame,
    UserImageRawFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings

from voxwire_server.bots.offline import replies, tools
from voxwire_server.bots.offline.file_words import about
from voxwire_server.bots.offline.intents import (
    CLIENT_TOOLS,
    EXAMPLES,
    INTENTS,
    UNKNOWN_TEXT,
    Understood,
    nearest_phrases,
    normalize,
    parse,
)
from voxwire_server.bots.offline.small_talk import ABILITIES, cannot, small_talk
from voxwire_server.bots.offline.topic import Topic

__all__ = ["ConciergeLLMService"]

_SLOW_TOOLS = frozenset({"get_weather", "find_restaurant"})
_QUICK_TOOL_S = 0.05
_TOOL_OF = {intent.name: intent.tool for intent in INTENTS if intent.tool}
_TOKEN = re.compile(r"\S+\s*")
_SPEECH = re.compile(r"(?!DTMF:).*[a-z]{2}", re.IGNORECASE | re.DOTALL)


class _NoProviderAdapter(BaseLLMAdapter[dict[str, Any]]):
    """There is no provider whose format anything would have to be turned into."""

    @property
    def id_for_llm_specific_messages(self) -> str:
        return "concierge"

    async def get_llm_invocation_params(self, context: LLMContext, **kwargs: Any) -> dict[str, Any]:
        return {"messages": self.get_messages(context)}

    def to_provider_tools_format(self, tools_schema: Any) -> list[Any]:
        return list(tools_schema.standard_tools)

    def get_messages_for_logging(self, context: LLMContext) -> list[dict[str, Any]]:
        return [{**message} for message in _plain_messages(context)]


class ConciergeLLMService(LLMService[_NoProviderAdapter]):
    """Understands the phrases of ``intents``, calls tools, remembers your name.

    State (name, last answer, jokes told) belongs to the instance: make one per session.
    """

    adapter_class = _NoProviderAdapter

    def __init__(
        self,
        *,
        take_rejected: Callable[[], str] | None = None,
        memory: Mapping[str, Any] | None = None,
        keep: Callable[[dict[str, Any]], object] = bool,
        **kwargs: Any,
    ) -> None:
        """Make an agent.

        Args:
            take_rejected: Returns the phrase nearest to the speech that was rejected last, so
                that the agent can offer phrases close to it; ``SphinxSTTService`` has one.
            memory: What one of another process has handed to ``keep`` last; None = nothing.
            keep: Takes what it remembers of the conversation, after each answer; it is JSON.
            **kwargs: Passed to ``LLMService``.
        """
        super().__init__(settings=_settings(), **kwargs)
        self._keep = keep
        self._take_rejected = take_rejected or (lambda: "")
        self._user_name = ""
        self._last_answer = ""
        self._jokes_told = 0
        self._num_read = 0
        self._restaurant = ""
        self._place = ""
        self._file = ""
        self._recall(memory or {})
        self._open_calls: dict[str, str] = {}
        self._settled = asyncio.Event()
        self._answers: Mapping[str, Callable[[Understood], str]] = {
            "story": lambda _: " ".join(tools.story()),
            "set_name": self._remember_name,
            "get_name": self._recall_name,
            "help": self._help,
            "hello": self._hello,
            "repeat": lambda _: self._last_answer or replies.offer(EXAMPLES),
            "thanks": lambda _: "You are welcome.",
            "goodbye": self._goodbye,
        }

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._user_name = str(memory.get("name", self._user_name))
        self._last_answer = str(memory.get("answer", self._last_answer))
        self._jokes_told = int(memory.get("jokes", self._jokes_told))
        self._restaurant = str(memory.get("restaurant", self._restaurant))
        topic = memory.get("topic", {})
        self._topic = Topic(str(topic.get("intent", "")), dict(topic.get("slots", {})))

    def can_generate_metrics(self) -> bool:
        """Report what it used: a word is a token.

        Returns:
            Always True.
        """
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer context frames; pass everything else on.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, UserImageRawFrame | UserFileRawFrame):
            self._file = about(frame)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def _answer(self, context: LLMContext) -> None:
        """Answer the last thing in the context that wants an answer."""
        self._num_read = sum(len(_text_of(each).split()) for each in _plain_messages(context))
        for message in reversed(_plain_messages(context)):
            role = message.get("role")
            if role == "tool" and message.get("tool_call_id") in self._open_calls:
                if message.get("content") != "IN_PROGRESS":
                    await self._answer_tool(message)
                    return
            elif role == "user" and _has_file(message) and self._file:
                await self._respond(f"I got {self._file}.", remember=True)
                return
            elif role == "user":
                await self._answer_user(_text_of(message), context)
                return
            elif role == "developer":  # Pipecat asks the model to recover from an unheard turn
                await self._respond("Sorry, could you say that again?")
                return
        await self._respond(replies.GREETING, remember=True)

    async def _answer_user(self, text: str, context: LLMContext) -> None:
        self._open_calls.clear()
        understood = self._topic.taken_up(parse(text))
        tool = _TOOL_OF.get(understood.intent)
        if tool is not None:
            self._topic = Topic(understood.intent, dict(understood.slots))
            await self._use_tool(tool, understood, context)
            return
        answer = self._answers.get(understood.intent)
        if answer is not None:
            await self._respond(answer(understood), remember=understood.intent != "repeat")
        else:
            await self._respond(self._other_answer(text, understood))

    def _other_answer(self, text: str, understood: Understood) -> str:
        """What to say to something that is no intent of ours."""
        plain = normalize(text)
        match understood.intent:
            case "chat":
                return small_talk(plain)
            case "beyond":
                return replies.beyond_reply(cannot(plain), [])
            case "slots" if "city" in understood.slots:
                return replies.what_about(replies.city_name(understood.slots["city"]))
            case _ if text.strip() == UNKNOWN_TEXT or not _SPEECH.match(text):
                heard = self._take_rejected()
                return replies.unknown_reply(nearest_phrases(heard or text))
            case _:
                return replies.beyond_reply("", nearest_phrases(text))

    async def _use_tool(self, tool: str, understood: Understood, context: LLMContext) -> None:
        if tool in CLIENT_TOOLS and not self.has_function(tool):
            await self._respond(replies.NO_MAP)
            return
        if understood.slots.get("day") == "later":
            await self._respond(replies.TOO_FAR, remember=True)
            return
        question = _missing(tool, understood.slots, self._restaurant)
        if question:
            await self._respond(question, remember=True)
            return
        call = FunctionCallFromLLM(
            function_name=tool,
            tool_call_id=f"call_{uuid4().hex[:12]}",
            arguments=self._arguments(tool, understood.slots),
            context=context,
        )
        self._open_calls[call.tool_call_id] = tool
        self._settled.clear()
        await self.run_function_calls([call])
        if tool in _SLOW_TOOLS:
            # Pipecat holds back a result behind audio that is already on its way. Given a moment,
            # a quick tool settles first, and its answer follows the filler without a gap.
            with suppress(TimeoutError):
                async with asyncio.timeout(_QUICK_TOOL_S):
                    await self._settled.wait()
            await self._respond(replies.FILLER)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, noting when a tool's result is on its way.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().push_frame(frame, direction)
        if isinstance(frame, FunctionCallResultFrame) and direction is FrameDirection.DOWNSTREAM:
            self._settled.set()

    def _arguments(self, tool: str, slots: Mapping[str, str]) -> dict[str, Any]:
        match tool:
            case "get_weather":
                return {
                    "city": replies.city_name(slots["city"]),
                    "day": slots.get("day", "today"),
                }
            case "find_restaurant":
                return {
                    "cuisine": replies.city_name(slots["cuisine"]),
                    "city": replies.city_name(slots["city"]),
                }
            case "show_on_map":
                city = replies.city_name(slots.get("city", ""))
                self._place = city or self._restaurant
                return {"place": self._place}
            case "get_joke":
                self._jokes_told += 1
                return {"number": self._jokes_told - 1}
            case _:
                return {}

    async def _answer_tool(self, message: Mapping[str, Any]) -> None:
        tool = self._open_calls.pop(message["tool_call_id"])
        result = _result_of(message)
        if tool == "find_restaurant" and "name" in result:
            self._restaurant = f"{result['name']}, {result['city']}"
        elif tool == "show_on_map" and result:
            result = {"place": self._place, **result}
        await self._respond(replies.tool_reply(tool, result), remember=True)

    async def _respond(self, text: str, *, remember: bool = False) -> None:
        """Stream one response, a word a frame."""
        if remember:
            self._last_answer = text
        await self.push_frame(LLMFullResponseStartFrame())
        tokens = _TOKEN.findall(text)
        for token in tokens:
            await self._push_llm_text(token)
        await self.start_llm_usage_metrics(
            LLMTokenUsage(
                prompt_tokens=self._num_read,
                completion_tokens=len(tokens),
                total_tokens=self._num_read + len(tokens),
            )
        )
        await self.push_frame(LLMFullResponseEndFrame())
        self._keep(
            {
                "name": self._user_name,
                "answer": self._last_answer,
                "jokes": self._jokes_told,
                "restaurant": self._restaurant,
                "topic": {"intent": self._topic.intent, "slots": dict(self._topic.slots)},
            }
        )

    def _remember_name(self, understood: Understood) -> str:
        self._user_name = replies.city_name(understood.slots["name"])
        return f"Nice to meet you, {self._user_name}."

    def _recall_name(self, _: Understood) -> str:
        if self._user_name:
            return f"Your name is {self._user_name}."
        return "I do not know your name yet. You can say: my name is Alice."

    def _help(self, _: Understood) -> str:
        return (
            f"{ABILITIES} "
            f"{replies.offer(EXAMPLES)} I can also remember your name, or repeat what I said."
        )

    def _hello(self, _: Understood) -> str:
        name = f" {self._user_name}" if self._user_name else ""
        return f"Hello{name}, how can I help you?"

    def _goodbye(self, _: Understood) -> str:
        name = f" {self._user_name}" if self._user_name else ""
        return f"Goodbye{name}, it was nice talking to you."


def _settings() -> LLMSettings:
    return LLMSettings(
        model="concierge",
        system_instruction=None,
        temperature=None,
        max_tokens=None,
        top_p=None,
        top_k=None,
        frequency_penalty=None,
        presence_penalty=None,
        seed=None,
        filter_incomplete_user_turns=False,
        user_turn_completion_config=None,
        use_provider_thinking_default=False,
    )


def _missing(tool: str, slots: Mapping[str, str], restaurant: str) -> str:
    """Return the question that asks for what a tool still needs, or ""."""
    if tool == "show_on_map" and "city" not in slots and not restaurant:
        return f"Which city? {replies.offer(['show Paris on the map'])}"
    if tool == "get_weather" and "city" not in slots:
        return f"For which city? {replies.offer(['what is the weather in Paris'])}"
    if tool == "find_restaurant" and not {"city", "cuisine"} <= slots.keys():
        example = "find a Japanese restaurant in London"
        if "cuisine" in slots:
            return f"In which city? {replies.offer([example])}"
        where = "" if "city" in slots else ", and where"
        return f"What kind of food{where}? {replies.offer([example])}"
    return ""


def _plain_messages(context: LLMContext) -> list[Mapping[str, Any]]:
    return [message for message in context.get_messages() if isinstance(message, dict)]


def _text_of(message: Mapping[str, Any]) -> str:
    content: str | Sequence[Mapping[str, Any]] = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in content if part.get("type") == "text")


def _has_file(message: Mapping[str, Any]) -> bool:
    content: str | Sequence[Mapping[str, Any]] = message.get("content") or ""
    return not isinstance(content, str) and any(part.get("type") != "text" for part in content)


def _result_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        result = json.loads(message.get("content") or "")
    except ValueError:
        return {}
    return result if isinstance(result, dict) else {}
