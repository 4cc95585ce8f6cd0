"""Pipecat's strategies that mute the user, as clients are told of them."""

import asyncio
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.turns.user_mute import (
    AlwaysUserMuteStrategy,
    BaseUserMuteStrategy,
    FunctionCallUserMuteStrategy,
    MuteUntilFirstBotCompleteUserMuteStrategy,
)

import voxwire
from tests.support.calling import CallingLLM
from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.stock_socket import dialled
from voxwire_server import Bot, BotSession
from voxwire_server.testing import running_server

IDLE, THINKING, SPEAKING = (
    voxwire.BotState.IDLE,
    voxwire.BotState.THINKING,
    voxwire.BotState.SPEAKING,
)


def bot_with(
    strategy: type[BaseUserMuteStrategy], *, llm: Any = ScriptedLLM, greets: bool = False
) -> Bot:
    """A bot that mutes its user by that strategy."""

    async def bot(session: BotSession) -> None:
        context = LLMContext(tools=session.client_tools(allow=["look"]))
        user, assistant = session.aggregators(
            context, vad_analyzer=None, user_mute_strategies=[strategy()]
        )

        async def greet(_: Any) -> None:
            if greets:
                await session.say("hello to you")

        parts = [session.input(), user, llm(), ClickTTS(), session.output(), assistant]
        await session.run(parts, on_ready=greet)

    return bot


def muted(events: list[voxwire.Event]) -> list[tuple[voxwire.BotState, bool]]:
    """Where whether the bot listens has changed: what it did then, and which it was."""
    found: list[tuple[voxwire.BotState, bool]] = []
    for event in events:
        before = found[-1][1] if found else False
        if isinstance(event, voxwire.StateChanged) and event.user_muted != before:
            found.append((event.bot, event.user_muted))
    return found


async def until_heard(session: voxwire.Session) -> list[voxwire.Event]:
    """What happens until the bot has spoken, and its user is listened to again."""
    events: list[voxwire.Event] = []
    async for event in session:
        events.append(event)
        spoken = any(isinstance(one, voxwire.UtteranceEnded) for one in events)
        if spoken and isinstance(event, voxwire.StateChanged) and not event.user_muted:
            break
    return events


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_a_user_who_is_muted_while_the_bot_speaks_sees_it_when_he_hears_it(
    transport: str,
) -> None:
    bot = bot_with(AlwaysUserMuteStrategy)
    async with asyncio.timeout(60), running_server(bot) as server:
        async with voxwire.connect(server.url, transport=transport) as session:
            await session.send_text("say 5")
            events = await until_heard(session)
    assert muted(events) == [(SPEAKING, True), (IDLE, False)]
    speech = [
        event.user_muted
        for event in events
        if isinstance(event, voxwire.StateChanged) and event.bot == SPEAKING
    ]
    assert speech == [False, True]
    first = next(at for at, event in enumerate(events) if isinstance(event, voxwire.BotWord))
    begun = next(at for at, e in enumerate(events) if getattr(e, "bot", None) == SPEAKING)
    assert begun < first  # what mutes him says no earlier that the bot is heard


async def test_a_user_who_is_muted_until_the_greeting_is_over_knows_it_from_the_beginning() -> None:
    bot = bot_with(MuteUntilFirstBotCompleteUserMuteStrategy, greets=True)
    async with asyncio.timeout(60), running_server(bot) as server:
        async with voxwire.connect(server.url, transport="websocket") as session:
            events = await until_heard(session)
    [(before, first), (after, last)] = muted(events)
    assert before in (IDLE, THINKING)
    assert (after, first, last) == (IDLE, True, False)


async def test_a_user_who_is_muted_while_a_tool_runs_is_told_of_both_ends() -> None:
    runs, done = asyncio.Event(), asyncio.Event()

    async def look() -> str:
        """Look."""
        runs.set()
        await done.wait()
        return "nothing there"

    bot = bot_with(FunctionCallUserMuteStrategy, llm=CallingLLM)
    async with asyncio.timeout(60), running_server(bot) as server:
        async with voxwire.connect(server.url, transport="websocket", tools=[look]) as session:
            states = session.events(voxwire.StateChanged)
            await session.send_text("call look {}")
            await runs.wait()
            while not (state := await anext(states)).user_muted:
                pass
            assert state.bot == THINKING
            done.set()
            while (await anext(states)).user_muted:
                pass


async def test_a_stock_client_is_told_in_its_own_words_once() -> None:
    bot = bot_with(AlwaysUserMuteStrategy)
    async with asyncio.timeout(60), running_server(bot) as server:
        async with dialled(f"{server.url}/ws-client") as stock:
            await stock.ready("2.1.0")
            await stock.say("send-text", {"content": "say 5"})
            await stock.until(lambda: "user-mute-stopped" in stock.types)
            told = [
                kind
                for kind in stock.types
                if kind in ("bot-started-speaking", "bot-stopped-speaking")
                or kind.startswith("user-mute-")
            ]
    assert told == [
        *("bot-started-speaking", "user-mute-started", "bot-stopped-speaking", "user-mute-stopped")
    ]
