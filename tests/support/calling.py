"""A bot whose model calls what it is told to, and what its context must look like afterwards.

The user types ``call NAME JSON``; the model calls the tool, says "checking" first when the text
begins with ``filler``, and reads out the tool's result in one word: ``done`` or ``error``.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from pipecat.frames.frames import (
    FunctionCallFromLLM,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import LLMService

from tests.support.clicks import ClickTTS, ScriptedLLM
from voxwire_server import BotSession


class CallingLLM(ScriptedLLM):
    """Calls tools by the user's text."""

    async def _answer(self, context: LLMContext) -> None:
        last: Any = context.get_messages()[-1]
        text = str(last.get("content"))
        verb, _, rest = text.partition(" ")
        if last["role"] == "user" and verb == "filler":
            await self._say("one moment please while I look that up for you.")
            verb, _, rest = rest.partition(" ")
        if last["role"] == "user" and verb == "call":
            name, _, arguments = rest.partition(" ")
            call = FunctionCallFromLLM(
                function_name=name,
                tool_call_id=f"call_{uuid4().hex[:8]}",
                arguments=json.loads(arguments or "{}"),
                context=context,
            )
            await self.run_function_calls([call])
        elif last["role"] == "user":
            await self._say("hello.")
        else:
            await self._say("error." if '"error"' in text else "done.")

    async def _say(self, text: str) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(text))
        await self.push_frame(LLMFullResponseEndFrame())


Tools = Callable[[BotSession], list[Any]]


def make_bot(
    tools: Tools,
    contexts: dict[str, LLMContext] | None = None,
    *,
    prepare: Callable[[BotSession], Any] | None = None,
) -> Callable[[BotSession], Awaitable[None]]:
    """A bot with these tools; every session's context is noted under its id."""

    async def bot(session: BotSession) -> None:
        context = LLMContext(tools=tools(session))
        if contexts is not None:
            contexts[session.id] = context
        if prepare is not None:
            prepare(session)
        user, assistant = session.aggregators(context, vad_analyzer=None)
        llm: LLMService[Any] = CallingLLM()
        await session.run([session.input(), user, llm, ClickTTS(), session.output(), assistant])

    return bot


def results(context: LLMContext) -> list[Any]:
    """What each call in a context came to, in order; fails when one is not paired.

    A call has exactly one tool message, which stands behind it and is a result or a cancellation.
    """
    messages: list[Any] = context.get_messages()
    came: list[Any] = []
    for place, message in enumerate(messages):
        for call in message.get("tool_calls", ()):
            answers = [
                (at, str(m["content"]))
                for at, m in enumerate(messages)
                if m.get("role") == "tool" and m.get("tool_call_id") == call["id"]
            ]
            assert len(answers) == 1, messages
            [(at, content)] = answers
            assert at > place, messages
            assert content != "IN_PROGRESS" and '"running"' not in content, messages
            came.append(content if content == "CANCELLED" else json.loads(content))
    orphans = [m for m in messages if m.get("role") == "tool"]
    assert len(orphans) == len(came), messages
    return came


async def settled(context: LLMContext, count: int = 1) -> list[Any]:
    """Waits until that many calls in a context are paired."""
    async with asyncio.timeout(60):
        while True:
            try:
                if len(came := results(context)) >= count:
                    return came
            except AssertionError:
                pass
            await asyncio.sleep(0.02)  # real time: slow
