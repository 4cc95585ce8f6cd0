"""A model or a voice that hangs is told, and leaves nothing behind (session.md, the deadline)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.calling import make_bot as calling_bot
from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.raw import dial
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.testing import running_server

TIMEOUT_MS = 300
NO_ANSWER = "the provider of a service does not answer"


class SaysLLM(ScriptedLLM):
    """Says what is typed, and hangs where it says ``hang``."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def _answer(self, context: LLMContext) -> None:
        last: Any = context.get_messages()[-1]
        await self.push_frame(LLMFullResponseStartFrame())
        for word in str(last["content"]).split():
            if word == "hang":
                await self.go_on.wait()
            else:
                await self.push_frame(LLMTextFrame(word + " "))
        await self.push_frame(LLMFullResponseEndFrame())


class MoodyTTS(ClickTTS):
    """Does what the sentence asks of it."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        if "stuck" in text:
            await asyncio.Event().wait()
        elif "refused" in text:
            yield ErrorFrame("HTTP 503")
        elif "raised" in text:
            raise RuntimeError("HTTP 503")
        elif "mute" not in text:
            async for frame in super().run_tts(text, context_id):
                yield frame


def make_bot(context: LLMContext, llm: SaysLLM | None = None) -> Callable[[BotSession], Any]:
    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(context, vad_analyzer=None)
        parts = [user, llm or SaysLLM(), MoodyTTS()]
        await session.run([session.input(), *parts, session.output(), assistant])

    return bot


def said(context: LLMContext) -> list[str]:
    """What the bot has said, as far as its model knows."""
    messages: list[Any] = context.get_messages()
    return [m["content"] for m in messages if m["role"] == "assistant"]


async def idle(session: voxwire.Session) -> list[Any]:
    """Wait until the bot is idle again; the errors until then."""
    errors: list[Any] = []
    thought = False
    async for event in session:
        if isinstance(event, voxwire.ErrorEvent):
            errors.append(event)
        elif isinstance(event, voxwire.StateChanged):
            thought = thought or event.bot == voxwire.BotState.THINKING
            if thought and event.bot == voxwire.BotState.IDLE:
                break
    return errors


@pytest.mark.parametrize(
    ("text", "heard", "who"),
    [
        ("hang", [], "SaysLLM"),
        ("Well done. And hang", ["Well done."], "SaysLLM"),
        ("stuck", [], "MoodyTTS"),
    ],
)
async def test_one_that_hangs_is_named_and_cut(text: str, heard: list[str], who: str) -> None:
    context = LLMContext()
    llm = SaysLLM()
    async with (
        asyncio.timeout(60),
        running_server(make_bot(context, llm), answer_timeout_ms=TIMEOUT_MS) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_text(text)
        [error] = await idle(session)
        assert error.code == voxwire.ErrorCode.SERVICE_FAILED
        assert error.subject_id.startswith(who)
        assert error.retryable
        assert error.reason == NO_ANSWER

        llm.go_on.set()  # too late: it is not spoken into the next turn
        await session.send_text("Still here.")
        words = [(await session.wait_for(voxwire.BotWord)).text for _ in range(2)]
        assert words == ["Still", "here."]
        assert await idle_after_speech(session) == []
        assert said(context) == [*heard, "Still here."]


async def idle_after_speech(session: voxwire.Session) -> list[Any]:
    """Wait until the bot, which speaks, is idle; the errors until then."""
    errors: list[Any] = []
    async for event in session:
        if isinstance(event, voxwire.ErrorEvent):
            errors.append(event)
        elif isinstance(event, voxwire.StateChanged) and event.bot == voxwire.BotState.IDLE:
            break
    return errors


@pytest.mark.parametrize("fault", ["refused", "raised", "mute"])
@pytest.mark.parametrize("before", ["", "Well done. "])
async def test_what_a_voice_failed_to_speak_is_not_in_the_context(fault: str, before: str) -> None:
    context = LLMContext()
    async with (
        asyncio.timeout(60),
        running_server(make_bot(context), answer_timeout_ms=TIMEOUT_MS) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_text(f"{before}This is {fault}.")
        errors = await idle(session)
        assert {error.code for error in errors} <= {voxwire.ErrorCode.SERVICE_FAILED}
        assert bool(errors) == (fault != "mute" or not before)
        if fault == "mute" and errors:
            assert [(error.reason, error.retryable) for error in errors] == [(NO_ANSWER, True)]
        await session.send_text("Still here.")
        while (await session.wait_for(voxwire.BotWord)).text != "Still":
            pass
        assert said(context) == ([before.strip()] if before else [])


async def test_the_time_stands_while_a_tool_runs() -> None:
    @voxwire.tool
    async def show_on_map() -> str:
        """Takes as long as a user who is asked something."""
        await asyncio.sleep(3 * TIMEOUT_MS / 1000)  # real time: slow
        return "shown"

    bot = calling_bot(lambda session: session.client_tools(["show_on_map"]))
    async with (
        asyncio.timeout(60),
        running_server(bot, answer_timeout_ms=TIMEOUT_MS) as server,
        voxwire.connect(server.url, transport="websocket", tools=[show_on_map]) as session,
    ):
        await session.send_text("call show_on_map {}")
        async for event in session:
            assert not isinstance(event, voxwire.ErrorEvent)
            if isinstance(event, voxwire.BotWord):
                assert event.text == "done."
                break


async def test_the_time_stands_while_nobody_is_there() -> None:
    context = LLMContext()
    llm = SaysLLM()
    async with (
        asyncio.timeout(60),
        running_server(make_bot(context, llm), answer_timeout_ms=TIMEOUT_MS) as server,
        dial(server.url) as client,
    ):
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="hang Hello."))
        await client.until(lambda: bool(client.of("response_started")))
        await client.drop()
        await asyncio.sleep(3 * TIMEOUT_MS / 1000)  # real time: timeout
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        llm.go_on.set()
        await client.open_path(2)
        await client.until(lambda: bool(client.of("utterance_ended")))
        assert not client.of("error")
        assert client.of("utterance_ended")[0].heard_words == 1


async def test_without_a_deadline_a_model_may_take_its_time() -> None:
    context = LLMContext()
    llm = SaysLLM()
    async with (
        asyncio.timeout(60),
        running_server(make_bot(context, llm), answer_timeout_ms=0) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        await session.send_text("hang Hello.")
        await session.wait_for(voxwire.BotResponseStarted)
        await asyncio.sleep(3 * TIMEOUT_MS / 1000)  # real time: timeout
        llm.go_on.set()
        async for event in session:
            assert not isinstance(event, voxwire.ErrorEvent)
            if isinstance(event, voxwire.BotWord):
                break
